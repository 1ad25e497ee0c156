"""The guest's disk: a Debian 12 with the storage tools, built once and cached.

What lives here: everything that decides the bytes of the image. What must not: anything that changes
from run to run (the guest's own code and the wheel under test come in at boot, see boot.py), because a
change in this file or in the requirement files makes a new image.
"""

import contextlib
import fcntl
import hashlib
import os
from pathlib import Path
import shutil
import subprocess
import sys
import tempfile
import time

from lab import flavours

HERE = Path(__file__).resolve().parent
RELEASE = 'bookworm'
MIRROR = 'http://deb.debian.org/debian'

# Enough for a chroot in which apt works; everything else is faster through apt, which may skip fsync and docs.
BASE_PACKAGES = ('ca-certificates',)
PACKAGES = (
    'udev', 'systemd-sysv', 'kmod', 'iproute2', 'open-iscsi', 'multipath-tools', 'lvm2', 'cryptsetup-bin', 'python3',
    'procps', 'psmisc', 'sg3-utils', 'lsscsi', 'nvme-cli', 'e2fsprogs', 'nfs-common', 'nfs-kernel-server',
    'util-linux', 'fdisk', 'parted', 'dmsetup', 'nftables', 'mdadm', 'sudo', 'strace', 'initramfs-tools', 'busybox')
# Installed last, when the initramfs configuration is in place: its hook builds the initrd.
KERNEL_PACKAGE = 'linux-image-amd64'
INITRD_MODULES = ('virtio_pci', 'virtio_blk', 'ext4')

INITIATOR_NAME = 'iqn.2024-01.org.example:lab-guest'

# The first process only unpacks the real init from the second disk, so that changing that one needs no new image.
STUB_INIT = '''#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8
mountpoint -q /proc || mount -t proc proc /proc
mountpoint -q /sys || mount -t sysfs sysfs /sys
mountpoint -q /dev || mount -t devtmpfs devtmpfs /dev
mountpoint -q /run || mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /opt/lab/code /opt/lab/ours
tar -C /opt/lab/code -xf /dev/vdb || { echo "no code disk"; poweroff -f; }
exec /bin/sh /opt/lab/code/guest/init.sh
'''

# sudo starts nothing but the privsep helpers, as a compute host's sudoers would.
SUDOERS = '''Defaults:nova !syslog, !use_pty, !pam_session
nova ALL=(root) NOPASSWD: /opt/lab/bin/privsep-helper-ours *, /opt/lab/bin/privsep-helper-upstream *, \\
    /opt/lab/bin/privsep-helper-warm *
'''

PRIVSEP_HELPER = '''#!/usr/bin/python3
import sys
sys.path[:0] = ['/opt/lab/{package}', '/opt/lab/deps']
from oslo_privsep.daemon import helper_main
sys.exit(helper_main())
'''

# Hands its arguments and descriptors to a process that has the libraries imported already (guest/zygote.py).
WARM_PRIVSEP_HELPER = '''#!/bin/sh
exec /usr/bin/python3 -I -S /opt/lab/code/guest/zygote_client.py "$@"
'''

# For flavours with services: what their packages would install, and what sudo lets them run.
SERVICE_SUDOERS = '''Defaults:{service} !syslog, !use_pty, !pam_session
{service} ALL=(root) NOPASSWD: /usr/local/bin/{service}-rootwrap /etc/{service}/rootwrap.conf *, \\
    /opt/lab/bin/privsep-helper-warm *
'''

ROOTWRAP = '''#!/usr/bin/python3
import sys
sys.path[:0] = ['/opt/lab/consumers', '/opt/lab/deps']
from oslo_rootwrap.cmd import main
sys.exit(main())
'''

# rootwrap starts it by its plain name; which package it belongs to is noted where only root can write.
INSTALLED_PRIVSEP_HELPER = '''#!/bin/sh
exec /opt/lab/bin/privsep-helper-warm "$(cat /run/lab/package)" "$@"
'''


def cache_root():
    return Path(os.environ.get('OS_BRICK_LAB_CACHE') or Path.home() / '.cache' / 'os-brick-lab')


