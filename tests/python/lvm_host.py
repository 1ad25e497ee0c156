# SPDX-License-Identifier: Apache-2.0
"""A host with volume groups: a small LVM that answers as the real programs do."""

from oslo_concurrency import processutils as putils
import pytest

from os_brick.local_dev import lvm
from os_brick.privileged import rootwrap


class Volume:
    """A logical volume."""

    def __init__(self, size, origin=None, pool=None, kind='-'):
        self.size, self.origin, self.pool, self.kind = size, origin, pool, kind
        self.active = True
        self.in_use = False


class Host:
    """Volume groups of 10 GiB per disk, and the commands that were run."""

    def __init__(self, **groups):
        self.groups = {name.replace('_', '-'): list(disks) for name, disks in groups.items()}
        self.volumes = {name: {} for name in self.groups}
        self.commands = []
        self.environments = []
        self.failures = []
        self.slow_deactivations = 0

    def execute(self, *cmd, **kwargs):
        """Run a command, as the `execute` of an object."""
        environment = ()
        if cmd[0] == 'env':
            count = next(n for n, word in enumerate(cmd[1:], 1) if '=' not in word)
            environment, cmd = cmd[1:count], cmd[count:]
        assert (kwargs['run_as_root'], kwargs['root_helper']) == (True, 'sudo')
        self.commands.append(cmd)
        self.environments.append(environment)
        for number, (program, error) in enumerate(self.failures):
            if cmd[0] == program:
                del self.failures[number]
                raise error
        return getattr(self, '_' + cmd[0])(*cmd[1:]) or '', ''

    def ran(self, *programs):
        return [cmd for cmd in self.commands if cmd[0] in programs]

    def add(self, path, size=1.0, **options):
        group, _, name = path.partition('/')
        self.volumes[group][name] = Volume(size, **options)
        return self.volumes[group][name]

    def volume(self, path):
        group, _, name = path.partition('/')
        if name not in self.volumes.get(group, {}):
            fail(f'Failed to find logical volume "{path}"')
        return self.volumes[group][name]

    def _free(self, group):
        used = sum(volume.size for volume in self.volumes[group].values() if not volume.pool)
        return 10.0 * len(self.groups[group]) - used

    def _vgs(self, *words):
        if '--version' in words:
            return '  LVM version:     2.03.16(2) (2022-05-18)\n  Library version: 1.02.185\n'
        wanted = [words[-1]] if not words[-1].startswith('--') else list(self.groups)
        fields = words[words.index('-o') + 1].split(',')
        lines = []
        for name in wanted:
            if name not in self.groups:
                fail(f'Volume group "{name}" not found\n  Cannot process volume group {name}')
            values = {'name': name, 'uuid': f'uuid-of-{name}',
                      'size': f'{10.0 * len(self.groups[name]):.2f}',
                      'free': f'{self._free(name):.2f}', 'lv_count': len(self.volumes[name])}
            lines.append('  ' + ':'.join(str(values[field]) for field in fields))
        return '\n'.join(lines) + '\n'

    def _pvs(self, *_words):
        lines = ['  |/dev/unused|10.00|10.00', '  broken-vg|unknown device|10.00|1.00']
        lines += [f'  {group}|{disk}|10.00|{self._free(group) / len(disks):.2f}'
                  for group, disks in self.groups.items() for disk in disks]
        return '\n'.join(lines) + '\n'

    def _lvs(self, *words):
        if 'size,data_percent' in words:
            pool = self.volume(words[-1].removeprefix('/dev/'))
            # With --readonly LVM does not ask the kernel, which alone knows what is used.
            asked = pool.active and '--readonly' not in words
            return f"  {pool.size:.2f}:{'20.00' if asked else ''}\n"
        group, _, name = words[-1].partition('/')
        if group not in self.groups:
            fail(f'Volume group "{group}" not found')
        if name:
            self.volume(words[-1])
        return ''.join(f'  {group} {volume:10} {found.size:.2f}\n'
                       for volume, found in self.volumes[group].items() if name in ('', volume))

    def _lvdisplay(self, *words):
        volume = self.volume(words[-1])
        group, _, name = words[-1].partition('/')
        thick = [other for other in self.volumes[group].values()
                 if other.origin == name and not other.pool]
        if not volume.active and self.slow_deactivations:
            self.slow_deactivations -= 1
            return '  -wi-a-----\n'
        return f"  {'o' if thick else volume.kind}wi-{'a' if volume.active else '-'}-----\n"

    def _vgcreate(self, group, *disks):
        if group in self.groups:
            fail(f'A volume group called {group} already exists.')
        self.groups[group], self.volumes[group] = list(disks), {}

    def _lvcreate(self, *words):
        if words[:2] == ('-T', '-V'):
            size, name, path = words[2], words[4], words[5]
            self.volume(path)
            group, _, pool = path.partition('/')
            self._new(f'{group}/{name}', size, pool=pool, kind='V')
        elif words[0] == '-T':
            assert words[1:3] == ('-l', '100%FREE')
            self._new(words[3], f"{self._free(words[3].partition('/')[0])}g", kind='t')
        elif words[0] == '-n':
            self._new(f'{words[2]}/{words[1]}', words[4])
        else:
            assert words[0] == '--name' and words[2:5] == ('-k', 'y', '--snapshot')
            origin = self.volume(words[5])
            group, _, name = words[5].partition('/')
            size = words[words.index('-L') + 1] if '-L' in words else f'{origin.size}g'
            self._new(f'{group}/{words[1]}', size, origin=name, pool=origin.pool)
            self.volume(f'{group}/{words[1]}').active = not origin.pool

    def _new(self, path, size, **options):
        group, _, name = path.partition('/')
        if name in self.volumes[group]:
            fail(f'Logical Volume "{name}" already exists in volume group "{group}"')
        assert size[-1].lower() == 'g'
        self.add(path, float(size[:-1]), **options)

    def _lvchange(self, *words):
        volume = self.volume(words[-1])
        if words[1] == 'n' and volume.in_use:
            fail(f'Logical volume {words[-1]} in use.')
        volume.active = words[1] == 'y'

    def _lvextend(self, option, size, path):
        volume = self.volume(path)
        if float(size[:-1]) > 10:
            fail('Insufficient free space')
        volume.size = float(size[:-1])

    def _lvrename(self, group, old, new):
        self.volume(f'{group}/{old}')
        self.volumes[group][new] = self.volumes[group].pop(old)

    def _lvremove(self, *words):
        assert words[0] == '--config' and words[2] == '-f'
        if self.volume(words[3]).in_use:
            fail(f'Logical volume {words[3]} in use.')
        group, _, name = words[3].partition('/')
        del self.volumes[group][name]

    def _lvconvert(self, option, path):
        assert option == '--merge'
        self._lvremove('--config', '', '-f', path)

    def _udevadm(self, *words):
        assert words == ('settle',)


def fail(text, code=5):
    """End like a program of LVM that failed."""
    raise putils.ProcessExecutionError(stderr=f'  {text}\n', exit_code=code, cmd='lvm')


@pytest.fixture(autouse=True)
def prefix_of_the_class():
    before = lvm.LVM.LVM_CMD_PREFIX
    yield
    lvm.LVM.LVM_CMD_PREFIX = before


@pytest.fixture
def lvm_machine(monkeypatch):
    """A host with a group over two disks; also for the static methods."""
    machine = Host(my_vg=['/dev/sda', '/dev/sdb'])
    monkeypatch.setattr(rootwrap, 'execute', machine.execute)
    return machine


def make(machine, name='my-vg', **options):
    """The object, after which the record of commands is empty."""
    made = lvm.LVM(name, 'sudo', executor=machine.execute, **options)
    machine.commands.clear()
    machine.environments.clear()
    return made


@pytest.fixture
def group(lvm_machine):
    return make(lvm_machine)


def crash(code=139):
    return putils.ProcessExecutionError(exit_code=code, cmd='lvs')
