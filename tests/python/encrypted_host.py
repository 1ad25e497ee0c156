# SPDX-License-Identifier: Apache-2.0
"""A host whose devices are files.

cryptsetup, blkid, dd and cmp are the real programs; mappings, which need the kernel's device-mapper, are pretended as
files in a directory.
"""

import os
import pathlib
import subprocess

from oslo_concurrency import processutils as putils

from os_brick import encrypted_link
from os_brick import encryptors
from os_brick.encryptors import dm_crypt

#: What the key below comes to.
PASSPHRASE = '04ab'

ERRORS = {
    'busy': (5, 'Device crypt already exists.'),
    'absent': (4, 'Device crypt is not active.'),
}


class Key:
    """A secret of the key manager."""

    def __init__(self, value=b'\x04\xab', kind='symmetric'):
        self.value, self.kind = value, kind

    def managed_type(self):
        return self.kind

    def get_encoded(self):
        return self.value


class KeyManager:
    """Knows one key, under the id `key-1`."""

    def __init__(self, key=None):
        self.key = key or Key()
        self.asked = []

    def get(self, context, key_id):
        self.asked.append((context, key_id))
        return self.key


class Host:
    """Runs commands, remembers them, and fails those it is told to.

    :ivar commands: the command lines, without what the caller passed on stdin
    :ivar stdin: what each command got there, by the same index
    :ivar failures: {word: (exit code, stderr)}; a command that holds the word fails
    :ivar before: {word: function}; called before a command that holds the word
    """

    def __init__(self, directory):
        self.mapper = directory / 'mapper'
        self.sys = directory / 'sys'
        self.mapper.mkdir()
        self.disk = directory / 'sda'
        with open(self.disk, 'wb') as stream:
            stream.truncate(32 << 20)
        self.link = pathlib.Path(encrypted_link.name_for(str(self.disk)))
        self.link.symlink_to(self.disk)
        self.commands, self.stdin, self.failures, self.before = [], [], {}, {}
        self.options = []
        self.in_use = set()

    def execute(self, *cmd, **kwargs):
        assert all(isinstance(word, str) for word in cmd), cmd
        assert kwargs['run_as_root'] is True and kwargs['root_helper'] == 'sudo'
        self.commands.append(' '.join(cmd))
        self.stdin.append(kwargs.get('process_input'))
        self.options.append({key: value for key, value in kwargs.items() if key not in (
            'process_input', 'run_as_root', 'root_helper')})
        for word, function in list(self.before.items()):
            if word in cmd:
                function()
        failure = next((self.failures[word] for word in self.failures if word in cmd), None)
        code, out, err = (failure[0], '', failure[1]) if failure else self._run(cmd, kwargs)
        accepted = kwargs.get('check_exit_code', True)
        accepted = [0] if accepted is True else accepted
        if code not in accepted:
            raise putils.ProcessExecutionError(stdout=out, stderr=err, exit_code=code, cmd=' '.join(cmd))
        return out, err

    def _run(self, cmd, kwargs):
        name = getattr(self, '_' + '_'.join(word for word in cmd[:2] if word[0] not in '-/'), None)
        if name:
            return name(cmd, kwargs)
        return self._program(cmd, kwargs)

    @staticmethod
    def _program(cmd, kwargs):
        done = subprocess.run(cmd, input=(kwargs.get('process_input') or '').encode(), capture_output=True, timeout=60)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    # The commands that need a kernel, or that would take long.

    def _blockdev(self, cmd, kwargs):
        return 0, f'{os.stat(cmd[-1]).st_size}\n', ''

    def _cryptsetup(self, cmd, kwargs):
        """Format, with `--batch-mode` before the verb."""
        quick = ['--pbkdf', 'pbkdf2'] if 'luks2' in cmd else []
        return self._program((*cmd[:-1], *quick, '--pbkdf-force-iterations', '1000', cmd[-1]), kwargs)

    def _cryptsetup_luksOpen(self, cmd, kwargs):
        if '--test-passphrase' in cmd:
            return self._program(cmd, kwargs)
        device, name = cmd[-2:]
        found = self._program(('cryptsetup', 'luksOpen', '--test-passphrase', '--key-file=-', device), kwargs)
        return found if found[0] else self._map(device, name)

    def _cryptsetup_create(self, cmd, kwargs):
        name, device = cmd[-2:]
        return self._map(device, name)

    def _map(self, device, name):
        if (self.mapper / name).exists():
            code, text = ERRORS['busy']
            return code, '', text
        self.open(name, device)
        return 0, '', ''

    def _cryptsetup_luksClose(self, cmd, kwargs):
        name = cmd[-1]
        if not (self.mapper / name).exists():
            code, text = ERRORS['absent']
            return code, '', text
        if name in self.in_use:
            return 5, '', 'Device crypt is still in use.'
        (self.mapper / name).unlink()
        return 0, '', ''

    _cryptsetup_remove = _cryptsetup_luksClose

    def _cryptsetup_status(self, cmd, kwargs):
        return 0, f'{self.mapper}/{cmd[-1]} is active.\n', ''

    def _cryptsetup_resize(self, cmd, kwargs):
        return 0, '', ''

    def open(self, name, device, uuid='CRYPT-LUKS1-x'):
        """Let there be a mapping over a device; all mappings of this host share one entry of sysfs."""
        (self.mapper / name).write_bytes(b'decrypted')
        entry = self.sys / '0:0'
        (entry / 'dm').mkdir(parents=True, exist_ok=True)
        (entry / 'dm/uuid').write_text(uuid + '\n')
        slaves = entry / 'slaves'
        slaves.mkdir(exist_ok=True)
        for slave in slaves.iterdir():
            slave.unlink()
        (slaves / os.path.basename(device)).touch()

    def mappings(self):
        return sorted(os.listdir(self.mapper))

    def verbs(self):
        """The commands without their devices: `cryptsetup luksOpen` and the like."""
        words = [[word for word in line.split() if word[0] not in '-/' and '=' not in word] for line in self.commands]
        return [' '.join(line[:2] if line[0] == 'cryptsetup' else line[:1]) for line in words]


