"""Disks that need no target: loop devices over files in memory. What is on them is the scenario's affair."""

from pathlib import Path

from guest import command, host
from guest.disks import FILES, size_in_bytes

PREFIX = 'loop-disk-'


class LoopDisk:
    """One disk; `path` is its device."""

    def __init__(self, name, size='64M'):
        self.file = FILES / f'{PREFIX}{name}'
        FILES.mkdir(parents=True, exist_ok=True)
        self._resize(size)
        command.run('modprobe', 'loop')
        self.path = command.run('losetup', '--find', '--show', self.file).strip()

    def _resize(self, size):
        with open(self.file, 'ab') as file:
            file.truncate(size_in_bytes(size))

    def grow(self, size):
        self._resize(size)
        command.run('losetup', '--set-capacity', self.path)

    def remove(self):
        command.run('losetup', '--detach', self.path)
        self.file.unlink()


def remove_everything():
    for name in host.loop_devices():
        command.run('losetup', '--detach', f'/dev/{name}', check=False)
    for file in Path(FILES).glob(f'{PREFIX}*'):
        file.unlink()
