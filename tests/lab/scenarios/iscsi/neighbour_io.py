"""A neighbour on the same sessions keeps doing I/O without an error while another volume comes and goes."""

LEDGER = ('ID-05', 'IC-20')
VARIANTS = ('single', 'multipath')
MODES = ('nova',)
SECONDS = 45
UPSTREAM_LEAVES = 'lines in the wwids file'


def run(lab):
    multipath = lab.variant == 'multipath'
    target = lab.targets.create(portals=4 if multipath else 1, luns={1: None, 2: None})
    caller = lab.caller()
    connector = caller.connector('ISCSI', use_multipath=multipath)
    neighbour = target.properties(1, plural=multipath)
    info = lab.attach(connector, neighbour)
    if multipath:
        lab.check_paths('neighbour', target.luns[1], 4)
    sessions = lab.host.sessions()
    flow = lab.flow.Flow(info['path'])
    other = target.properties(2, plural=multipath)
    for turn in (1, 2):
        came = lab.attach(connector, other, f'connect beside I/O {turn}')
        lab.check_right_disk(f'turn {turn}', came['path'], target.luns[2])
        lab.detach(connector, other, came, f'disconnect beside I/O {turn}')
        lab.equal(f'turn {turn}: the sessions are the same', lab.host.sessions(), sessions)
        lab.equal(f"turn {turn}: only the neighbour's devices", {hctl.rsplit(':')[-1] for hctl in lab.host.scsi_devices()}, {'1'})
    lab.equal('the neighbour saw no I/O error', flow.stop(), [])
    lab.check('the neighbour did I/O all the time', flow.longest < 5, f'longest I/O took {flow.longest:.1f} s',
              seconds=flow.longest)
    lab.detach(connector, neighbour, info)
    lab.equal('no session after the last detach', lab.host.sessions(), {})
