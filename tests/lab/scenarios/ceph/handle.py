"""An image as a file of librbd's: the right one of two pools, data, snapshot, size; nothing open or left afterwards."""

from pathlib import Path

from guest import ceph

IMAGE = 'ceph'
PACKAGES = ('ours',)
LEDGER = ('RB-02', 'RB-04', 'RB-07', 'RB-08', 'RB-10', 'RB-27', 'RB-28')
VARIANTS = ('host_keyring', 'given_keyring')
SECONDS = 240
TIMEOUT = 900
SIZE = 16 << 20

# In the worker: the handle is an object of its process.
USE = '''
import os
handle = connector.connect_volume(properties)['path']
result = {'conf': handle.rbd_conf, 'mode': os.stat(handle.rbd_conf).st_mode & 0o7777, 'start': handle.tell()}
handle.write(b'first')
handle.seek(-4, os.SEEK_END)
handle.write(b'last')
result['beyond'] = handle.read(10).decode()
handle.flush()
handle.seek(-6, os.SEEK_END)
result['end'] = handle.read(100).decode()
handle.seek(0)
result['whole'] = len(handle.read())
handle.seek(3)
result['valid'] = connector.check_valid_device(handle)
result['position'] = handle.tell()
connector.disconnect_volume(properties, {'path': handle})
result['closed'] = handle.closed
result['conf left'] = os.path.exists(handle.rbd_conf)
'''

MANY = '''
import os
before = len(os.listdir('/proc/self/fd')), len(os.listdir('/proc/self/task'))
for _ in range(5):
    info = connector.connect_volume(properties)
    connector.disconnect_volume(properties, info)
result = [before, (len(os.listdir('/proc/self/fd')), len(os.listdir('/proc/self/task')))]
'''


def run(lab):
    cluster = ceph.Cluster(lab.note)
    cluster.remove_images()
    cluster.create('volumes/v1', SIZE)
    cluster.create('backups/v1', SIZE // 2)
    given = {'keyring': cluster.keyring} if lab.variant == 'given_keyring' else {}
    properties = cluster.properties('volumes/v1', **given)
    caller = lab.caller()
    connector = caller.connector('RBD')

    seen = caller.run_source(USE, connector=connector, properties=properties).wait().value
    conf = seen.pop('conf')
    lab.check('the configuration file is a temporary one', conf.startswith('/tmp/brickrbd_'), conf)
    lab.equal('what the file did', seen, {
        'mode': 0o600, 'start': 0, 'beyond': '', 'end': '\0\0last', 'whole': SIZE, 'valid': True, 'position': 3,
        'closed': True, 'conf left': False})
    lab.equal('the beginning is in the cluster', cluster.content('volumes/v1', 0, 6), b'first\0')
    lab.equal('the end is in the cluster', cluster.content('volumes/v1', SIZE - 4, 4), b'last')
    lab.equal('the image of the other pool is empty', cluster.content('backups/v1', 0, 6), bytes(6))
    lab.equal('nobody has it open', cluster.watchers('volumes/v1'), 0)

    with cluster.image('volumes/v1') as image:
        image.create_snap('s')
        image.resize(2 * SIZE)
        image.write(b'later', 0)
    lab.equal('extend tells the new size', connector.extend_volume(properties).value, 2 * SIZE)
    read = "handle = connector.connect_volume(properties)['path']; result = handle.read(5).decode(); " \
           "connector.disconnect_volume(properties, {'path': handle})"
    of_snapshot = dict(properties, name='volumes/v1@s')
    lab.equal('the snapshot has the old data',
              caller.run_source(read, connector=connector, properties=of_snapshot).wait().value, 'first')
    before, after = caller.run_source(MANY, connector=connector, properties=properties).wait().value
    lab.equal('descriptors and threads after five attaches', after, before)
    lab.equal('no file is left', list(Path('/tmp').glob('brickrbd_*')), [])
    cluster.remove_images()
