"""A volume of a real Cinder: `cinder local-attach`, write, `get-volume-paths`, `local-detach`; with both workflows of Cinder."""

from guest.cinder import PORTALS, Cinder
from guest.cinder_client import cinder as command

LEDGER = ()
IMAGE = 'cinder'
VARIANTS = ('attachments', 'attachments_multipath', 'legacy', 'legacy_multipath')
MODES = ('root',)
SECONDS = 200
TIMEOUT = 1800
UPSTREAM_LEAVES = 'the line in the wwids file'


def run(lab):
    cinder = Cinder(lab.package, lab.note)
    multipath = lab.variant.endswith('multipath')
    backend = 'lvm2' if lab.variant.startswith('legacy') else 'lvm1'
    version = '3.43' if lab.variant.startswith('legacy') else '3.60'
    volume = cinder.api.create('disk', backend)
    try:
        use(lab, cinder, volume, version, ('--multipath', str(multipath)), multipath)
    finally:
        cinder.end(volume)
    lab.equal('nothing is left at Cinder', (cinder.exported(), cinder.volumes_left()), ([], []))


def use(lab, cinder, volume, version, options, multipath):
    portals = [f'{address}:3260' for address in PORTALS]
    attached = command('local-attach', volume, '--nic', 'lo', *options, version=version)
    lab.require('local-attach', attached.status == 0, attached)
    lab.measured('local-attach', attached.seconds)
    path = attached.table()['path']
    lab.equal('in use', cinder.api.status(volume), 'in-use')
    lab.equal('sessions', lab.host.session_portals(), portals if multipath else portals[:1])
    lab.flow.write_pattern(path, volume)
    lab.check('written data is on the volume', lab.flow.holds_pattern(cinder.content_device(volume), volume))
    disk = lab.host.real_device(path).rpartition('/')[2]
    if multipath:
        lab.eventually('two paths in the map', lambda: len(lab.host.entries(f'/sys/block/{disk}/slaves')) == 2, 15)

    paths = command('get-volume-paths', 'disk', *options, version=version)
    lab.equal('get-volume-paths', paths.status, 0)
    shown = paths.output.split()
    by_path = [f'/dev/disk/by-path/ip-{portal}-iscsi-{cinder.exported()[0]}-lun-0' for portal in portals]
    lab.check('its paths', shown and set(shown) <= {*by_path, path}, paths)

    detached = command('local-detach', volume, '--nic', 'lo', *options, version=version)
    lab.check('local-detach', detached.status == 0, detached)
    lab.measured('local-detach', detached.seconds)
    lab.equal('available', (cinder.api.status(volume), cinder.api.attachments(volume)), ('available', []))
    lab.equal('no device', (lab.host.scsi_devices(), lab.host.dm_devices()), ({}, {}))
    lab.equal('no session', lab.host.sessions(), {})
    lab.equal('no record', lab.host.node_records(), [])
