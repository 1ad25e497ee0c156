# SPDX-License-Identifier: Apache-2.0
"""A host with a discovery client of LightOS, for the tests of the connector."""

import queue

import pytest

from os_brick import utils
from os_brick.initiator.connectors import lightos

UUID = '6bb2e2a3-2f3f-4c7d-8a52-0c9c41b3c0a1'
OTHER = '00000000-2f3f-4c7d-8a52-0c9c41b3c0a1'
HOST_NQN = 'nqn.2014-08.org.nvmexpress:uuid:host'
SUBSYSTEM = 'nqn.2016-01.com.lightbitslabs:uuid:cluster'
PROPS = {'uuid': UUID, 'subsysnqn': SUBSYSTEM, 'lightos_nodes': {
    '10.0.0.1': {'transport_type': 'tcp', 'target_portal': '10.0.0.1', 'target_port': 8009},
    'second': {'transport_type': 'tcp', 'target_portal': '[2001:db8::2]', 'target_port': '8009'}}}
CONTENT = (f'# os_brick connector dsc file for LightOS volume: {UUID}\n'
           f'-t tcp -a 10.0.0.1 -s 8009 -q {HOST_NQN} -n {SUBSYSTEM}\n'
           f'-t tcp -a 2001:db8::2 -s 8009 -q {HOST_NQN} -n {SUBSYSTEM}\n')


class Client:
    """A discovery client, and the kernel that makes the devices; it works while we sleep."""

    def __init__(self, root):
        self.root = root
        self.directory = root / 'discovery.d'
        self.by_id = root / 'dev/disk/by-id'
        self.by_id.mkdir(parents=True)
        self.directory.mkdir()
        self.now = 0.0
        self.runs = True
        self.commands = []
        self.flush_error = None
        self.during_flush = lambda: None

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        if self.runs:
            for path in sorted(self.directory.glob('*.conf')):
                self.appear(path.stem)

    def appear(self, uuid):
        node = self.root / 'dev/nvme0n1'
        node.touch()
        if not (self.by_id / f'nvme-uuid.{uuid}').exists():
            (self.by_id / f'nvme-uuid.{uuid}').symlink_to(node)

    def block(self, name, **attributes):
        directory = self.root / 'sys/class/block' / name
        directory.mkdir(parents=True, exist_ok=True)
        for attribute, text in attributes.items():
            (directory / attribute).write_text(f'{text}\n')

    def files(self):
        return {path.name: path.read_text() for path in self.directory.iterdir()}

    def execute(self, *cmd, **kwargs):
        self.commands.append(cmd)
        self.during_flush()
        if self.flush_error:
            raise self.flush_error
        return '', ''


def drained(messages):
    return [messages.get_nowait() for _ in range(messages.qsize())]


class Host:
    """The fixtures of a test class: the client, and a connector that meets it."""

    @pytest.fixture
    def client(self, tmp_path, monkeypatch, configured):
        client = Client(tmp_path)
        monkeypatch.setattr(lightos, 'time', client)
        monkeypatch.setattr(lightos, '_SYS', str(tmp_path / 'sys'))
        monkeypatch.setattr(lightos, '_DEV', str(tmp_path / 'dev'))
        monkeypatch.setattr(utils, 'get_host_nqn', lambda: HOST_NQN)
        configured.set_override('lightos_discovery_client_dir_path', str(client.directory),
                                group='os_brick')
        yield client
        configured.clear_override('lightos_discovery_client_dir_path', group='os_brick')

    @pytest.fixture
    def device(self, tmp_path):
        return str(tmp_path / 'dev/nvme0n1')

    @pytest.fixture
    def messages(self):
        return queue.Queue()

    @pytest.fixture
    def connector(self, client, messages):
        return lightos.LightOSConnector('sudo', execute=client.execute, message_queue=messages)
