"""Eight volumes of one subsystem attach at once, from two processes, and detach at once: one controller for each portal,
and none when the storage has unmapped the volumes, although no detach was the last."""

LEDGER = ('NV-10', 'NV-11', 'NV-12', 'NV-19')
MODES = ('nova',)
SECONDS = 60
COUNT = 8
UPSTREAM_FAILS = 'detaches at once leave controllers'


def run(lab):
    subsystem = lab.nvmet.create(portals=2, namespaces=COUNT)
    callers = [lab.caller(), lab.caller()]
    pairs = [(callers[nsid % 2].connector('NVME', use_multipath=True), nsid) for nsid in subsystem.namespaces]
    started = [(connector, nsid, connector.start('connect_volume', subsystem.properties(nsid))) for connector, nsid in pairs]
    answers = {nsid: pending.wait(300).value for _, nsid, pending in started}
    for nsid, info in answers.items():
        lab.equal(f'volume {nsid}: identity', lab.host.nvme_uuid(info['path']), subsystem.namespaces[nsid].uuid)
    lab.equal('a controller per portal', lab.host.nvme_portals(subsystem.nqn), subsystem.addresses)
    # The storage unmaps a volume when its detach has returned; until then each sees the others' volumes.
    half = [nsid for nsid in answers if nsid <= COUNT // 2]
    for nsids in (half, [nsid for nsid in answers if nsid not in half]):
        ended = [connector.start('disconnect_volume', subsystem.properties(nsid), answers[nsid])
                 for connector, nsid in pairs if nsid in nsids]
        for pending in ended:
            pending.wait(300)
        for nsid in nsids:
            subsystem.namespaces[nsid].unmap()
        if nsids == half:
            lab.equal('the other volumes keep the controllers', lab.host.nvme_portals(subsystem.nqn), subsystem.addresses)
    # The kernel hears of it and looks for itself; on a busy machine that takes a while.
    lab.eventually('the host has seen that they are unmapped', lambda: not shown(lab, subsystem), 60,
                   lambda: shown(lab, subsystem))
    lab.eventually('no controller, and nobody detached anything since', lambda: not lab.host.nvme_controllers(), 60,
                   lambda: lab.host.nvme_controllers())


def shown(lab, subsystem):
    return [path for each in lab.host.nvme_controllers(subsystem.nqn).values() for path in each['namespaces']]
