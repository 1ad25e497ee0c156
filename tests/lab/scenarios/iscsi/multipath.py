"""One volume over four portals: attach, I/O through the map, extend, detach with everything gone."""

LEDGER = ('IC-21', 'IC-23', 'IC-24', 'IC-40', 'LU-06')
SECONDS = 40
PORTALS = 4


def run(lab):
    target = lab.targets.create(portals=PORTALS, luns={1: None, 2: None})
    disk = target.luns[1]
    properties = target.properties(1)
    connector = lab.caller().connector('ISCSI', use_multipath=True)

    info = lab.attach(connector, properties)
    lab.equal('scsi_wwn', info.get('scsi_wwn'), disk.wwid)
    lab.equal('multipath_id', info.get('multipath_id'), disk.wwid)
    name, _ = lab.host.map_of(disk.wwid)
    lab.equal('path is the map', lab.host.real_device(info['path']), f'/dev/{name}')
    lab.check_paths('attached', disk, PORTALS)
    lab.equal('a session per portal', lab.host.session_portals(target.iqn), sorted(target.portals))
    lab.equal('only the wanted LUN is on the host', {hctl.rsplit(':')[-1] for hctl in lab.host.scsi_devices()}, {'1'})
    lab.check_right_disk('attached', info['path'], disk)
    lab.equal('extend without growth returns the size', connector.extend_volume(properties).value, disk.size)

    flow = lab.flow.Flow(info['path'])
    disk.grow('96M')
    answer = connector.extend_volume(properties)
    lab.measured('extend', answer.seconds)
    lab.equal('extend returns the new size', answer.value, disk.size)
    lab.equal('the map has the new size', lab.host.size_of(info['path']), disk.size)
    lab.equal('every path has the new size',
              {lab.host.size_of(f'/dev/{path}') for path in lab.host.map_of(disk.wwid)[1]}, {disk.size})
    lab.equal('no I/O error while extending', flow.stop(), [])
    lab.check('I/O went on', flow.operations > 0)

    lab.detach(connector, properties, info)
    lab.equal('no SCSI device right after the detach', lab.host.scsi_devices(), {})
    lab.equal('no map right after the detach', lab.host.dm_devices(), {})
    lab.equal('no session right after the detach', lab.host.sessions(), {})