def input_hash(flavour=None):
    """A digest of everything that decides what is in the image; of the flavours only the one that is asked for."""
    digest = hashlib.sha256()
    for name in ('image.py', 'requirements.txt', 'requirements-upstream.txt'):
        digest.update((HERE / name).read_bytes())
    if flavour:
        found = flavours.find(flavour)
        digest.update(repr(found).encode())
        if found.requirements:
            digest.update((HERE / found.requirements).read_bytes())
    return digest.hexdigest()[:24]


def ensure(flavour=None, say=print):
    """The directory with disk.img, vmlinuz and initrd; builds it when there is none for these inputs."""
    root = cache_root()
    root.mkdir(parents=True, exist_ok=True)
    target = root / input_hash(flavour)
    if target.exists():
        return target
    with _build_lock(root, say):
        if not target.exists():
            _build(root, target, flavours.find(flavour), say)
    return target


@contextlib.contextmanager
def _build_lock(root, say):
    with open(root / 'build.lock', 'w') as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say('image: another run is building it, waiting')
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(root, target, flavour, say):
    for tool in ('debootstrap', 'mkfs.ext4', 'chroot'):
        if not shutil.which(tool, path=os.environ.get('PATH', '') + ':/usr/sbin:/sbin'):
            raise SystemExit(f'the lab image needs {tool}: apt-get install debootstrap e2fsprogs')
    if os.geteuid() != 0:
        raise SystemExit('the lab image is built as root')
    work = Path(tempfile.mkdtemp(prefix='building-', dir=root))
    log = root / 'build.log'
    say(f'image: building (about 3 minutes, log in {log})')
    started = time.monotonic()
    try:
        with open(log, 'w') as log_file:
            build = _Build(work, flavour, log_file, say, started)
            build.all_steps()
        work_out = work / 'out'
        os.chmod(work_out, 0o755)
        work_out.rename(target)
    except subprocess.CalledProcessError as failure:
        say(''.join(log.read_text(errors='replace').splitlines(keepends=True)[-25:]))
        raise SystemExit(f'image: {failure.cmd} failed with {failure.returncode}; see {log}') from None
    finally:
        shutil.rmtree(work, ignore_errors=True)
    say(f'image: ready after {time.monotonic() - started:.0f} s: {target}')


