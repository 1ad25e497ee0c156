# SPDX-License-Identifier: Apache-2.0
"""Fixtures of a host with an SDC and a PowerFlex gateway, for the tests of that connector."""

import pytest

import powerflex_gateway

from os_brick import privileged
from os_brick import utils
from os_brick.initiator.connectors import scaleio
from os_brick.initiator.connectors import scaleio_gateway
from os_brick.privileged import scaleio as priv_scaleio

CONF = '[backend]\nsan_username = admin\nsan_password = secret-of-admin\n'
VOLUME_ID = 'd4f7289200000023'
NAME = 'DIk8/1aKSxa+g=='


@pytest.fixture
def sdc(tmp_path, monkeypatch):
    """The SDC of this host, where the privileged functions look for it."""
    made = powerflex_gateway.Sdc(tmp_path)
    monkeypatch.setattr(privileged.brick_privsep_hide_output, 'client_mode', False)
    monkeypatch.setattr(priv_scaleio, 'SCINI_DEVICE_PATH', str(made.control))
    monkeypatch.setattr(priv_scaleio, 'ioctl', made.ioctl)
    return made


@pytest.fixture
def gateway(sdc, monkeypatch):
    monkeypatch.setattr(scaleio_gateway.Gateway, 'TIMEOUT', (20, 20))
    for name in ('HTTPS_PROXY', 'https_proxy', 'REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE'):
        monkeypatch.delenv(name, raising=False)
    made = powerflex_gateway.Gateway(sdc)
    made.volumes[VOLUME_ID] = NAME
    yield made
    made.close()


@pytest.fixture
def conf(tmp_path, monkeypatch):
    """The configuration file of the connector."""
    path = tmp_path / 'connector.conf'
    path.write_text(CONF)
    monkeypatch.setattr(scaleio, 'CONNECTOR_CONF_PATH', str(path))
    return path


@pytest.fixture
def pauses(monkeypatch):
    """The waits, which do not happen; what a test puts in `then` happens instead, one a wait."""
    class Pauses(list):
        then = iter(())

        def sleep(self, seconds):
            self.append(seconds)
            next(self.then, lambda: None)()

    made = Pauses()
    monkeypatch.setattr(utils, '_time_sleep', made.sleep)
    return made


@pytest.fixture
def connector(sdc, conf, pauses, monkeypatch):
    monkeypatch.setattr(scaleio.ScaleIOConnector, 'get_search_path',
                        lambda self: str(sdc.by_id))
    return scaleio.ScaleIOConnector('sudo')


@pytest.fixture
def props(gateway):
    """What a driver gave that left mapping to this connector."""
    return {'scaleIO_volname': NAME, 'scaleIO_volume_id': VOLUME_ID, 'hostIP': '127.0.0.1',
            'serverIP': '127.0.0.1', 'serverPort': gateway.port, 'serverUsername': 'admin',
            'config_group': 'backend', 'failed_over': False, 'iopsLimit': None,
            'bandwidthLimit': None, 'verify_certificate': True,
            'certificate_path': str(powerflex_gateway.TLS / 'gateway.crt')}


def without(props, *names):
    return {name: value for name, value in props.items() if name not in names}
