"""An encrypted volume is handed out under a link of its own, which goes with the detach; LUKS on top closes first."""

import os

LEDGER = ('X-11', 'X-12')
VARIANTS = ('single', 'multipath')
MODES = ('nova',)
SECONDS = 40
UPSTREAM_LEAVES = 'the line in the wwids file'
PREFIX = '/dev/disk/by-id/os-brick'


def run(lab):
    multipath = lab.variant == 'multipath'
    target = lab.targets.create(portals=4 if multipath else 1)
    disk, properties = target.luns[1], target.properties(1, plural=multipath, encrypted=True)
    connector = lab.caller().connector('ISCSI', use_multipath=multipath)
    info = lab.attach(connector, properties)
    lab.check('the path is a link of os-brick', info['path'].startswith(PREFIX) and os.path.islink(info['path']),
              info['path'])
    lab.equal('the link names the device it leads to', info['path'].removeprefix(PREFIX).replace('+', '/'),
              os.readlink(info['path']))
    lab.check_right_disk('attached', info['path'], disk)
    lab.detach(connector, properties, info)
    lab.check('the link is gone', not os.path.lexists(info['path']))
    lab.equal('no device', lab.host.scsi_devices(), {})

    # The caller lost device_info: the link and the volume go all the same.
    info = lab.attach(connector, properties, 'second connect')
    lab.detach(connector, properties, None, 'disconnect without device_info')
    lab.equal('no session', lab.host.sessions(), {})
