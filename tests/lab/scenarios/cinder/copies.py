"""A real Cinder copies: a volume from a volume, and host-copy migrations between two LVM groups, by our os_brick in its service."""

from guest.cinder import BACKENDS, Cinder

LEDGER = ()
IMAGE = 'cinder'
MODES = ('root',)
SECONDS = 500
TIMEOUT = 3000
UPSTREAM_LEAVES = 'the line in the wwids file'


def run(lab):
    cinder = Cinder(lab.package, lab.note)
    made = []
    try:
        # Of a type that any group may have: the scheduler chooses one.
        made.append(cinder.api.create('source', None))
        source = made[0]
        cinder.fill(source)
        wanted = cinder.checksum(source)
        made.append(cinder.api.create('copy', None, source_volid=source))
        lab.equal('the volume from the volume has its content', cinder.checksum(made[1]), wanted)
        # There and back.  The service of the group that is left does the copy; lvm2's attaches with multipath.
        for _ in BACKENDS:
            migrate(lab, cinder, source, wanted)
    finally:
        cinder.end(*made)
    # A daemon for os_brick, started by rootwrap for the service's user.
    lab.check('os_brick ran in its privileged daemon', 'os_brick.privileged.default' in cinder.privileged_daemons(),
              lab.host.cinder_processes())
    lab.equal('the services are not root', cinder.users(), ['cinder'])
    if lab.ours:
        lab.check('the engine is in the service', cinder.engine().startswith('/opt/lab/ours/'), cinder.engine())


def migrate(lab, cinder, volume, wanted):
    left = cinder.api.show(volume)['os-vol-host-attr:host'].rpartition('#')[2]
    entered, = set(BACKENDS) - {left}
    with lab.timed(f'migrate from {left}'):
        moved = cinder.api.migrate(volume, f'lab@{entered}#{entered}')
    lab.equal('it is in the other group', (moved['os-vol-host-attr:host'], moved['status']),
              (f'lab@{entered}#{entered}', 'available'))
    lab.eventually('on the disk, too, and nowhere else',
                   lambda: cinder.content_devices(volume) == [f'/dev/cinder-{entered}/volume-{volume}'], 300)
    lab.equal('with its content', cinder.checksum(volume), wanted)
    lab.equal('no device', (lab.host.scsi_devices(), lab.host.dm_devices()), ({}, {}))
    lab.equal('no session', lab.host.sessions(), {})
    lab.equal('nothing is exported', cinder.exported(), [])