def install(directory, monkeypatch):
    """Let os-brick see a host with one blank device and its link."""
    monkeypatch.setattr(encrypted_link, 'PREFIX', str(directory / 'os-brick'))
    host = Host(directory)
    monkeypatch.setattr(dm_crypt, '_DEV', str(directory))
    monkeypatch.setattr(dm_crypt, '_MAPPER', str(host.mapper))
    monkeypatch.setattr(dm_crypt, '_SYS_DEV_BLOCK', str(host.sys))
    return host


def mapping(host):
    return f'crypt-{host.link.name}'


def connection(host, **data):
    return {'driver_volume_type': 'iscsi', 'serial': 'volume-1',
            'data': {'device_path': str(host.link), 'auth_password': 'hunter2', **data}}


def make(host, provider='luks', key=None, **data):
    return encryptors.get_volume_encryptor(
        'sudo', connection(host, **data), KeyManager(key), host.execute, control_location='front-end',
        provider=provider, encryption_key_id='key-1')


def attach(host, provider='luks', key=None, **metadata):
    encryptor = make(host, provider, key)
    encryptor.attach_volume('context', **metadata)
    return encryptor


def format_disk(host, key=PASSPHRASE, version='luks1'):
    """Put a header on the device, with no trace in what the host remembers; return its content."""
    host.execute('cryptsetup', '--batch-mode', 'luksFormat', '--type', version, '--key-file=-', str(host.disk),
                 process_input=key, run_as_root=True, root_helper='sudo')
    for remembered in (host.commands, host.stdin, host.options):
        remembered.clear()
    return host.disk.read_bytes()
