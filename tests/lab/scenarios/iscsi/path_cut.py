"""A portal is cut while data flows: the map survives on the other paths, and the detach still leaves nothing."""

LEDGER = ('ID-09', 'ID-30', 'MP-16', 'IC-26')
VARIANTS = ('stays_cut', 'comes_back')
MODES = ('nova',)
SECONDS = 60
TIMEOUT = 500
UPSTREAM_LEAVES = 'the line in the wwids file'


def run(lab):
    target = lab.targets.create(portals=4)
    disk, properties = target.luns[1], target.properties(1)
    connector = lab.caller().connector('ISCSI', use_multipath=True)
    info = lab.attach(connector, properties)
    lab.check_paths('attached', disk, 4)
    flow = lab.flow.Flow(info['path'])
    lab.poll.until(lambda: flow.operations > 20, 20, 'data flows')
    target.refuse(target.portals[1])
    lab.eventually('the session of the cut portal is down', lambda: len(lab.host.session_portals()) == 3, 60)
    done = flow.operations
    lab.eventually('data flows on', lambda: flow.operations > done + 20, 60)
    if lab.variant == 'comes_back':
        target.restore()
        lab.eventually('the session is back', lambda: len(lab.host.session_portals()) == 4, 60)
    lab.equal('no I/O error', flow.stop(120), [])
    lab.measured('longest I/O', flow.longest)
    lab.check_right_disk('afterwards', info['path'], disk)
    lab.detach(connector, properties, info)
    lab.equal('no session right after the detach', lab.host.sessions(), {})
    lab.equal('no device right after the detach', lab.host.scsi_devices(), {})
