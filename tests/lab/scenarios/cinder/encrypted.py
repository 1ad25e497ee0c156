"""An encrypted type with the fixed-key manager: attached by the command, opened by os_brick, backed up and restored."""

import json

from guest import cinder as cinder_module
from guest import encryption
from guest.cinder import Cinder
from guest.cinder_client import cinder as command

LEDGER = ()
IMAGE = 'cinder'
MODES = ('root',)
SECONDS = 500
TIMEOUT = 3000
UPSTREAM_LEAVES = 'the line in the wwids file'
# Else multipathd claims the single disk, and cryptsetup wants it for itself.
MULTIPATH = {'find_multipaths': 'yes'}


def run(lab):
    cinder = Cinder(lab.package, lab.note)
    kind = cinder.api.create_type('secret', volume_backend_name='lvm1')
    cinder.api.encrypt_type(kind)
    made, backups = [], []
    try:
        made.append(cinder.api.create('source', 'secret'))
        # No `encryption_key_id`: Cinder hides the one of the fixed key (FIXED_KEY_ID in its api/v3/views/volumes.py).
        lab.check('it is encrypted', cinder.api.show(made[0])['encrypted'], cinder.api.show(made[0]))
        through(lab, made[0], lambda device: lab.flow.write_pattern(device, 'plain'))
        volume = cinder.content_device(made[0])
        lab.equal('the header', lab.flow.read_pattern(volume, blocks=1)[:8], b'LUKS\xba\xbe\0\1')
        backups.append(cinder.api.back_up(made[0]))
        made.append(cinder.api.create('restored', 'secret'))
        cinder.api.restore(backups[0], made[1])
        lab.equal('the same bytes', cinder.checksum(made[1]), cinder.checksum(made[0]))
        through(lab, made[1], lambda device: lab.check('the restored volume opens and holds the data',
                                                       lab.flow.holds_pattern(device, 'plain')))
        lab.check('no key in the logs', not [name for name in cinder_module.SERVICES if cinder_module.KEY in cinder.log(name)])
    finally:
        try:
            for backup in backups:
                cinder.api.delete_backup(backup)
        finally:
            cinder.end(*made)
            cinder.api.delete_type(kind)


def through(lab, volume, use):
    """Attach by the command, open with os_brick's encryptor, use, close, detach."""
    attached = command('local-attach', volume, '--nic', 'lo')
    lab.require('local-attach', attached.status == 0, attached)
    info = attached.table()
    encryptor = encryption.Encryptor(lab.caller(), 'luks', {'volume_id': volume, 'encrypted': True}, info, key=cinder_module.KEY)
    try:
        encryptor.attach()
        try:
            use(info['path'])
        finally:
            encryptor.detach()
        lab.equal('closed', encryption.mappings(), {})
    finally:
        detached = command('local-detach', volume, '--nic', 'lo', '--device-info', json.dumps(info))
        lab.check('local-detach', detached.status == 0, detached)
    lab.equal('no device', (lab.host.scsi_devices(), lab.host.dm_devices()), ({}, {}))
