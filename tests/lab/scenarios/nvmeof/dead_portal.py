"""One of two portals is dead: the attach is not held up, and the portal joins when it is back."""

VARIANTS = ('refused', 'black_hole')
MODES = ('nova',)
SECONDS = 40
GRACE = 2.0
UPSTREAM_FAILS = 'waits for the kernel, which waits for the portal'


def run(lab):
    subsystem = lab.nvmet.create(portals=2)
    properties = subsystem.properties()
    connector = lab.caller(conf={'portal_grace_period': int(GRACE)} if lab.ours else {}).connector(
        'NVME', use_multipath=True)
    info = connector.connect_volume(properties)
    healthy = info.seconds
    connector.disconnect_volume(properties, info.value)
    dead = subsystem.addresses[0]
    {'refused': subsystem.refuse, 'black_hole': subsystem.black_hole}[lab.variant](dead)
    answer = connector.connect_volume(properties)
    lab.measured('connect with a dead portal', answer.seconds)
    lab.at_most('the attach is not held up', answer.seconds, healthy + GRACE + 1)
    lab.check_right_namespace('attached', answer.value['path'], subsystem.namespaces[1])
    subsystem.restore(dead)
    if lab.ours:
        lab.eventually('the portal joins', lambda: len(lab.host.nvme_portals(subsystem.nqn)) == 2, 20)
    lab.detach(connector, properties, answer.value)
    lab.equal('no controller right after the detach', lab.host.nvme_controllers(), {})
