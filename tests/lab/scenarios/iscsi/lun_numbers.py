"""LUN numbers above 255 and the addressing modes: what the array calls a LUN and what the kernel calls it.

The kernel shows a LUN as the 16 bits of the address it got; with SAM2 and SAM3-flat an array sets the flat-space bit
(0x4000), so the target here exports the number the initiator then sees.
"""

LEDGER = ('LU-01', 'LU-02', 'LU-03', 'X-04')
VARIANTS = ('plain_300', 'text_300', 'transparent_300', 'SAM_300', 'SAM2_300', 'SAM2_7', 'SAM3-flat_7')
MODES = ('root',)
SECONDS = 20
UPSTREAM_FAILS = 'a LUN given as text is never found at the detach'
UPSTREAM_LEAVES = 'lines in the wwids file'
FLAT_SPACE = 0x4000


def run(lab):
    mode, _, number = lab.variant.partition('_')
    lun = int(number)
    flat = mode == 'SAM3-flat' or (mode == 'SAM2' and lun > 255)
    kernels = lun + FLAT_SPACE if flat else lun
    target = lab.targets.create(portals=2, luns={kernels: None, 1: None})
    disk = target.luns[kernels]
    properties = target.properties(str(lun) if mode == 'text' else lun)
    if mode in ('transparent', 'SAM', 'SAM2', 'SAM3-flat'):
        properties['addressing_mode'] = mode
    caller = lab.caller()
    for multipath in (False, True):
        name = 'multipath' if multipath else 'single path'
        connector = caller.connector('ISCSI', use_multipath=multipath)
        info = lab.attach(connector, properties, f'{name}: connect')
        lab.check_right_disk(name, info['path'], disk)
        lab.equal(f"{name}: the kernel's LUN", {hctl.rsplit(':')[-1] for hctl in lab.host.scsi_devices()},
                  {str(kernels)})
        lab.equal(f'{name}: extend finds it', connector.extend_volume(properties).value, disk.size)
        lab.detach(connector, properties, info, f'{name}: disconnect')
        lab.equal(f'{name}: no device after the detach', lab.host.scsi_devices(), {})
        lab.equal(f'{name}: no session after the detach', lab.host.sessions(), {})
