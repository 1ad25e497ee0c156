"""LOCAL and GPFS volumes: the path the driver names, a device or a file, with the size it has now."""

from pathlib import Path

from guest import loop_disks

VARIANTS = ('LOCAL', 'GPFS')
SECONDS = 20
UPSTREAM_FAILS = 'asks blockdev for the size of a file; takes any device_path'
MIB = 1 << 20


def run(lab):
    disk = loop_disks.LoopDisk('local')
    file = Path(lab.make_directory('volumes')) / 'volume-1'
    file.write_bytes(bytes(3 * MIB))
    connector = lab.caller().connector(lab.variant)
    try:
        for kind, path, size in (('device', disk.path, 64 * MIB), ('file', str(file), 3 * MIB)):
            properties = {'device_path': path, 'name': 'volume-1'}
            info = lab.attach(connector, properties, f'{kind}: connect')
            lab.equal(f'{kind}: the answer', info, {'type': lab.variant.lower(), 'path': path})
            lab.equal(f'{kind}: get_volume_paths', connector.get_volume_paths(properties).value, [path])
            lab.check(f'{kind}: is readable', connector.check_valid_device(path).value)
            size_is(lab, connector, f'{kind}: size', properties, size)
            lab.detach(connector, properties, info, f'{kind}: disconnect', force=True)
        disk.grow('96M')
        file.write_bytes(bytes(5 * MIB))
        size_is(lab, connector, 'a device that grew', {'device_path': disk.path}, 96 * MIB)
        size_is(lab, connector, 'a file that grew', {'device_path': str(file)}, 5 * MIB)
    finally:
        disk.remove()
    lab.equal('nowhere to search', connector.get_search_path().value, None)
    lab.equal('nothing to list', connector.get_all_available_volumes().value, [])
    lab.check('what is not there is not readable', not connector.check_valid_device(str(file) + '-of-nobody').value)
    lab.raises('the size of what is not there',
               connector.start('extend_volume', {'device_path': str(file) + '-of-nobody'}), 'ProcessExecutionError')
    for name, properties in (('no path', {}), ('an empty path', {'device_path': ''}), ('None', {'device_path': None})):
        lab.raises(name, connector.start('connect_volume', properties), 'ValueError')


def size_is(lab, connector, name, properties, size):
    call = connector.start('extend_volume', properties)
    error = call.error()
    if lab.check(f'{name} is told', error is None, error):
        lab.equal(name, call.wait().value, size)
