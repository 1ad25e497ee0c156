# SPDX-License-Identifier: Apache-2.0
"""Fixtures of a host with StorPool's client and API, for the tests of its connector."""

import pytest

import storpool_api

from os_brick.initiator import storpool_utils
from os_brick.initiator.connectors import storpool as connector_module

NAME = 'os--volume-sp-vol-1'
ID = 'abc.b.1'


@pytest.fixture
def storpool(tmp_path, monkeypatch):
    made = storpool_api.StorPool(tmp_path)
    made.create(NAME, ID)
    monkeypatch.setattr(connector_module, 'DEV_STORPOOL', made.by_name)
    monkeypatch.setattr(connector_module, 'DEV_STORPOOL_BYID', made.by_id)
    yield made
    made.close()


@pytest.fixture
def waits(monkeypatch):
    """The waits, which do not happen; what a test puts in `then` happens instead, one a wait."""
    class Waits(list):
        then = iter(())

        def sleep(self, seconds):
            self.append(seconds)
            next(self.then, lambda: None)()

    made = Waits()
    monkeypatch.setattr(connector_module.time, 'sleep', made.sleep)
    return made


@pytest.fixture
def conf(tmp_path, monkeypatch, storpool):
    path = tmp_path / 'storpool.conf'
    path.write_text(f'SP_API_HTTP_PORT={storpool.port}\nSP_AUTH_TOKEN={storpool_api.TOKEN}\n'
                    'SP_OURID=7\n')
    monkeypatch.setattr(storpool_utils, '_CONF_FILE', path)
    monkeypatch.setattr(storpool_utils, '_CONF_DIRECTORY', tmp_path / 'no-directory')
    for name in storpool_utils.ENV_OVERRIDE:
        monkeypatch.delenv(name, raising=False)
    return path


@pytest.fixture
def connector(conf, waits):
    return connector_module.StorPoolConnector('sudo')


@pytest.fixture
def props():
    return {'volume': 'sp-vol-1', 'client_id': 1, 'access_mode': 'rw'}


@pytest.fixture
def attached(connector, storpool, props):
    props = {**props, 'device_path': connector.connect_volume(props)['path']}
    storpool.requests.clear()
    return props
