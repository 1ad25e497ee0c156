"""Extending a volume that carries a LUKS mapping or a partition: the multipath map is found, grown and reported."""

from guest import command

LEDGER = ('X-02', 'MP-13', 'MP-14', 'ID-14')
VARIANTS = ('luks', 'partition')
MODES = ('nova',)
SECONDS = 60
UPSTREAM_LEAVES = 'the line in the wwids file'
PASSPHRASE = 'lab-passphrase'


def run(lab):
    target = lab.targets.create(portals=2)
    disk, properties = target.luns[1], target.properties(1)
    connector = lab.caller().connector('ISCSI', use_multipath=True)
    info = lab.attach(connector, properties)
    lab.check_paths('attached', disk, 2)
    remove = put_luks(info['path']) if lab.variant == 'luks' else put_partition(info['path'])
    lab.check('something holds the map', len(lab.host.dm_devices()) == 2, lab.host.dm_devices())
    disk.grow('128M')
    answer = connector.extend_volume(properties)
    lab.measured('extend', answer.seconds)
    lab.equal('the new size is returned', answer.value, disk.size)
    name, paths = lab.host.map_of(disk.wwid)
    lab.equal('the map has it', lab.host.size_of(f'/dev/{name}'), disk.size)
    lab.equal('every path has it', {lab.host.size_of(f'/dev/{path}') for path in paths}, {disk.size})
    remove()
    lab.detach(connector, properties, info)
    lab.equal('no dm device', lab.host.dm_devices(), {})


def put_luks(path):
    command.run('cryptsetup', 'luksFormat', '--batch-mode', '--type', 'luks1', '--pbkdf-force-iterations', '1000',
                '--key-file', '-', path, stdin=PASSPHRASE, seconds=120)
    command.run('cryptsetup', 'open', '--key-file', '-', path, 'lab-crypt', stdin=PASSPHRASE, seconds=120)
    return lambda: command.run('cryptsetup', 'close', 'lab-crypt')


def put_partition(path):
    command.run('sfdisk', path, stdin='label: dos\n2048,65536\n', seconds=60)
    command.run('kpartx', '-a', '-s', path, seconds=60)
    return lambda: command.run('kpartx', '-d', '-s', path, seconds=60)
