"""An encrypted volume in Nova: LUKS1 is only formatted and left to QEMU with a secret, LUKS2 is opened by os_brick.

`another_process` detaches a LUKS1 volume in a process without the secret: Nova then asks the encryptor to close what
was never opened.
"""

import json
import os

from guest import encryption

LEDGER = ()
IMAGE = 'consumers'
VARIANTS = ('luks', 'luks2', 'another_process')
MODES = ('nova',)
# Without it multipathd claims the single disk, and cryptsetup wants it for itself.
MULTIPATH = {'find_multipaths': 'yes'}
SECONDS = 120
TIMEOUT = 900
UPSTREAM_LEAVES = 'the line in the wwids file'
KEY = '4b' * 32
CONF = {'key_manager.backend': 'nova.keymgr.conf_key_mgr.ConfKeyManager', 'key_manager.fixed_key': KEY}
HEADERS = {'luks': b'LUKS\xba\xbe\0\1', 'luks2': b'LUKS\xba\xbe\0\2'}


def run(lab):
    provider = 'luks2' if lab.variant == 'luks2' else 'luks'
    target = lab.targets.create(portals=1)
    disk, properties = target.luns[1], target.properties(1, plural=False, encrypted=True)
    metadata = {'provider': provider, 'control_location': 'front-end', 'cipher': 'aes-xts-plain64', 'key_size': 256,
                'encryption_key_id': '00000000-0000-0000-0000-000000000000'}
    callers = [lab.caller(service='nova', conf=CONF)]
    compute = service(callers[0], metadata)
    given = {'driver_volume_type': 'iscsi', 'data': properties, 'serial': properties['volume_id']}
    attached = compute.connect(given).value
    lab.equal('the header', disk.content(0, 8), HEADERS[provider])
    path = attached['data']['device_path']
    if provider == 'luks2':
        opened(lab, path, disk)
    else:
        lab.equal('a secret for QEMU', compute.secrets().value, 1)
        lab.equal('nothing is opened', encryption.mappings(), {})

    if lab.variant == 'another_process':
        callers.append(lab.caller(service='nova', conf=CONF))
        compute = service(callers[1], metadata)
    lab.measured('disconnect', compute.disconnect(json.loads(json.dumps(attached))).seconds)
    lab.equal('no secret', compute.secrets().value, 0)
    lab.equal('no mapping', encryption.mappings(), {})
    lab.check('no link', not os.path.lexists(path))
    lab.equal('no device', lab.host.scsi_devices(), {})
    lab.equal('no session', lab.host.sessions(), {})

    # Attached again the volume is not formatted again.
    before = disk.content(0, 4096)
    attached = compute.connect(given).value
    lab.check('the header is the first one', disk.content(0, 4096) == before)
    if provider == 'luks2':
        lab.check('the data is there', lab.flow.holds_pattern(attached['data']['device_path'], disk.serial))
    compute.disconnect(attached, force=True)
    lab.equal('no mapping after the forced detach', encryption.mappings(), {})
    for caller in callers:
        lab.check('no key in the logs', KEY not in caller.log_text())


def service(caller, metadata):
    return caller.remote(caller.start('guest.services.nova:Compute', metadata, keep=True).wait())


def opened(lab, path, disk):
    lab.equal('one mapping', len(encryption.mappings()), 1)
    lab.check('the path leads to it', os.path.realpath(path).startswith('/dev/dm-'), os.path.realpath(path))
    lab.flow.write_pattern(path, disk.serial)
    lab.check('written data read back', lab.flow.holds_pattern(path, disk.serial))
    lab.check('the array holds no plain text', disk.serial.encode() not in disk.content(0, disk.size))
