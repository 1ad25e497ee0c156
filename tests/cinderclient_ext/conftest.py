# SPDX-License-Identifier: Apache-2.0
"""A small Cinder, a volume in it whose device is a file, and clients."""

import importlib.util
import pathlib
import socket
import sys

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
for module, folder in (('os_brick', 'python'), ('brick_cinderclient_ext', 'cinderclient-ext')):
    if importlib.util.find_spec(module) is None:
        sys.path.insert(0, str(TOP / folder))

from cinderclient import client as cinder_client  # noqa: E402
from keystoneauth1 import noauth  # noqa: E402
from keystoneauth1 import session  # noqa: E402

import small_cinder  # noqa: E402

from brick_cinderclient_ext import client as brick_client  # noqa: E402
from os_brick.initiator import connector  # noqa: E402
from os_brick.initiator.connectors import local  # noqa: E402


class Host:
    """The LOCAL connector, which has nothing to undo, with a device that is there or not.

    `fault` is raised by the next call of that name, before or after it was done.
    """

    def __init__(self, monkeypatch):
        self.devices = []
        self.faults = {}
        host = self
        connect, disconnect = local.LocalConnector.connect_volume, local.LocalConnector.disconnect_volume

        def connect_volume(self, properties):
            answer = host.step('connect', lambda: connect(self, properties))
            return answer

        def disconnect_volume(self, properties, device_info, *args, **kwargs):
            host.step('disconnect', lambda: disconnect(self, properties, device_info, *args, **kwargs))

        monkeypatch.setattr(local.LocalConnector, 'connect_volume', connect_volume)
        monkeypatch.setattr(local.LocalConnector, 'disconnect_volume', disconnect_volume)

    def step(self, name, call):
        error, done_first = self.faults.pop(name, (None, True))
        if error and not done_first:
            raise error
        answer = call()
        self.devices = [answer['path']] if name == 'connect' else []
        if error:
            raise error
        return answer


@pytest.fixture
def cinder():
    made = small_cinder.SmallCinder()
    yield made
    made.close()


@pytest.fixture
def volume(cinder, tmp_path):
    path = tmp_path / 'disk'
    path.write_bytes(bytes(1 << 16))
    return cinder.add('data', path)


@pytest.fixture
def host(monkeypatch):
    """This host, which tells Cinder its name only."""
    monkeypatch.setattr(connector, 'get_connector_properties', lambda *args, **kwargs: {
        'host': socket.gethostname(), 'multipath': kwargs['multipath'],
        'enforce_multipath': kwargs['enforce_multipath']})
    return Host(monkeypatch)


@pytest.fixture(params=['3.71', '3.44', '3.43'])
def brick(request, cinder, host):
    """The client, with both workflows."""
    auth = noauth.NoAuth(endpoint=cinder.endpoint)
    return brick_client.Client(cinder_client.Client(request.param, session=session.Session(auth=auth)))
