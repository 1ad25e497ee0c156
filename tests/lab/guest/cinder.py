"""Debian's Cinder in the guest: API, scheduler, volume with two LVM groups behind LIO, backup; RabbitMQ and SQLite.

Started by the first scenario that asks and kept as long as the machine lives, if the scenarios leave it empty. The services
run as the user `cinder`, through rootwrap and privsep, with the os_brick of the package under test in place of Debian's.
What must not live here: calls of its API (cinder_client.py).
"""

import contextlib
import json
import os
from pathlib import Path
import pwd
import shutil
import signal
import sqlite3
import subprocess
import tomllib

from guest import cinder_client, command, daemons, flow, host, poll

DATA = host.CINDER_DATA
BACKENDS = ('lvm1', 'lvm2')
PORTALS = ('127.0.1.1', '127.0.1.2')
SIZE = '6G'
DATABASE = DATA / 'state/cinder.sqlite'
CONFIGURATION = Path(host.CINDER_CONFIGURATION)
STAMP = DATA / 'stamp'
SUDOERS = Path('/etc/sudoers.d/lab-cinder')
ROOTWRAP = DATA / 'rootwrap'
# What pip would install lies before Debian's own packages.
SITE = Path('/usr/local/lib/python3.11/dist-packages')
EXTENSION = Path('/opt/lab/code/extension')
SERVICES = ('cinder-api', 'cinder-scheduler', 'cinder-volume', 'cinder-backup')
KEY = '5d' * 32

DEFAULTS = f'''[DEFAULT]
auth_strategy = noauth
transport_url = rabbit://guest:guest@127.0.0.1:5672/
my_ip = 127.0.0.1
host = lab
use_stderr = true
debug = true
state_path = {DATA}/state
rootwrap_config = /etc/cinder/rootwrap.conf
api_paste_config = /etc/cinder/api-paste.ini
osapi_volume_listen = 127.0.0.1
osapi_volume_workers = 1
enabled_backends = {','.join(BACKENDS)}
backup_driver = cinder.backup.drivers.posix.PosixBackupDriver
backup_posix_path = {DATA}/backups
backup_compression_algorithm = none
backup_file_size = 33554432
backup_workers = 1
# The processors are emulated: a service that is busy is not a service that is gone.  SQLite has one writer at a time, and a
# sign of life that meets another transaction makes that one fail.
service_down_time = 3600
report_interval = 900
periodic_interval = 300
rpc_response_timeout = 300

[database]
connection = sqlite:///{DATABASE}?timeout=120

[oslo_concurrency]
lock_path = {DATA}/state/locks

[key_manager]
backend = cinder.keymgr.conf_key_mgr.ConfKeyManager
fixed_key = {KEY}
'''

BACKEND = '''
[{name}]
volume_driver = cinder.volume.drivers.lvm.LVMVolumeDriver
volume_group = {group}
volume_backend_name = {name}
target_helper = lioadm
target_protocol = iscsi
target_ip_address = {portals[0]}
iscsi_secondary_ip_addresses = {portals[1]}
volume_clear = none
use_multipath_for_image_xfer = {multipath}
'''


