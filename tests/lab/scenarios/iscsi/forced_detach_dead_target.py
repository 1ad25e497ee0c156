"""A forced detach while the whole target is gone and writes are pending: within 60 s, and nothing is left."""

LEDGER = ('SE-08', 'ID-02', 'ID-20')
VARIANTS = ('single', 'multipath')
MODES = ('nova',)
SECONDS = 90
TIMEOUT = 600
UPSTREAM_FAILS = 'takes a little over a minute and leaves the map'
LIMIT_SECONDS = 60


def run(lab):
    multipath = lab.variant == 'multipath'
    target = lab.targets.create(portals=4 if multipath else 1)
    disk, properties = target.luns[1], target.properties(1, plural=multipath)
    connector = lab.caller().connector('ISCSI', use_multipath=multipath)
    info = lab.attach(connector, properties)
    if multipath:
        lab.check_paths('attached', disk, 4)
    target.black_hole()
    writer = lab.flow.DirtyPages(info['path'], 16)
    pending = connector.start('disconnect_volume', properties, info, force=True, ignore_errors=True)
    answer = pending.wait(LIMIT_SECONDS * 3)
    lab.at_most('forced disconnect of a dead target', answer.seconds, LIMIT_SECONDS)
    lab.equal('no SCSI device', lab.host.scsi_devices(), {})
    lab.equal('no map', lab.host.dm_devices(), {})
    lab.equal('no session', lab.host.sessions(), {})
    lab.equal('no record', lab.host.node_records(), [])
    lab.eventually('the writer is free again', writer.ended, 20)
    writer.kill()
