"""Volumes in NFS shares: mounted once whoever asks, in the newest version the server speaks, and never unmounted.

`v3` is a server without version 4, which is found out by trying.
"""

import hashlib
from pathlib import Path

from guest import command, nfs

LEDGER = ('RF-01', 'RF-03', 'RF-04', 'RF-07')
VARIANTS = ('v4', 'v3')
SECONDS = 60
UPSTREAM_FAILS = 'looks for the share among the mount points, so a mount that another one preceded fails'
# Without statd, which version 3 wants for its locks.
OPTIONS = {'v4': None, 'v3': '-o nolock'}


def run(lab):
    server = nfs.Server(version=int(lab.variant[1]))
    try:
        base = lab.make_directory('mounts')
        share = server.export('one')
        properties = volume(lab, share, 'volume-1')
        connector = lab.caller().connector('NFS', conn={'mount_point_base': base})
        path = mount_and_read(lab, connector, properties, base)
        mount_again(lab, connector, properties, path)
        two_at_once(lab, server, base)
        wrong_input(lab, connector, properties)
        busy(lab, connector, properties, path)
    finally:
        server.stop()


def volume(lab, share, name):
    """A file in a share, and the connection properties that lead to it."""
    Path(share.partition(':')[2], name).write_text(f'content of {name}')
    return {'export': share, 'name': name, 'options': OPTIONS[lab.variant]}


def mount_point(base, share):
    return f'{base}/{hashlib.md5(share.encode()).hexdigest()}'


def shares(lab):
    return [(share, path) for share, path, _options in lab.host.network_mounts()]


def mount_and_read(lab, connector, properties, base):
    info = lab.attach(connector, properties)
    place = mount_point(base, properties['export'])
    lab.equal('the answer', info, {'path': f'{place}/volume-1'})
    lab.equal('one mount', shares(lab), [(properties['export'], place)])
    options = lab.host.network_mounts()[0][2].split(',')
    lab.check('the newest version is used', f"vers={'4.2' if lab.variant == 'v4' else '3'}" in options, options)
    lab.equal('the content', Path(info['path']).read_text(), 'content of volume-1')
    lab.equal('get_search_path', connector.get_search_path().value, base)
    lab.equal('get_all_available_volumes', connector.get_all_available_volumes().value, [place])
    return info['path']


def mount_again(lab, connector, properties, path):
    before = lab.host.network_mounts()
    answer = connector.connect_volume(properties)
    lab.check('nothing is run for what is mounted', not any('Running cmd' in line for line in answer.logs), answer.logs)
    lab.equal('get_volume_paths', connector.get_volume_paths(properties).value, [path])
    other = lab.caller(user='root').connector('NFS', conn={'mount_point_base': str(Path(path).parents[1])})
    lab.equal('another service gets the same', other.connect_volume(properties).value, {'path': path})
    flags = (properties['options'] or '').split()
    call = connector.start('_remotefsclient._mount_nfs', properties['export'], str(Path(path).parent), flags)
    error = call.error()
    lab.check('mount itself says that it is mounted, and that is success', error is None, error)
    for force in (False, True):
        connector.disconnect_volume(properties, {'path': path}, force=force)
    lab.equal('all of it is one mount', lab.host.network_mounts(), before)
    lab.raises('extend is refused', connector.start('extend_volume', properties), 'NotImplementedError')


def two_at_once(lab, server, base):
    properties = volume(lab, server.export('two'), 'volume-2')
    place = mount_point(base, properties['export'])
    connectors = [lab.caller(user=user).connector('NFS', conn={'mount_point_base': base})
                  for user in (lab.mode, 'root')]
    pending = [connector.start('connect_volume', properties) for connector in connectors * 2]
    for number, call in enumerate(pending, 1):
        error = call.error()
        if lab.check(f'{number} of 4 at once', error is None, error):
            lab.equal(f'{number} of 4: the answer', call.wait().value, {'path': f'{place}/volume-2'})
    lab.equal('four callers, one mount', [path for _share, path in shares(lab)].count(place), 1)
    command.run('umount', place)


def wrong_input(lab, connector, properties):
    before = lab.host.network_mounts()
    nowhere = dict(properties, export=properties['export'] + '-of-nobody')
    error = lab.raises('an export that does not exist', connector.start('connect_volume', nowhere), 'BrickException')
    if error:
        lab.check('every attempt is told', all(f"'{name}'" in error.message for name in ('nfs_4.2', 'nfs_4.1', 'nfs')),
                  error.message)
    for name, change in {'a name that leads out of the share': {'name': '../../etc/passwd'},
                         'a name that is a path': {'name': '/etc/passwd'}, 'an empty name': {'name': ''},
                         'an export that is an option': {'export': '--bind'}, 'no export': {'export': ''}}.items():
        lab.raises(name, connector.start('connect_volume', {**properties, **change}), 'InvalidParameterValue')
    lab.equal('nothing was mounted for it', lab.host.network_mounts(), before)


def busy(lab, connector, properties, path):
    """Whoever unmounts has to wait for the users of the volume; the next attach mounts again."""
    place = str(Path(path).parent)
    with open(path):
        try:
            command.run('umount', place)
            lab.check('a mount in use is not unmounted', False)
        except command.CommandFailed as error:
            lab.check('a mount in use is not unmounted', 'busy' in str(error), error)
    command.run('umount', place)
    lab.equal('unmounted', shares(lab), [])
    connector.connect_volume(properties)
    lab.equal('mounted again', shares(lab), [(properties['export'], place)])
    command.run('umount', place)