class Cinder:
    """The services of one package, and the administrator's client."""

    def __init__(self, package, say=lambda text: None):
        if not shutil.which('cinder-volume'):
            raise RuntimeError("this machine has no Cinder: the scenario needs IMAGE = 'cinder'")
        self.package, self.say = package, say
        self.api = cinder_client.Api()
        wanted = stamp(package)
        if not STAMP.exists() or STAMP.read_text() != wanted:
            remove_everything()
            self._start()
            STAMP.write_text(wanted)

    def _start(self):
        DATA.mkdir(parents=True)
        command.run('mount', '-t', 'tmpfs', '-o', 'mode=755,size=8g', 'tmpfs', DATA)
        for directory in (DATA / 'state/locks', DATA / 'backups', DATA / 'disks'):
            directory.mkdir(parents=True, exist_ok=True)
        _own(DATA / 'state', DATA / 'state/locks', DATA / 'backups')
        replace_os_brick(self.package)
        _write_configuration()
        synchronised = _spawn('cinder-manage', '--config-file', CONFIGURATION, 'db', 'sync', user='cinder')
        _start_bus_and_broker()
        for name in BACKENDS:
            _make_group(name)
        if synchronised.wait(900):
            raise RuntimeError('cinder-manage db sync failed: ' + daemons.LOG.joinpath('cinder-manage.log').read_text()[-2000:])
        # Whoever reads does not keep the writer out.
        with contextlib.closing(sqlite3.connect(DATABASE)) as database:
            database.execute('PRAGMA journal_mode = WAL')
        _own(DATABASE)
        self.say('the database is there')
        poll.until(lambda: _listens(5672), 600, 'RabbitMQ answers', interval=0.5)
        self.say('RabbitMQ answers')
        for name in SERVICES:
            process = _spawn(name, '--config-file', CONFIGURATION, user='cinder')
            (DATA / f'{name}.pid').write_text(str(process.pid))
        wanted = {'cinder-scheduler': 1, 'cinder-volume': len(BACKENDS), 'cinder-backup': 1}
        poll.until(lambda: self.api.services_up() == wanted, 900, 'all services are up', interval=1)
        poll.until(lambda: len(self.api.pools()) == len(BACKENDS), 900, 'the scheduler knows the pools', interval=1)
        self.say('all services are up')
        for name in BACKENDS:
            self.api.create_type(name, volume_backend_name=name)

    def exported(self):
        """IQNs of the volumes that are exported now."""
        return sorted(name for name in host.entries('/sys/kernel/config/target/iscsi') if name.startswith('iqn.'))

    def volumes_left(self):
        """Volumes and snapshots in the groups, as device-mapper has them."""
        return sorted(name for name in _device_names() if 'pool' not in name)

    def content_device(self, volume_id):
        """The volume as the storage sees it, past every cache of an initiator."""
        found = self.content_devices(volume_id)
        return found[0] if found else None

    def content_devices(self, volume_id):
        """Two while it is in two groups: what a migration leaves is deleted after it."""
        return sorted(map(str, Path('/dev').glob(f'cinder-*/volume-{volume_id}')))

    def fill(self, volume_id):
        """Data at its begin, in its middle and at its end, and the same every time."""
        for number, offset in enumerate((0, 512 << 20, (1 << 30) - (1 << 20))):
            flow.write_pattern(self.content_device(volume_id), f'{volume_id} {number}', offset, blocks=256)

    def checksum(self, volume_id):
        """Of the whole volume, past the page cache."""
        return command.run('/bin/sh', '-c', f'dd if={self.content_device(volume_id)} bs=1M iflag=direct status=none | sha256sum',
                           seconds=600).split()[0]

    def end(self, *volumes):
        """Delete them, in whatever state they are; a snapshot or an attachment of a failed run makes that fail."""
        for volume in volumes:
            if self.api.status(volume) not in ('available', 'error'):
                self.api.reset(volume, status='available', attach_status='detached')
            self.api.delete(volume)

    def privileged_daemons(self):
        """Contexts of the daemons that rootwrap started for the services."""
        return sorted({line.split('--privsep_context ')[1].split()[0] for line in host.cinder_processes().values()
                       if 'privsep-helper' in line and '--privsep_context ' in line})

    def users(self):
        """Whose the services are, their daemons left out."""
        return sorted({Path(f'/proc/{pid}').owner() for pid, line in host.cinder_processes().items()
                       if any(f'/{name} ' in line for name in SERVICES)})

    def engine(self):
        """The file of our extension module that the volume service has loaded."""
        pid = int((DATA / 'cinder-volume.pid').read_text())
        found = [line.split()[-1] for line in host.read(f'/proc/{pid}/maps').splitlines() if 'os_brick/' in line]
        return found[0] if found else 'none'

    def log(self, name):
        return daemons.LOG.joinpath(f'{name}.log').read_text(errors='replace')


def stamp(package):
    """Another one means that the services run code that was replaced."""
    entry = Path('/opt/lab', package).stat()
    return json.dumps([package, entry.st_mtime_ns, entry.st_ino])


def replace_os_brick(package):
    """As `pip install` of the wheel would, and of the extension."""
    SITE.mkdir(parents=True, exist_ok=True)
    for old in [*SITE.glob('os_brick*'), SITE / 'brick_cinderclient_ext']:
        old.unlink(missing_ok=True)
    for entry in [*Path('/opt/lab', package).glob('os_brick*'), EXTENSION / 'brick_cinderclient_ext']:
        (SITE / entry.name).symlink_to(entry)
    project = tomllib.loads((EXTENSION / 'pyproject.toml').read_text())['project']
    metadata = SITE / 'python_brick_cinderclient_ext.dist-info'
    metadata.mkdir(exist_ok=True)
    (metadata / 'METADATA').write_text('Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n'.format(**project))


