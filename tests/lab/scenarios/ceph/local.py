"""An image as a block device of the kernel's: mapped once, written, grown, unmapped, and so a snapshot.

Its namesake in another pool stays."""

import errno
import os
from pathlib import Path

from guest import ceph, command, flow

IMAGE = 'ceph'
PACKAGES = ('ours',)
LEDGER = ('RB-01', 'RB-19', 'RB-21', 'RB-22', 'RB-25', 'RB-27', 'SE-11', 'X-10')
VARIANTS = ('host_keyring', 'given_keyring', 'forgotten')
SECONDS = 240
TIMEOUT = 900
SIZE = 16 << 20


def run(lab):
    cluster = ceph.Cluster(lab.note)
    cluster.remove_images()
    cluster.create('volumes/v1', SIZE)
    cluster.create('backups/v1', SIZE // 2)
    # The administrator's own mapping, which was there first.
    command.run('rbd', 'map', 'v1', '--pool', 'backups', seconds=120)
    lab.equal('the namesake is mapped', lab.host.rbd_devices(), ['rbd0 backups/v1'])
    given = {} if lab.variant == 'host_keyring' else {'keyring': cluster.keyring}
    properties = cluster.properties('volumes/v1', **given)
    connector = lab.caller().connector('RBD', do_local_attach=True)
    try:
        use(lab, cluster, connector, properties)
    finally:
        command.run('rbd', 'unmap', '/dev/rbd0', check=False, seconds=120)
    cluster.remove_images()


def use(lab, cluster, connector, properties):
    info = lab.attach(connector, properties)
    lab.equal('the path', info['path'], '/dev/rbd/volumes/v1')
    lab.equal('the kernel has both', lab.host.rbd_devices(), ['rbd0 backups/v1', 'rbd1 volumes/v1'])
    lab.equal('its link', os.path.realpath(info['path']), '/dev/rbd1')
    lab.equal('a file with the key is there if the key was given', 'conf' in info, 'keyring' in properties)
    for path in map(Path, lab.host.ceph_confs()):
        lab.equal('it is root\'s alone', (path.stat().st_uid, path.stat().st_mode & 0o7777), (0, 0o600))
    flow.write_pattern(info['path'], 'rbd')
    lab.check('written data read back', flow.holds_pattern(info['path'], 'rbd'))
    lab.equal('it is in the cluster', cluster.content('volumes/v1', 0, flow.BLOCK), flow.pattern('rbd'))
    lab.equal('the namesake is empty', cluster.content('backups/v1', 0, flow.BLOCK), bytes(flow.BLOCK))
    lab.equal('the device can be read', connector.check_valid_device(info['path']).value, True)

    snapshot(lab, cluster, connector, properties, info['path'])
    connector.connect_volume(properties)
    lab.equal('a second attach maps nothing', lab.host.rbd_devices(), ['rbd0 backups/v1', 'rbd1 volumes/v1'])
    with cluster.image('volumes/v1') as image:
        image.resize(2 * SIZE)
    lab.equal('extend tells the new size', connector.extend_volume(properties).value, 2 * SIZE)
    lab.equal('the kernel has it', lab.host.size_of(info['path']), 2 * SIZE)

    with open(info['path'], 'rb'):
        lab.raises('a device in use stays', connector.start('disconnect_volume', properties, info),
                   'ProcessExecutionError')
    lab.equal('it is still there', lab.host.rbd_devices(), ['rbd0 backups/v1', 'rbd1 volumes/v1'])
    lab.detach(connector, properties, None if lab.variant == 'forgotten' else info)
    lab.equal('only the namesake is left', lab.host.rbd_devices(), ['rbd0 backups/v1'])
    lab.equal('no file is left', lab.host.ceph_confs(), [])
    connector.disconnect_volume(properties, info)


def snapshot(lab, cluster, connector, properties, origin):
    """A device of its own with the data of then, which nobody can write."""
    with cluster.image('volumes/v1') as image:
        image.create_snap('then')
    flow.write_pattern(origin, 'now')
    of_snapshot = dict(properties, name='volumes/v1@then')
    info = lab.attach(connector, of_snapshot, 'connect of a snapshot')
    lab.equal('the path of the snapshot', info['path'], '/dev/rbd/volumes/v1@then')
    lab.check('it has the data of then', flow.holds_pattern(info['path'], 'rbd'))
    lab.check('and its origin that of now', flow.holds_pattern(origin, 'now'))
    try:
        flow.write_pattern(info['path'], 'never')
        lab.check('it cannot be written', False)
    except OSError as error:
        lab.check('it cannot be written', error.errno in (errno.EROFS, errno.EPERM, errno.EACCES), error)
    lab.equal('extend tells its own size', connector.extend_volume(of_snapshot).value, SIZE)
    lab.detach(connector, of_snapshot, info, 'disconnect of a snapshot')
    lab.equal('the origin stays', lab.host.rbd_devices(), ['rbd0 backups/v1', 'rbd1 volumes/v1'])
