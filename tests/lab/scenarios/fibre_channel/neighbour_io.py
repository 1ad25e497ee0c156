"""A neighbour on the same ports keeps doing I/O without an error while another volume comes and goes."""

LEDGER = ('FC-03', 'FC-24')
VARIANTS = ('single', 'multipath')
MODES = ('nova',)
SECONDS = 45
UPSTREAM_LEAVES = 'maps and lines in the wwids file'


def run(lab):
    multipath = lab.variant == 'multipath'
    array = lab.array(2 if multipath else 1, luns={1: None, 2: None})
    connector = lab.caller().connector('FIBRE_CHANNEL', use_multipath=multipath)
    info = lab.attach(connector, array.properties(1))
    flow = lab.flow.Flow(info['path'])
    other = array.properties(2)
    for turn in (1, 2):
        came = lab.attach(connector, other, f'connect beside I/O {turn}')
        lab.check_right_disk(f'turn {turn}', came['path'], array.luns[2])
        lab.detach(connector, other, came, f'disconnect beside I/O {turn}')
        lab.equal(f"turn {turn}: only the neighbour's devices",
                  {hctl.rsplit(':')[-1] for hctl in lab.host.scsi_devices()}, {'1'})
    lab.equal('the neighbour saw no I/O error', flow.stop(), [])
    lab.check('the neighbour did I/O all the time', flow.longest < 5, f'longest I/O took {flow.longest:.1f} s',
              seconds=flow.longest)
    lab.detach(connector, array.properties(1), info)
    lab.equal('no device after the last detach', lab.host.scsi_devices(), {})