def _write_configuration():
    text = DEFAULTS
    for name in BACKENDS:
        text += BACKEND.format(name=name, group=group_of(name), portals=PORTALS, multipath=name == 'lvm2')
    CONFIGURATION.write_text(text)
    os.chown(CONFIGURATION, 0, pwd.getpwnam('cinder').pw_gid)
    CONFIGURATION.chmod(0o640)
    _write_environment_of_rootwrap()


def _write_environment_of_rootwrap():
    """A call of rootwrap takes 2 s here and not 30: eventlet takes in all of OpenSSL, for the name of an exception."""
    ROOTWRAP.mkdir()
    (ROOTWRAP / 'OpenSSL.py').write_text("raise ImportError('nothing that rootwrap starts needs it')\n")
    variables = {**cinder_client.PYTHON, 'PYTHONPATH': ROOTWRAP}
    (ROOTWRAP / 'environment').write_text(''.join(f'{name}={value}\n' for name, value in variables.items()))
    SUDOERS.write_text(f'Defaults:cinder env_file={ROOTWRAP}/environment\n')


def group_of(backend):
    return f'cinder-{backend}'


def _make_group(name):
    file = DATA / 'disks' / name
    with open(file, 'wb') as made:
        made.truncate(int(SIZE[:-1]) << 30)
    command.run('modprobe', '-a', 'loop', 'dm_snapshot', 'dm_thin_pool', 'target_core_iblock')
    device = command.run('losetup', '--find', '--show', file).strip()
    command.run('vgcreate', '--yes', group_of(name), device, seconds=120)


def _start_bus_and_broker():
    Path('/run/dbus').mkdir(exist_ok=True)
    if not daemons.pids('dbus-daemon'):
        command.run('dbus-daemon', '--system', '--fork')
    _spawn('rabbitmq-server', environment={
        'RABBITMQ_NODENAME': 'rabbit@localhost', 'HOME': '/var/lib/rabbitmq', 'RABBITMQ_LOGS': '-',
        'RABBITMQ_MNESIA_BASE': '/var/lib/rabbitmq/lab'})


def _spawn(program, *arguments, user='root', environment=None):
    account = pwd.getpwnam(user)
    env = {'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'LC_ALL': 'C.UTF-8', 'HOME': account.pw_dir,
           **cinder_client.PYTHON, **(environment or {})}
    with open(daemons.LOG / f'{program}.log', 'ab') as log:
        return subprocess.Popen(
            [program, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, cwd='/',
            user=account.pw_uid, group=account.pw_gid, extra_groups=os.getgrouplist(user, account.pw_gid),
            start_new_session=True)


def _own(*paths):
    account = pwd.getpwnam('cinder')
    for path in paths:
        os.chown(path, account.pw_uid, account.pw_gid)


def _listens(port):
    return any(line.split()[1].endswith(f':{port:04X}') and line.split()[3] == '0A'
               for table in ('tcp', 'tcp6') for line in (host.read(f'/proc/net/{table}') or '').splitlines()[1:])


def _device_names():
    return [name for name in (host.read(f'/sys/block/{entry}/dm/name') for entry in host.entries('/sys/block'))
            if name and name.startswith(host.CINDER_MAPS)]


def clean():
    """After a scenario: a Cinder that still has volumes or exports them did not end well, the next one is a new one."""
    if any('pool' not in name for name in _device_names()) or list(Path('/sys/kernel/config/target/core').glob('iblock_*/*/')):
        remove_everything()


def remove_everything():
    """Services, exports, groups, database and broker."""
    if not DATA.exists():
        return
    for file in DATA.glob('*.pid'):
        _kill_group(int(file.read_text()))
    for name in ('beam.smp', 'epmd', 'rabbitmq-server'):
        for pid in daemons.pids(name):
            os.kill(pid, signal.SIGKILL)
    poll.became_true(lambda: not host.cinder_processes(), 10)
    for pid in host.cinder_processes():
        _kill_group(pid)
    _remove_exports()
    for name in BACKENDS:
        command.run('vgremove', '-ff', '-y', group_of(name), check=False, seconds=120)
    for device in host.loop_devices(cinder=True):
        command.run('losetup', '--detach', f'/dev/{device}', check=False)
    # A program of theirs that ends late still has something open in it.
    command.run('umount', '--lazy', DATA, check=False)
    for path in (DATA, Path('/var/lib/rabbitmq/lab')):
        shutil.rmtree(path, ignore_errors=True)


def _kill_group(pid):
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


def _remove_exports():
    import rtslib_fb
    rtslib_fb.RTSRoot().clear_existing(confirm=True)
