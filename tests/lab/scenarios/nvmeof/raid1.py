"""A replicated volume: made once, used again, without a leg, grown, stopped; never over data, never a raw leg."""

LEDGER = ('MD-01', 'MD-02', 'MD-04', 'MD-05', 'MD-06', 'MD-07', 'X-14', 'X-15')
MODES = ('nova',)
PACKAGES = ('ours',)
SECONDS = 120
TIMEOUT = 600


def run(lab):
    legs = [lab.nvmet.create(portals=1) for _ in range(2)]
    properties = {'vol_uuid': legs[0].namespaces[1].uuid, 'alias': 'volume-1', 'replica_count': 2,
                  'volume_replicas': [leg.properties() for leg in legs]}
    one = {**properties, 'replica_count': 1, 'volume_replicas': [legs[0].properties()]}
    connector = lab.caller().connector('NVME', device_scan_attempts=1)

    lab.raises('one leg of two makes no array', connector.start('connect_volume', {
        **properties, 'volume_replicas': properties['volume_replicas'][:1]}), 'VolumeDeviceNotFound')
    lab.equal('nothing is left of the try', (lab.host.md_arrays(), lab.host.nvme_controllers()), ({}, {}))
    info = lab.attach(connector, properties)
    lab.equal('path', info['path'], '/dev/md/volume-1')
    lab.equal('two legs', [len(legs) for legs in lab.host.md_arrays().values()], [2])
    lab.flow.write_pattern(info['path'], 'mirror')
    lab.detach(connector, properties, info)
    lab.equal('nothing after the detach', (lab.host.md_arrays(), lab.host.nvme_controllers()), ({}, {}))

    info = lab.attach(connector, one, 'connect one leg')
    lab.equal('one leg: path', info['path'], '/dev/md/volume-1')
    lab.check('one leg: the data is there', lab.flow.holds_pattern(info['path'], 'mirror'))
    lab.detach(connector, one, info, 'disconnect one leg')

    info = lab.attach(connector, properties, 'connect again')
    lab.check('again: the data is there', lab.flow.holds_pattern(info['path'], 'mirror'))
    before = lab.host.size_of(info['path'])
    for leg in legs:
        leg.namespaces[1].grow('96M')
    answer = connector.extend_volume(properties)
    lab.measured('extend', answer.seconds)
    lab.check('the array grew', answer.value > before, f'{before} -> {answer.value}')
    lab.equal('the size returned is the size', lab.host.size_of(info['path']), answer.value)
    lab.detach(connector, properties, info, 'disconnect again')
    lab.equal('nothing at the end', (lab.host.md_arrays(), lab.host.nvme_controllers()), ({}, {}))
