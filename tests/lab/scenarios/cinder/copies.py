"""A real Cinder copies: a volume from a volume, and a host-copy migration between two LVM groups, by our os_brick in its service."""

from guest.cinder import Cinder

LEDGER = ()
IMAGE = 'cinder'
VARIANTS = ('single', 'multipath')
MODES = ('root',)
SECONDS = 300
TIMEOUT = 2400
UPSTREAM_LEAVES = 'the line in the wwids file'
# The service of the group that is left does the copy; lvm2's attaches with multipath.
FROM_TO = {'single': ('lvm1', 'lvm2'), 'multipath': ('lvm2', 'lvm1')}


def run(lab):
    cinder = Cinder(lab.package, lab.note)
    source_backend, target_backend = FROM_TO[lab.variant]
    made = []
    try:
        made.append(cinder.api.create('source', source_backend))
        source = made[0]
        cinder.fill(source)
        wanted = cinder.checksum(source)
        made.append(cinder.api.create('copy', source_backend, source_volid=source))
        lab.equal('the volume from the volume has its content', cinder.checksum(made[1]), wanted)

        with lab.timed('migrate'):
            moved = cinder.api.migrate(source, f'lab@{target_backend}#{target_backend}')
        lab.equal('it is in the other group', (moved['os-vol-host-attr:host'], moved['status']),
                  (f'lab@{target_backend}#{target_backend}', 'available'))
        lab.check('on the disk, too', cinder.content_device(source).startswith(f'/dev/cinder-{target_backend}/'),
                  cinder.content_device(source))
        lab.equal('with its content', cinder.checksum(source), wanted)
        lab.equal('no device', (lab.host.scsi_devices(), lab.host.dm_devices()), ({}, {}))
        lab.equal('no session', lab.host.sessions(), {})
        lab.equal('nothing is exported', cinder.exported(), [])
    finally:
        cinder.end(*made)
    # A daemon for os_brick, started by rootwrap for the service's user.
    lab.check('os_brick ran in its privileged daemon', 'os_brick.privileged.default' in cinder.privileged_daemons(),
              lab.host.cinder_processes())
    lab.equal('the services are not root', cinder.users(), ['cinder'])
    if lab.ours:
        lab.check('the engine is in the service', cinder.engine().startswith('/opt/lab/ours/'), cinder.engine())
