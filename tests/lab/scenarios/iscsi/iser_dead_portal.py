"""One of two portals of iSER has nobody listening: it cannot be asked over TCP first, and holds nobody up all the same."""

LEDGER = ('IC-08',)
SECONDS = 60
UPSTREAM_FAILS = 'waits two minutes for the login'
GRACE = 2


def run(lab):
    target = lab.targets.create(portals=2, iser=True)
    disk, properties = target.luns[1], target.properties()
    connector = lab.caller(conf={'portal_grace_period': GRACE} if lab.ours else {}).connector('ISER', use_multipath=True)
    healthy = connector.connect_volume(properties)
    lab.measured('connect', healthy.seconds)
    lab.check_paths('healthy', disk, 2)
    lab.detach(connector, properties, healthy.value)
    target.close_portal(target.portals[1])
    answer = connector.connect_volume(properties)
    lab.measured('connect with a dead portal', answer.seconds)
    lab.at_most('the attach is not held up', answer.seconds, healthy.seconds + GRACE + 1)
    lab.check_paths('attached', disk, 1)
    lab.detach(connector, properties, answer.value)
    left = (lab.host.scsi_devices(), lab.host.dm_devices(), lab.host.sessions())
    lab.equal('nothing right after the detach', left, ({}, {}, {}))
