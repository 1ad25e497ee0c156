"""Cinder's own attach, copy and detach: one volume into another with dd through rootwrap, then an image into LUKS."""

import os
from pathlib import Path

from guest import encryption

LEDGER = ()
IMAGE = 'consumers'
VARIANTS = ('single', 'multipath', 'encrypted')
MODES = ('nova',)
MULTIPATH = {'find_multipaths': 'yes'}
SECONDS = 150
TIMEOUT = 900
UPSTREAM_LEAVES = 'the line in the wwids file'
MEGABYTES = 8
KEY = '5d' * 32
CONF = {'DEFAULT.rootwrap_config': '/etc/cinder/rootwrap.conf', 'DEFAULT.my_ip': '127.0.0.1',
        'key_manager.backend': 'cinder.keymgr.conf_key_mgr.ConfKeyManager', 'key_manager.fixed_key': KEY}


def run(lab):
    multipath = lab.variant == 'multipath'
    target = lab.targets.create(portals=2 if multipath else 1, luns={1: None, 2: None})
    encrypted = lab.variant == 'encrypted'
    connections = {f'volume-{lun}': target.properties(lun, plural=multipath, encrypted=encrypted) for lun in target.luns}
    caller = lab.caller(user='cinder', service='cinder', conf=CONF, lock_path=lab.make_lock_path('cinder', 'cinder'))
    service = caller.remote(caller.start('guest.services.cinder:VolumeService', connections, multipath, keep=True).wait())
    found = service.connector().value
    lab.equal('the connector', {name: found.get(name) for name in ('initiator', 'ip', 'multipath', 'enforce_multipath')},
              {'initiator': 'iqn.2024-01.org.example:lab-guest', 'ip': '127.0.0.1', 'multipath': multipath,
               'enforce_multipath': multipath})
    if encrypted:
        image_into_encrypted(lab, caller, service, target)
    else:
        copy(lab, service, target)
    lab.equal('no device', (lab.host.scsi_devices(), lab.host.dm_devices()), ({}, {}))
    lab.equal('no session', lab.host.sessions(), {})


def copy(lab, service, target):
    source, destination = target.luns[1], target.luns[2]
    data = lab.flow.pattern(source.serial, MEGABYTES * 256)
    with open(source.file, 'r+b') as file:
        file.write(data)
    answer = service.copy('volume-1', 'volume-2', MEGABYTES)
    lab.measured('attach both, copy, detach both', answer.seconds)
    lab.check('two devices', len(set(answer.value)) == 2, answer.value)
    lab.check('the destination holds the data', destination.content(0, len(data)) == data)
    lab.equal('the array was told', [call.split()[0] for call in service.calls().value],
              ['create_export', 'initialize_connection'] * 2 + ['terminate_connection', 'remove_export'] * 2)


def image_into_encrypted(lab, caller, service, target):
    disk = target.luns[1]
    folder = Path(lab.make_directory('image', user='cinder'))
    data = lab.flow.pattern('image', MEGABYTES * 256)
    (folder / 'in').write_bytes(data)
    metadata = {'provider': 'luks', 'control_location': 'front-end', 'cipher': 'aes-xts-plain64', 'key_size': 256,
                'encryption_id': 'e1', 'encryption_key_id': '00000000-0000-0000-0000-000000000000'}
    answer = service.write_encrypted(str(folder / 'in'), 'volume-1', metadata, MEGABYTES)
    lab.measured('attach, format, copy, close, detach', answer.seconds)
    lab.equal('closed', encryption.mappings(), {})
    lab.check('no link', not os.path.lexists(answer.value))
    lab.equal('the header', disk.content(0, 8), b'LUKS\xba\xbe\0\1')
    lab.check('no plain text on the array', b'image:0:' not in disk.content(0, disk.size))
    service.read_encrypted('volume-1', str(folder / 'out'), metadata, MEGABYTES)
    lab.check('the same data comes back', (folder / 'out').read_bytes() == data)
    lab.equal('closed again', encryption.mappings(), {})
    lab.check('no key in the logs', KEY not in caller.log_text())