class _Build:
    """One build in a temporary directory: each step is a method, run in order."""

    def __init__(self, work, flavour, log_file, say, started):
        self.work, self.flavour = work, flavour
        self.log_file, self.say, self.started = log_file, say, started
        self.root = work / 'root'
        self.out = work / 'out'
        self.out.mkdir()

    def all_steps(self):
        for step in (self.debootstrap, self.configure_apt, self.install_packages, self.install_kernel,
                     self.install_python, self.configure_guest, self.shrink, self.make_disk):
            self.say(f'image: {time.monotonic() - self.started:5.0f} s  {step.__doc__}')
            step()

    def run(self, *argv, **kwargs):
        environment = dict(os.environ, DEBIAN_FRONTEND='noninteractive', LC_ALL='C.UTF-8',
                           PATH=os.environ.get('PATH', '') + ':/usr/sbin:/sbin')
        subprocess.run([str(word) for word in argv], check=True, stdin=subprocess.DEVNULL, stdout=self.log_file,
                       stderr=subprocess.STDOUT, env=environment, **kwargs)

    def chroot(self, *argv):
        self.run('env', '-i', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'DEBIAN_FRONTEND=noninteractive',
                 'LC_ALL=C.UTF-8', 'chroot', self.root, *argv)

    def write(self, path, text, mode=0o644):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def debootstrap(self):
        """Debian base system"""
        self.run('debootstrap', '--variant=minbase', '--include=' + ','.join(BASE_PACKAGES), RELEASE, self.root,
                 MIRROR)

    def configure_apt(self):
        """apt: no fsync, no documentation, no services"""
        self.write('etc/dpkg/dpkg.cfg.d/lab', 'force-unsafe-io\npath-exclude=/usr/share/doc/*\n'
                   'path-exclude=/usr/share/man/*\npath-exclude=/usr/share/locale/*\n')
        self.write('usr/sbin/policy-rc.d', '#!/bin/sh\nexit 101\n', 0o755)
        self.write('etc/apt/apt.conf.d/lab', 'APT::Install-Recommends "false";\nAPT::Sandbox::User "root";\n'
                   'Acquire::Languages "none";\n')

    def install_packages(self):
        """storage tools and targets"""
        self.chroot('apt-get', 'install', '-y', *PACKAGES, *self.flavour.packages)

    def install_kernel(self):
        """kernel and a small initrd"""
        self.write('etc/initramfs-tools/conf.d/lab', 'MODULES=list\nCOMPRESS=gzip\n')
        self.write('etc/initramfs-tools/modules', '\n'.join(INITRD_MODULES) + '\n')
        self.chroot('apt-get', 'install', '-y', KERNEL_PACKAGE)

    def install_python(self):
        """Python libraries and upstream's os-brick"""
        wanted = [('deps', 'requirements.txt'), ('upstream', 'requirements-upstream.txt')]
        if self.flavour.requirements:
            wanted.append(('consumers', self.flavour.requirements))
        for directory, requirements in wanted:
            destination = self.root / 'opt/lab' / directory
            self.run(sys.executable, '-m', 'pip', 'install', '--quiet', '--no-deps', '--no-compile',
                     '--only-binary=:all:', '--implementation=cp', '--python-version=3.11',
                     '--platform=manylinux2014_x86_64', '--platform=manylinux_2_28_x86_64', '--target', destination,
                     '-r', HERE / requirements)
            # Checked by hash never: the guest's clock and copies must not make it compile again.
            self.chroot('python3', '-m', 'compileall', '-q', '-j2', '--invalidation-mode=unchecked-hash',
                        f'/opt/lab/{directory}')

    def configure_guest(self):
        """users, sudo, privsep helpers, first process"""
        self.chroot('useradd', '--create-home', '--shell', '/bin/sh', 'nova')
        self.write('etc/sudoers.d/lab', SUDOERS, 0o440)
        for service in self.flavour.services:
            self.configure_service(service)
        for package in ('ours', 'upstream'):
            self.write(f'opt/lab/bin/privsep-helper-{package}', PRIVSEP_HELPER.format(package=package), 0o755)
        self.write('opt/lab/bin/privsep-helper-warm', WARM_PRIVSEP_HELPER, 0o755)
        self.write('opt/lab/stub-init', STUB_INIT, 0o755)
        self.write('etc/iscsi/initiatorname.iscsi', f'InitiatorName={INITIATOR_NAME}\n', 0o600)
        self.write('etc/hostname', 'lab\n')
        self.write('etc/hosts', '127.0.0.1 localhost lab\n::1 localhost\n')
        self.write('etc/machine-id', '0123456789abcdef0123456789abcdef\n')
        # Debian's rule asks systemd to start array monitors and the like; there is no systemd here to ask.
        self.write('etc/mdadm/mdadm.conf', 'AUTO -all\n')
        # target_core looks for its database directory when it is loaded.
        (self.root / 'etc/target').mkdir(exist_ok=True)

    def configure_service(self, service):
        """A user, the service's own rootwrap configuration, and sudo for that alone."""
        if service != 'nova':
            self.chroot('useradd', '--create-home', '--shell', '/bin/sh', service)
        shutil.copytree(self.root / 'opt/lab/consumers/etc' / service, self.root / 'etc' / service)
        self.write(f'usr/local/bin/{service}-rootwrap', ROOTWRAP, 0o755)
        self.write('usr/local/bin/privsep-helper', INSTALLED_PRIVSEP_HELPER, 0o755)
        self.write(f'etc/sudoers.d/lab-{service}', SERVICE_SUDOERS.format(service=service), 0o440)

    def shrink(self):
        """leave out what the guest never reads"""
        for path in ('var/cache/apt', 'var/lib/apt/lists', 'usr/share/doc', 'usr/share/man', 'usr/share/locale'):
            shutil.rmtree(self.root / path, ignore_errors=True)

    def make_disk(self):
        """ext4 image, kernel and initrd beside it"""
        boot = self.root / 'boot'
        shutil.copy(next(boot.glob('vmlinuz-*')), self.out / 'vmlinuz')
        shutil.move(str(next(boot.glob('initrd.img-*'))), self.out / 'initrd')
        disk = self.out / 'disk.img'
        self.run('mkfs.ext4', '-q', '-F', '-d', self.root, '-O', '^has_journal', '-m', '0', disk,
                 self.flavour.disk_size)
        for file in self.out.iterdir():
            file.chmod(0o644)
