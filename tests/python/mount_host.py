# SPDX-License-Identifier: Apache-2.0
"""A host that mounts shares: its /proc/mounts is a file, its programs behave like the real ones."""

import pathlib

from oslo_concurrency import processutils as putils
import pytest

from os_brick.remotefs import remotefs

SHARE = 'nas:/vol'
V42 = ('-o', 'vers=4,minorversion=2')


class Server:
    """What a file server exports, and the versions of NFS it speaks (None: the client's choice)."""

    def __init__(self, shares=(), versions=('4.2', '4.1', None)):
        self.shares, self.versions = set(shares), versions


class Host:
    """The mounts and the commands that were run."""

    def __init__(self, root, server):
        self.root, self.server = root, server
        self.mounts = root / 'mounts'
        self.mounts.write_text('proc /proc proc rw 0 0\n')
        self.commands = []
        self.inputs = []
        self.before_mount = []

    def execute(self, *cmd, **kwargs):
        """Run a command, as the `execute` of a client."""
        self.commands.append(cmd)
        if kwargs.get('process_input'):
            self.inputs.append((cmd, kwargs['process_input']))
        assert kwargs.get('run_as_root', False) == (cmd[0] != 'mkdir')
        getattr(self, '_' + cmd[0].replace('-', '_'))(*cmd[1:])
        return '', ''

    def add(self, device, path, kind='nfs'):
        with self.mounts.open('a') as stream:
            stream.write(f'{device} {path} {kind} rw 0 0\n')

    def mounted(self):
        """Return (device, mount point) of all that is mounted."""
        return [tuple(line.split()[:2]) for line in self.mounts.read_text().splitlines()[1:]]

    def ran(self, program):
        return [cmd for cmd in self.commands if cmd[0] == program]

    def _mkdir(self, option, path):
        assert option == '-p'
        pathlib.Path(path).mkdir(parents=True, exist_ok=True)

    def _mount(self, *words):
        words = list(words)
        device, path = words[-2:]
        kind = words[words.index('-t') + 1]
        for event in self.before_mount:
            event(device, path)
        self._fail_unless(pathlib.Path(path).is_dir(), 'mount point does not exist')
        options = [option for number, word in enumerate(words) if word == '-o'
                   for option in words[number + 1].split(',')]
        if kind == 'nfs':
            version = '.'.join(option.partition('=')[2] for option in options
                               if option.startswith(('vers=', 'minorversion='))) or None
            self._fail_unless(version in self.server.versions, 'Protocol not supported')
            self._fail_unless((device, path) not in self.mounted(),
                              f'mount.nfs: {path} is busy or already mounted')
        self._fail_unless(device in self.server.shares, 'access denied by server')
        self.add(device, path, kind)

    def _pstorage_mount(self, *words):
        self._fail_unless(words[:2] == ('-c', 'cluster'), 'no such cluster')
        self.add('pstorage://cluster', words[-1], 'fuse')

    def _pstorage(self, *words):
        self._fail_unless(words == ('-c', 'cluster', 'auth-node', '-P'), 'usage')

    def _cp(self, option, source, target):
        source, target = pathlib.Path(source), pathlib.Path(target)
        if source.is_dir():
            target.mkdir()
            source, target = source / 'bs_list', target / 'bs_list'
        target.write_text(source.read_text())

    def _chown(self, *words):
        assert words[:2] == ('-R', 'root:root')

    @staticmethod
    def _fail_unless(condition, text):
        if not condition:
            raise putils.ProcessExecutionError(stderr=text, exit_code=32, cmd='mount')


@pytest.fixture
def machine(tmp_path, monkeypatch):
    machine = Host(tmp_path, Server({SHARE, 'nas:vol', '/etc/sfused.conf'}))
    monkeypatch.setattr(remotefs, '_MOUNTS', str(machine.mounts))
    monkeypatch.setattr(remotefs, '_VZSTORAGE_CLUSTERS', str(tmp_path / 'clusters'))
    (tmp_path / 'clusters').mkdir()
    return machine


@pytest.fixture
def base(tmp_path):
    return str(tmp_path / 'mnt')


def nfs(machine, base, options=None):
    return remotefs.RemoteFsClient('nfs', 'sudo', execute=machine.execute,
                                   nfs_mount_point_base=base, nfs_mount_options=options)


def options_tried(machine):
    """The arguments between `mount -t nfs` and the share of each mount."""
    return [cmd[3:-2] for cmd in machine.ran('mount')]
