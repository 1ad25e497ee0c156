# SPDX-License-Identifier: Apache-2.0
"""A host of files for `os-brick doctor`, set up well."""

import contextlib
import pathlib
import shutil
import socket
import tempfile

from os_brick import cli
from os_brick.cli import doctor

UUID = '8f2a4c1e-5b7d-4e9a-9c3f-1d2e3f4a5b6c'
FILTERS = pathlib.Path(__file__).parents[2] / 'packaging/data/data/etc/os-brick/rootwrap.d/os-brick.filters'
UNIX = 'Num       RefCount Protocol Flags    Type St Inode Path\n'
LISTENER = '0000000000000000: 00000002 00000000 00010000 0001 01 {} {}\n'


class Tree:
    """A host of files that is set up well; tests spoil it."""

    def __init__(self, root):
        self.root = root
        for name in ('sbin/iscsiadm', 'usr/sbin/multipathd', 'usr/bin/sudo', 'usr/bin/nova-rootwrap',
                     'usr/bin/cinder-rootwrap', 'usr/bin/privsep-helper'):
            self.write(name, 'node.session.scan').chmod(0o755)
        self.write('etc/iscsi/initiatorname.iscsi', '## a comment\nInitiatorName=iqn.1993-08.org.debian:01:4f2a9c71\n')
        self.write('etc/machine-id', 'a' * 32)
        self.write('etc/multipath.conf', 'defaults {\n find_multipaths no\n user_friendly_names "no"\n\tskip_kpartx yes\n}\n')
        self.write('etc/nvme/hostnqn', f'nqn.2014-08.org.nvmexpress:uuid:{UUID}\n')
        self.write('etc/nvme/hostid', f'{UUID}\n')
        for name in ('60-persistent-storage', '60-multipath', '56-dm-mpath'):
            self.write(f'usr/lib/udev/rules.d/{name}.rules', 'ACTION=="add"\n')
        self.run('iscsid', 101)
        self.run('multipathd', 202)
        self.write('proc/net/unix', UNIX + LISTENER.format(1, '@ISCSIADM_ABSTRACT_NAMESPACE')
                   + LISTENER.format(2, '@/org/kernel/linux/storage/multipathd'))
        self.write('proc/mounts', '/dev/vda1 / ext4 rw 0 0\ntmpfs /run tmpfs rw 0 0\n')
        self.path('run/udev').mkdir(parents=True)
        self.listen('run/udev/control')
        for name in ('nova', 'cinder'):
            self.write(f'etc/{name}/{name}.conf', '[os_brick]\nlock_path = /run/lock/os-brick\n')
            self.write(f'etc/{name}/rootwrap.conf', '[DEFAULT]\n'
                       f'filters_path=/etc/{name}/rootwrap.d,/usr/share/os-brick/rootwrap\nexec_dirs=/sbin,/usr/bin\n')
            self.write(f'etc/sudoers.d/{name}', f'{name} ALL = (root) NOPASSWD: /usr/bin/{name}-rootwrap '
                                                f'/etc/{name}/rootwrap.conf *\n')
        self.write('usr/share/os-brick/rootwrap/os-brick.filters', FILTERS.read_text())
        for name in ('connect_volume', 'volumes', 'sessions'):
            self.write(f'run/lock/os-brick/os-brick-{name}', '').chmod(0o666)
        self.path('run/lock/os-brick').chmod(0o1777)

    def path(self, name):
        return self.root / name

    def write(self, name, text):
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def remove(self, name):
        path = self.path(name)
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    def run(self, program, pid):
        self.write(f'proc/{pid}/comm', f'{program}\n')

    def listen(self, name):
        made = socket.socket(socket.AF_UNIX)
        made.bind(str(self.path(name)))
        made.listen(1)
        return made


@contextlib.contextmanager
def host():
    """A host whose path is short enough for the names of sockets."""
    place = pathlib.Path(tempfile.mkdtemp(dir='/tmp'))
    try:
        yield Tree(place)
    finally:
        shutil.rmtree(place)


def examine(tree, *arguments):
    found = doctor.run(cli.parser().parse_args(['doctor', '--root', str(tree.root), *arguments]))
    return {check.pop('check'): check for check in found['checks']}


def ok(*evidence):
    return {'verdict': 'ok', 'evidence': list(evidence), 'remedy': None}


def skipped(*evidence):
    return {'verdict': 'skipped', 'evidence': list(evidence), 'remedy': None}


def bad(verdict, remedy, *evidence):
    return {'verdict': verdict, 'evidence': list(evidence), 'remedy': remedy}
