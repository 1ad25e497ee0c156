# SPDX-License-Identifier: Apache-2.0
"""A small host for the SCSI helpers: files for /sys and /dev, answers for commands."""


class Host:
    """A tree with /sys, /dev and by-id links, and the commands that were run."""

    def __init__(self, root):
        self.root = root
        self.by_id = root / 'dev/disk/by-id'
        self.by_id.mkdir(parents=True)
        (root / 'sys/block').mkdir(parents=True)
        self.commands = []
        self.answers = {}

    def attribute(self, path, text):
        path = self.root / 'sys' / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + '\n')

    def disk(self, name, hctl='2:0:0:1', wwid='naa.600a', session=None):
        """Add a SCSI disk, and its node in /dev."""
        host, channel, target, _lun = hctl.split(':')
        device = f'devices/host{host}/'
        if session is not None:
            device += f'session{session}/'
        device += f'target{host}:{channel}:{target}/{hctl}'
        (self.root / 'sys' / device / 'block' / name).mkdir(parents=True)
        (self.root / 'sys/block' / name / 'holders').mkdir(parents=True)
        (self.root / 'sys/block' / name / 'device').symlink_to(self.root / 'sys' / device)
        self.attribute(f'{device}/wwid', wwid)
        self.attribute(f'{device}/delete', '')
        (self.root / 'dev' / name).touch()
        for kind in ('scsi_host', 'iscsi_host'):
            base = self.root / 'sys/class' / kind / f'host{host}'
            base.mkdir(parents=True, exist_ok=True)
            if not (base / 'device').exists():
                (base / 'device').symlink_to(self.root / f'sys/devices/host{host}')

    def map(self, dm, uuid, slaves, name='name-of-map', ro='0'):
        """Add a device-mapper device over disks."""
        self.attribute(f'block/{dm}/dm/uuid', uuid)
        self.attribute(f'block/{dm}/dm/name', name)
        self.attribute(f'block/{dm}/ro', ro)
        for slave in slaves:
            (self.root / f'sys/block/{slave}/holders/{dm}').mkdir(parents=True)
            (self.root / f'sys/block/{dm}/slaves/{slave}').mkdir(parents=True)
        (self.root / 'dev' / dm).touch()

    def link(self, identity, device):
        (self.by_id / f'scsi-{identity}').symlink_to(self.root / 'dev' / device)

    def execute(self, *cmd, **kwargs):
        self.commands.append((cmd, kwargs))
        answer = self.answers.get(cmd, ('', ''))
        if isinstance(answer, Exception):
            raise answer
        return answer() if callable(answer) else answer

    def ran(self):
        return [cmd for cmd, _kwargs in self.commands]
