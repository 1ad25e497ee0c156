"""The cinderclient extension's local attach: the older workflow, and the newer one with a flat connection_info."""

LEDGER = ()
IMAGE = 'consumers'
VARIANTS = ('older', 'newer', 'newer_multipath')
MODES = ('root',)
SECONDS = 60
TIMEOUT = 600
UPSTREAM_LEAVES = 'the line in the wwids file'
OLDER = ['reserve', 'initialize_connection', 'attach', 'initialize_connection', 'begin_detaching', 'initialize_connection',
         'terminate_connection', 'detach']
NEWER = ['attachment create', 'attachment update', 'attachment complete', 'initialize_connection', 'attachment delete']


def run(lab):
    multipath, newer = lab.variant == 'newer_multipath', lab.variant != 'older'
    target = lab.targets.create(portals=4 if multipath else 1)
    disk, properties = target.luns[1], target.properties(1, plural=multipath)
    caller = lab.caller(service='brick_ext')
    session = caller.remote(caller.start('guest.services.brick_ext:Session', {'volume-1': properties},
                                         '3.44' if newer else '3.43', multipath, keep=True).wait())
    found = session.connector().value
    lab.equal('the connector', {name: found.get(name) for name in ('initiator', 'ip', 'multipath', 'do_local_attach')},
              {'initiator': 'iqn.2024-01.org.example:lab-guest', 'ip': '127.0.0.1', 'multipath': multipath,
               'do_local_attach': False})

    answer = session.attach('volume-1')
    lab.measured('attach', answer.seconds)
    lab.check_right_disk('attached', answer.value['path'], disk)
    if multipath:
        lab.check_paths('attached', disk, 4)
    lab.equal('in use', session.state('volume-1').value, 'in-use')
    by_path = [f'/dev/disk/by-path/ip-{portal}-iscsi-{target.iqn}-lun-1' for portal in target.portals]
    paths = session.paths('volume-1').value
    lab.check('its paths', paths and set(paths) <= {*by_path, answer.value['path']}, paths)
    lab.check('they are among all', set(paths) & set(session.all_paths().value), session.all_paths().value)

    # A command line keeps nothing between its runs.
    lab.measured('detach', session.detach('volume-1').seconds)
    lab.equal('available', session.state('volume-1').value, 'available')
    lab.equal('no device', (lab.host.scsi_devices(), lab.host.dm_devices()), ({}, {}))
    lab.equal('no session', lab.host.sessions(), {})
    kinds = [' '.join(call.split()[:2 if newer and call.startswith('attachment') else 1]) for call in session.calls().value]
    lab.equal('Cinder was told', kinds, NEWER if newer else OLDER)
