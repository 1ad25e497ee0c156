"""One volume over two fabrics: a map of both, data, an extend under I/O, detach with everything gone."""

LEDGER = ('FC-02', 'FC-08', 'MP-05', 'X-07')
SECONDS = 40
UPSTREAM_LEAVES = 'the map and the line in the wwids file'


def run(lab):
    array = lab.array(2, luns={1: None, 2: None})
    disk, properties = array.luns[1], array.properties(1)
    connector = lab.caller().connector('FIBRE_CHANNEL', use_multipath=True)
    info = lab.attach(connector, properties)
    lab.equal('path is the link by identity', info['path'], f'/dev/disk/by-id/dm-uuid-mpath-{disk.wwid}')
    lab.equal('multipath_id', info.get('multipath_id'), disk.wwid)
    lab.equal('scsi_wwn', info.get('scsi_wwn'), disk.wwid)
    lab.check_paths('attached', disk, 2)
    lab.equal('only the wanted LUN is on the host', {hctl.rsplit(':')[-1] for hctl in lab.host.scsi_devices()}, {'1'})
    lab.check_right_disk('attached', info['path'], disk)
    flow = lab.flow.Flow(info['path'])
    disk.grow('96M')
    answer = connector.extend_volume(properties)
    lab.measured('extend', answer.seconds)
    lab.equal('extend returns the new size', answer.value, disk.size)
    lab.equal('the map has the new size', lab.host.size_of(info['path']), disk.size)
    lab.equal('every path has the new size',
              {lab.host.size_of(f'/dev/{path}') for path in lab.host.map_of(disk.wwid)[1]}, {disk.size})
    lab.equal('no I/O error while extending', flow.stop(), [])
    lab.detach(connector, {**properties, 'device_path': info['path'], 'multipath_id': disk.wwid},
               {**properties, 'device_path': info['path'], 'multipath_id': disk.wwid})
    if lab.ours:
        lab.equal('no SCSI device right after the detach', lab.host.scsi_devices(), {})
        lab.equal('no map right after the detach', lab.host.dm_devices(), {})
