"""A wrong key, a missing image, a missing pool: a clear exception, and neither mapping nor file nor connection is left."""

from guest import ceph

IMAGE = 'ceph'
PACKAGES = ('ours',)
LEDGER = ('RB-06', 'RB-08', 'RB-18', 'SE-11')
VARIANTS = ('handle', 'local')
SECONDS = 240
TIMEOUT = 900
WRONG = '[client.cinder]\n\tkey = AQAAAAAAAAAAABAAAAAAAAAAAAAAAAAAAAAAAA==\n'


def run(lab):
    cluster = ceph.Cluster(lab.note)
    cluster.remove_images()
    cluster.create('volumes/v1', 16 << 20)
    local = lab.variant == 'local'
    caller = lab.caller()
    connector = caller.connector('RBD', do_local_attach=local)
    right = cluster.properties('volumes/v1', keyring=cluster.keyring)
    wrong = {'a wrong key': dict(right, keyring=WRONG),
             'no such image': dict(right, name='volumes/v2'),
             'no such pool': dict(right, name='nowhere/v1')}
    for name, properties in wrong.items():
        expected = ('ProcessExecutionError',) if local else ('BrickException', 'ImageNotFound')
        error = lab.raises(name, connector.start('connect_volume', properties), *expected)
        if error:
            lab.check(f'{name}: the key is not shown', cluster.key not in error.message + error.repr, error)
        lab.equal(f'{name}: nothing is mapped', lab.host.rbd_devices(), [])
        lab.equal(f'{name}: no file is left', lab.host.ceph_confs(), [])
    lab.check('the key is in no log', cluster.key not in caller.log_text())
    cluster.remove_images()
