"""The link of a fabric goes down: an attach over the other one, or an error; I/O goes on; the detach ends and cleans.

`attach`: one of two is down. `alone`: the only one is down. `io`: one of two goes while data flows, and comes back.
`detach`: one of two is down when the volume is detached. `forced`: both are.
"""

LEDGER = ('FC-15', 'FC-16', 'FC-25', 'ID-02', 'SE-08')
VARIANTS = ('attach', 'alone', 'io', 'detach', 'forced')
MODES = ('nova',)
PACKAGES = ('ours',)
SECONDS = 90
TIMEOUT = 500


def run(lab):
    array = lab.array(1 if lab.variant == 'alone' else 2)
    connector = lab.caller().connector('FIBRE_CHANNEL', use_multipath=lab.variant != 'alone')
    try:
        {'attach': attach, 'alone': alone, 'io': io, 'detach': detach, 'forced': forced}[lab.variant](lab, array, connector)
    finally:
        for fabric in array.fabrics:
            fabric.link_up()
    for fabric in array.fabrics:
        lab.eventually('the port is back', fabric.is_connected, 90)


def down(lab, fabric):
    fabric.link_down()
    lab.poll.until(lambda: fabric.port_state() != 'Online', 20, 'the port is away')


def attach(lab, array, connector):
    down(lab, array.fabrics[1])
    info = lab.attach(connector, array.properties(1))
    lab.check_right_disk('over one fabric', info['path'], array.luns[1])
    array.fabrics[1].link_up()
    lab.check_paths('the other fabric joins', array.luns[1], 2, 120)
    lab.detach(connector, array.properties(1), info)
    lab.equal('no device right after the detach', lab.host.scsi_devices(), {})


def alone(lab, array, connector):
    down(lab, array.fabrics[0])
    error = lab.raises('there is no way', connector.start('connect_volume', array.properties(1)),
                       'NoFibreChannelVolumeDeviceFound')
    lab.at_most('the attach ends', error.seconds, 20)
    lab.equal('nothing is left', lab.host.scsi_devices(), {})


def io(lab, array, connector):
    info = lab.attach(connector, array.properties(1))
    lab.check_paths('attached', array.luns[1], 2)
    flow = lab.flow.Flow(info['path'])
    lab.poll.until(lambda: flow.operations > 20, 20, 'data flows')
    down(lab, array.fabrics[0])
    done = flow.operations
    lab.eventually('data flows on', lambda: flow.operations > done + 20, 90)
    array.fabrics[0].link_up()
    lab.eventually('the port is back', array.fabrics[0].is_connected, 90)
    lab.equal('no I/O error', flow.stop(120), [])
    lab.measured('longest I/O', flow.longest)
    lab.check_right_disk('afterwards', info['path'], array.luns[1])
    lab.detach(connector, array.properties(1), info)
    lab.equal('no device right after the detach', lab.host.scsi_devices(), {})


def detach(lab, array, connector):
    info = lab.attach(connector, array.properties(1))
    lab.check_paths('attached', array.luns[1], 2)
    lab.flow.write_pattern(info['path'], 'before')
    down(lab, array.fabrics[0])
    answer = lab.detach(connector, array.properties(1), info)
    lab.at_most('the detach ends', answer.seconds, 60)
    lab.check('what was written is there', array.luns[1].content(0, 4096) == lab.flow.pattern('before'))
    lab.equal('no device right after the detach', lab.host.scsi_devices(), {})
    array.unmap(1)


def forced(lab, array, connector):
    info = lab.attach(connector, array.properties(1))
    lab.check_paths('attached', array.luns[1], 2)
    for fabric in array.fabrics:
        down(lab, fabric)
    answer = lab.detach(connector, array.properties(1), info, force=True, ignore_errors=True)
    lab.at_most('the detach ends', answer.seconds, 90)
    lab.eventually('no device', lambda: not lab.host.scsi_devices(), 60)
    lab.equal('no map', lab.host.dm_devices(), {})
    array.unmap(1)
