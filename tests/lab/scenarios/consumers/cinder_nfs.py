"""Cinder's own code with volumes in NFS shares: attach, copy and detach of two, and the backup driver's share.

os_brick mounts all of it, by the mount point base that comes with the connection. A wrong share is tried as often as
the backup driver does.
"""

import hashlib
from pathlib import Path

from guest import command, nfs

LEDGER = ('RF-01',)
IMAGE = 'consumers'
MODES = ('nova',)
SECONDS = 90
TIMEOUT = 900
UPSTREAM_FAILS = 'looks for the share among the mount points, so a mount that another one preceded fails'
MEGABYTES = 4
ROOT_HELPER = 'sudo cinder-rootwrap /etc/cinder/rootwrap.conf'


def run(lab):
    server = nfs.Server()
    try:
        base = lab.make_directory('mounts', user='cinder')
        volumes, backups = server.export('volumes'), server.export('backups')
        state = lab.make_directory('state', user='cinder')
        conf = {'DEFAULT.rootwrap_config': '/etc/cinder/rootwrap.conf', 'DEFAULT.my_ip': '127.0.0.1',
                'DEFAULT.host': 'storage-1', 'DEFAULT.state_path': state, 'coordination.backend_url': f'file://{state}',
                'DEFAULT.backup_share': backups, 'DEFAULT.backup_mount_point_base': base,
                'DEFAULT.backup_mount_attempts': '2'}
        copy(lab, service(lab, base, volumes, conf), base, volumes)
        back_up(lab, service(lab, base, volumes, conf), base, backups)
        wrong_share(lab, service(lab, base, volumes, {**conf, 'DEFAULT.backup_share': backups + '-of-nobody'}))
        lab.equal('each is mounted once', shares(lab), sorted((share, place(base, share)) for share in (volumes, backups)))
        for _share, path in shares(lab):
            command.run('umount', path)
    finally:
        server.stop()


def service(lab, base, share, conf):
    connections = {name: {'export': share, 'name': name, 'options': None, 'format': 'raw', 'encrypted': False}
                   for name in ('volume-1', 'volume-2')}
    caller = lab.caller(user='cinder', service='cinder', conf=conf, root_helper=ROOT_HELPER,
                        lock_path=lab.make_lock_path('cinder', 'cinder'))
    return caller.remote(caller.start('guest.services.cinder:ShareService', connections, base, keep=True).wait())


def place(base, share):
    return f'{base}/{hashlib.md5(share.encode()).hexdigest()}'


def shares(lab):
    return sorted((share, path) for share, path, _options in lab.host.network_mounts())


def copy(lab, cinder, base, share):
    directory = Path(share.partition(':')[2])
    data = lab.flow.pattern('volume-1', MEGABYTES * 256)
    (directory / 'volume-1').write_bytes(data)
    (directory / 'volume-2').write_bytes(bytes(len(data)))
    answer = cinder.copy('volume-1', 'volume-2', MEGABYTES)
    lab.measured('attach both, copy, detach both', answer.seconds)
    lab.equal('the files', answer.value, [f'{place(base, share)}/volume-{number}' for number in (1, 2)])
    lab.check('the destination holds the data', (directory / 'volume-2').read_bytes() == data)
    lab.equal('one mount for both', shares(lab), [(share, place(base, share))])
    lab.equal('Cinder was told', [call.split()[0] for call in cinder.calls().value],
              ['create_export', 'initialize_connection'] * 2 + ['terminate_connection', 'remove_export'] * 2)


def back_up(lab, cinder, base, share):
    """A share of root's becomes one that Cinder's group may write."""
    for turn in ('first', 'second'):
        answer = cinder.back_up('container', turn, f'{turn} object')
        lab.measured(f'{turn} backup', answer.seconds)
        lab.equal(f'{turn}: where the share is, and what it holds', list(answer.value), [place(base, share), f'{turn} object'])
    lab.equal('it is in the share', Path(share.partition(':')[2], 'container', 'second').read_text(), 'second object')


def wrong_share(lab, cinder):
    before = shares(lab)
    error = lab.raises('a share that does not exist', cinder.start('back_up', 'container', 'third', 'text'), 'BrickException')
    if error:
        lab.check('the error names it', '-of-nobody' in error.message, error.message)
    lab.equal('nothing was mounted for it', shares(lab), before)
