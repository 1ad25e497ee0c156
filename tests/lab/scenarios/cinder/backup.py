"""`cinder-backup` with the posix driver and our os_brick: back up, restore into another volume, compare by checksum."""

from guest.cinder import Cinder

LEDGER = ()
IMAGE = 'cinder'
MODES = ('root',)
SECONDS = 400
TIMEOUT = 3000
UPSTREAM_LEAVES = 'the line in the wwids file'


def run(lab):
    cinder = Cinder(lab.package, lab.note)
    made, backups = [], []
    try:
        made.append(cinder.api.create('source', 'lvm1'))
        cinder.fill(made[0])
        wanted = cinder.checksum(made[0])
        with lab.timed('back up'):
            backups.append(cinder.api.back_up(made[0]))
        clean(lab, cinder, 'after the backup')
        made.append(cinder.api.create('restored', 'lvm2'))
        with lab.timed('restore'):
            cinder.api.restore(backups[0], made[1])
        lab.equal('the restored volume has the content', cinder.checksum(made[1]), wanted)
        clean(lab, cinder, 'after the restore')
    finally:
        for backup in backups:
            cinder.api.delete_backup(backup)
        cinder.end(*made)


def clean(lab, cinder, when):
    left = (lab.host.sessions(), lab.host.scsi_devices(), lab.host.dm_devices(), lab.host.node_records(), cinder.exported())
    lab.equal(f'{when}: the host is clean', left, ({}, {}, {}, [], []))
