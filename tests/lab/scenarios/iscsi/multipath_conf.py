"""Every combination of find_multipaths and user_friendly_names: four paths become one map, and all of it goes again."""

LEDGER = ('IC-24', 'MP-03', 'MP-11', 'MP-24')
VARIANTS = ('no-no', 'no-yes', 'yes-no', 'yes-yes', 'strict-no', 'strict-yes')
MODES = ('nova',)
SECONDS = 30
UPSTREAM_LEAVES = 'the line in the wwids file'


def MULTIPATH(variant):
    find, friendly = variant.split('-')
    return {'find_multipaths': find, 'user_friendly_names': friendly}


def run(lab):
    target = lab.targets.create(portals=4)
    disk, properties = target.luns[1], target.properties(1)
    connector = lab.caller().connector('ISCSI', use_multipath=True)
    info = lab.attach(connector, properties)
    lab.check_paths('attached', disk, 4)
    map_name = lab.host.map_of(disk.wwid)[0]
    lab.equal('path is the map', lab.host.real_device(info['path']), f'/dev/{map_name}')
    lab.equal('multipath_id is the WWID', info.get('multipath_id'), disk.wwid)
    lab.eventually('udev leaves every path to multipath', lambda: all(map(lab.host.is_path_for_udev, lab.host.map_of(disk.wwid)[1])),
                   60, lambda: str(lab.host.map_of(disk.wwid)))
    friendly = lab.variant.endswith('yes')
    lab.equal('friendly name', lab.host.dm_devices()[map_name]['name'].startswith('mpath'), friendly)
    lab.check_right_disk('attached', info['path'], disk)
    disk.grow('72M')
    lab.equal('extend', connector.extend_volume(properties).value, disk.size)
    lab.detach(connector, properties, info)
    lab.equal('no map', lab.host.dm_devices(), {})
    lab.equal('no path in multipathd', lab.host.multipathd_paths(), [])
    lab.equal('no line in the wwids file', lab.host.wwids(), [])
