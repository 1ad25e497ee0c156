"""A Ceph cluster in the guest: one monitor, one OSD that keeps its objects in memory, cephx on, no manager.

Started by the first scenario that asks and kept as long as the machine lives. It is driven through librados: the
`ceph` program would be imported anew for each command. What must not live here: anything an initiator does.
"""

import contextlib
import json
import os
from pathlib import Path
import pwd
import shutil
import subprocess
import uuid

from guest import command, daemons, poll

ETC = Path('/etc/ceph')
DATA = Path('/run/lab/ceph')
ADDRESS = '127.0.0.1'
PORTS = {'v2': 3300, 'v1': 6789}
POOLS = ('volumes', 'backups')
USER = 'cinder'

CONFIGURATION = '''[global]
fsid = {fsid}
mon_host = [v2:{address}:{ports[v2]},v1:{address}:{ports[v1]}]
public_addr = {address}
cluster_addr = {address}
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
log_file = /run/lab/log/ceph-$name.log
run_dir = {data}
admin_socket =
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 8
osd_pool_default_pg_autoscale_mode = off
mon_allow_pool_delete = true

[mon]
mon_data = {data}/mon
mon_allow_pool_size_one = true

[osd]
osd_data = {data}/osd
osd_objectstore = memstore
memstore_device_bytes = 1073741824
osd_crush_initial_weight = 1
osd_crush_chooseleaf_type = 0
'''


