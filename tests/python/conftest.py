# SPDX-License-Identifier: Apache-2.0
"""What the tests of the Python side share: a stand-in for the engine, and isolation.

No test here needs root, a network or a device.
"""

import importlib.util
import logging
import pathlib
import sys
import types

import pytest

if importlib.util.find_spec('os_brick') is None:
    sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / 'python'))

from oslo_config import cfg  # noqa: E402

import scsi_host  # noqa: E402

from os_brick import privileged  # noqa: E402
from os_brick import utils  # noqa: E402
from os_brick.initiator import linuxfc  # noqa: E402
from os_brick.initiator import linuxscsi  # noqa: E402
from os_brick.initiator import listing  # noqa: E402
from os_brick.initiator import scsi_sysfs  # noqa: E402
from os_brick.initiator.connectors import fibre_channel as fc_connector  # noqa: E402
from os_brick.initiator.connectors import iscsi as iscsi_connector  # noqa: E402
from os_brick.privileged import fibre_channel as priv_fibre_channel  # noqa: E402
from os_brick.privileged import iscsi as priv_iscsi  # noqa: E402
from os_brick.privileged import nvmeof as priv_nvmeof  # noqa: E402
from os_brick.privileged import rootwrap  # noqa: E402

CONF = cfg.CONF


class FakeEngine:
    """Records the calls into `_engine` and answers with what a test has set.

    An answer that is an exception is raised.
    """

    def __init__(self):
        self.calls = []
        self.answers = {
            'connect_volume': {'type': 'block', 'scsi_wwn': '3600a', 'path': '/dev/dm-0',
                               'multipath_id': '3600a'},
            'disconnect_volume': [],
            'extend_volume': 2147483648,
            'volume_paths': [],
            'volume_devices': [],
            'sessions': [],
            'initiator_name': 'iqn.1993-08.org.debian:01:host',
        }
        self.iscsi = types.SimpleNamespace(
            **{name: self._function(name) for name in self.answers})
        self.nvmeof = types.SimpleNamespace(
            **{name: self._function(name) for name in
               ('connect_volume', 'disconnect_volume', 'extend_volume', 'volume_paths')})
        self.answers['scan_plan'] = []
        self.fibre_channel = types.SimpleNamespace(
            **{name: self._function(name) for name in self.answers})
        self.answers['entries'] = []
        self.scsi = types.SimpleNamespace(entries=self._function('entries'))

    def _function(self, name):
        def function(*args):
            self.calls.append((name, args))
            answer = self.answers[name]
            if isinstance(answer, BaseException):
                raise answer
            return answer.copy() if isinstance(answer, (dict, list)) else answer
        return function


@pytest.fixture(autouse=True)
def in_process(monkeypatch):
    """Run entrypoints here instead of in a daemon."""
    monkeypatch.setattr(privileged.default, 'client_mode', False)


@pytest.fixture(autouse=True)
def configured(tmp_path):
    """Give os-brick a lock directory, and forget what the test configures."""
    CONF.set_override('lock_path', str(tmp_path / 'locks'), group='os_brick')
    yield CONF
    for group in ('os_brick', 'oslo_concurrency'):
        CONF.clear_override('lock_path', group=group)
    for name in ('portal_grace_period', 'enforce_identity', 'wait_mpath_device_attempts',
                 'wait_mpath_device_interval', 'attachment_record_path'):
        CONF.clear_override(name, group='os_brick')


@pytest.fixture
def engine(monkeypatch):
    """The stand-in for the engine, where the code looks for the real one."""
    fake = FakeEngine()
    monkeypatch.setattr(priv_iscsi, '_engine', fake)
    for module in (priv_fibre_channel, priv_nvmeof, iscsi_connector, fc_connector, linuxfc, listing):
        monkeypatch.setattr(module, '_engine', fake)
    return fake


@pytest.fixture
def links(monkeypatch):
    """The links made and removed as root, as (verb, paths...)."""
    record = []
    monkeypatch.setattr(rootwrap, 'link_root', lambda target, link_name, force=True:
                        record.append(('link', target, link_name)))
    monkeypatch.setattr(rootwrap, 'unlink_root', lambda *paths, **kwargs:
                        record.append(('unlink', *paths)))
    return record


@pytest.fixture
def debug_log(caplog):
    """Everything os-brick logs, from the debug level on."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger='os_brick')
    return caplog


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A host without devices; its commands succeed and say nothing."""
    host = scsi_host.Host(tmp_path)
    for module in (scsi_sysfs, linuxscsi):
        monkeypatch.setattr(module, '_SYS', str(tmp_path / 'sys'))
    monkeypatch.setattr(linuxscsi, '_DEV', str(tmp_path / 'dev') + '/')
    monkeypatch.setattr(scsi_sysfs, '_ROOT', str(tmp_path))
    return host


@pytest.fixture
def scsi(host):
    """The helpers on that host."""
    return linuxscsi.LinuxSCSI('sudo', execute=host.execute)


@pytest.fixture
def sleeps(monkeypatch):
    """The waits of the helpers, which do not happen."""
    waits = []
    monkeypatch.setattr(utils, '_time_sleep', waits.append)
    monkeypatch.setattr(linuxscsi.time, 'sleep', waits.append)
    return waits