class Cluster:
    """The cluster, and what its administrator does; images made here go with `remove_images`."""

    def __init__(self, say=lambda text: None):
        if not shutil.which('ceph-osd'):
            raise RuntimeError("this machine has no Ceph: the scenario needs IMAGE = 'ceph'")
        self.say = say
        if not daemons.pids('ceph-osd'):
            self._start()
        self.admin = self._connect()
        self.keyring = self._user_keyring()

    # Bringing it up.

    def _start(self):
        shutil.rmtree(DATA, ignore_errors=True)
        for directory in (ETC, DATA / 'mon', DATA / 'osd'):
            directory.mkdir(parents=True, exist_ok=True)
        fsid = str(uuid.uuid4())
        (ETC / 'ceph.conf').write_text(CONFIGURATION.format(fsid=fsid, address=ADDRESS, ports=PORTS, data=DATA))
        self._start_monitor(fsid)
        self.admin = self._connect()
        self.say('the monitor answers')
        self._start_osd()
        self.say('the OSD is up')
        for pool in POOLS:
            self.ask('osd pool create', pool=pool, pg_num=8, pgp_num=8)
            self.ask('osd pool application enable', pool=pool, app='rbd')
        self.say('the pools are there')

    def _start_monitor(self, fsid):
        administrator, all_keys = ETC / 'ceph.client.admin.keyring', DATA / 'mon.keyring'
        administrator.unlink(missing_ok=True)
        command.run('ceph-authtool', '--create-keyring', all_keys, '--gen-key', '-n', 'mon.', '--cap', 'mon', 'allow *',
                    seconds=120)
        command.run('ceph-authtool', '--create-keyring', administrator, '--gen-key', '-n', 'client.admin',
                    '--cap', 'mon', 'allow *', '--cap', 'osd', 'allow *', '--cap', 'mgr', 'allow *', seconds=120)
        command.run('ceph-authtool', all_keys, '--import-keyring', administrator, seconds=120)
        addresses = ','.join(f'{version}:{ADDRESS}:{port}' for version, port in PORTS.items())
        command.run('monmaptool', '--create', '--clobber', '--fsid', fsid, '--addv', 'lab', f'[{addresses}]',
                    DATA / 'monmap', seconds=120)
        command.run('ceph-mon', '--mkfs', '-i', 'lab', '--monmap', DATA / 'monmap', '--keyring', all_keys, seconds=300)
        _daemon('ceph-mon', '-i', 'lab')

    def _start_osd(self):
        identity = str(uuid.uuid4())
        keyring = DATA / 'osd/keyring'
        command.run('ceph-authtool', '--create-keyring', keyring, '--gen-key', '-n', 'osd.0', seconds=120)
        secret = command.run('ceph-authtool', keyring, '-n', 'osd.0', '--print-key', seconds=120).strip()
        number = json.loads(self.ask('osd new', stdin=json.dumps({'cephx_secret': secret}), uuid=identity))['osdid']
        if number != 0:
            raise RuntimeError(f'the first OSD has the number {number}')
        command.run('ceph-osd', '--mkfs', '-i', '0', '--osd-uuid', identity, seconds=300)
        _daemon('ceph-osd', '-i', '0')
        poll.until(lambda: json.loads(self.ask('osd stat'))['num_up_osds'] == 1, 300, 'the OSD is up', interval=0.5)

    def _connect(self):
        import rados
        admin = rados.Rados(rados_id='admin', conffile=str(ETC / 'ceph.conf'))
        admin.connect(timeout=300)
        return admin

    def ask(self, prefix, stdin='', **arguments):
        """A command of the monitor's; its output."""
        message = json.dumps({'prefix': prefix, 'format': 'json', **arguments})
        status, output, text = self.admin.mon_command(message, stdin.encode(), timeout=120)
        if status:
            raise RuntimeError(f'{prefix}: {status} {text}')
        return output.decode()

    def _user_keyring(self):
        """The service's user may use the pools; its keyring is where a compute host has it."""
        answer = json.loads(self.ask('auth get-or-create', entity=f'client.{USER}',
                                     caps=['mon', 'profile rbd', 'osd', 'profile rbd']))
        self.key = answer[0]['key']
        text = f'[client.{USER}]\n\tkey = {self.key}\n'
        path = ETC / f'ceph.client.{USER}.keyring'
        path.write_text(text)
        os.chown(path, 0, pwd.getpwnam('nova').pw_gid)
        path.chmod(0o640)
        return text

    # What an administrator does with images.

    @contextlib.contextmanager
    def pool(self, name):
        with self.admin.open_ioctx(name) as ioctx:
            yield ioctx

    @contextlib.contextmanager
    def image(self, name, **options):
        """librbd's own object of `pool/image`."""
        import rbd
        pool, image = name.split('/')
        with self.pool(pool) as ioctx, rbd.Image(ioctx, image, **options) as opened:
            yield opened

    def create(self, name, size):
        """An image the kernel's client can map."""
        import rbd
        pool, image = name.split('/')
        with self.pool(pool) as ioctx:
            rbd.RBD().create(ioctx, image, size, old_format=False, features=rbd.RBD_FEATURE_LAYERING)

    def content(self, name, offset, length, snapshot=None):
        with self.image(name, snapshot=snapshot, read_only=True) as image:
            return image.read(offset, length)

    def remove_images(self):
        import rbd
        for pool in POOLS:
            with self.pool(pool) as ioctx:
                for image in rbd.RBD().list(ioctx):
                    self._remove(ioctx, image)

    @staticmethod
    def _remove(ioctx, name):
        import rbd
        with rbd.Image(ioctx, name) as image:
            for snapshot in list(image.list_snaps()):
                image.remove_snap(snapshot['name'])
        rbd.RBD().remove(ioctx, name)

    def watchers(self, name):
        """How many clients have the image open for writing, this one left out."""
        with self.image(name, read_only=True) as image:
            return len(list(image.watchers_list()))

    def properties(self, name, **changes):
        """As Cinder's driver describes a volume."""
        return {'name': name, 'hosts': [ADDRESS], 'ports': [str(PORTS['v1'])], 'cluster_name': 'ceph',
                'auth_enabled': True, 'auth_username': USER, 'secret_type': 'ceph', 'access_mode': 'rw',
                'encrypted': False, 'discard': True, **changes}


def _daemon(*argv):
    log = open(f'/run/lab/log/{argv[0]}.out.log', 'ab')
    with log:
        subprocess.Popen([argv[0], '-f', *argv[1:]], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                         start_new_session=True)
