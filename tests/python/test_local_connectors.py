# SPDX-License-Identifier: Apache-2.0
"""The connectors for volumes that are here already, and those for tests of others."""

import inspect

from oslo_concurrency import processutils as putils
import pytest

from os_brick.initiator import connector
from os_brick.initiator import host_driver
from os_brick.initiator.connectors import base
from os_brick.initiator.connectors import base_iscsi
from os_brick.initiator.connectors import fake
from os_brick.initiator.connectors import gpfs
from os_brick.initiator.connectors import local

BOTH = pytest.mark.parametrize('made, kind', [
    (connector.InitiatorConnector.factory('LOCAL', 'sudo', use_multipath=True), 'local'),
    (connector.InitiatorConnector.factory('gpfs', None, conn={'data': {}}), 'gpfs')])
NO_PATHS = pytest.mark.parametrize('properties, text', [
    ({}, 'no device_path attribute'), ({'device_path': None}, 'device_path None is no path'),
    ({'device_path': ''}, "device_path '' is no path"),
    ({'device_path': ['/dev/sda']}, r"device_path \['/dev/sda'\] is no path"),
    ({'device_path': '/a\0b'}, 'is no path')])


@pytest.fixture
def volume(tmp_path):
    path = tmp_path / 'volume-1'
    path.write_bytes(b'x' * 5000)
    return str(path)


@BOTH
def test_the_path_is_handed_out(made, kind, volume):
    properties = {'device_path': volume, 'name': 'volume-1'}
    info = made.connect_volume(properties)
    assert info == {'type': kind, 'path': volume}
    assert made.get_volume_paths(properties) == [volume]
    assert made.check_valid_device(volume) is True
    for arguments in ((None,), (info, True, True)):
        assert made.disconnect_volume(properties, *arguments) is None
    assert made.get_search_path() is None
    assert made.get_all_available_volumes() == made.get_all_available_volumes(properties) == []
    assert made.get_connector_properties('sudo', multipath=True) == {}


@BOTH
def test_sc_12_the_size_of_a_file_needs_no_blockdev(made, kind, volume):
    """GPFS volumes are files, which blockdev refuses."""
    assert made.extend_volume({'device_path': volume}) == 5000

    def blockdev(*cmd, **kwargs):
        raise putils.ProcessExecutionError(stderr='Inappropriate ioctl for device')

    other = type(made)('sudo', execute=blockdev)
    assert other.extend_volume({'device_path': volume}) == 5000


def test_the_size_of_a_device():
    seen = []
    made = local.LocalConnector('sudo', execute=lambda *cmd, **kwargs:
                                seen.append((cmd, kwargs)) or ('1073741824\n', ''))
    assert made.extend_volume({'device_path': '/dev/null'}) == 1073741824
    assert seen == [(('blockdev', '--getsize64', '/dev/null'),
                     {'run_as_root': True, 'root_helper': 'sudo'})]


def test_the_size_of_what_is_not_there(tmp_path):
    with pytest.raises(putils.ProcessExecutionError, match='No such file'):
        local.LocalConnector('sudo').extend_volume({'device_path': str(tmp_path / 'none')})


@NO_PATHS
@pytest.mark.parametrize('method', ['connect_volume', 'get_volume_paths', 'extend_volume'])
@BOTH
def test_no_path(made, kind, method, properties, text):
    with pytest.raises(ValueError, match=text):
        getattr(made, method)(properties)


def test_bases():
    assert issubclass(gpfs.GPFSConnector, local.LocalConnector)
    assert issubclass(fake.FakeConnector, base.BaseLinuxConnector)
    assert issubclass(fake.FakeBaseISCSIConnector, base_iscsi.BaseISCSIConnector)
    assert connector.LocalConnector is local.LocalConnector
    assert connector.GPFSConnector is gpfs.GPFSConnector


@pytest.mark.parametrize('cls', [local.LocalConnector, gpfs.GPFSConnector, fake.FakeConnector])
def test_cf_07_the_signature_of_disconnect(cls):
    parameters = inspect.signature(cls.disconnect_volume).parameters
    assert {name: parameter.default for name, parameter in parameters.items()} == {
        'self': inspect.Parameter.empty, 'connection_properties': inspect.Parameter.empty,
        'device_info': inspect.Parameter.empty, 'force': False, 'ignore_errors': False}


@pytest.mark.parametrize('cls', [fake.FakeConnector, fake.FakeBaseISCSIConnector])
def test_the_fake_ones(cls):
    made = cls(None)
    assert made.connect_volume({}) == {'type': 'fake', 'path': '/dev/vdFAKE'}
    assert made.get_volume_paths({}) == ['/dev/vdFAKE']
    assert made.disconnect_volume({}, None, force=True) is None
    assert made.extend_volume({}) is None
    assert made.get_search_path() == '/dev/disk/by-path'
    assert made.get_all_available_volumes() == [
        '/dev/disk/by-path/fake-volume-1', '/dev/disk/by-path/fake-volume-X']
    assert made.get_connector_properties(None, multipath=True, enforce_multipath=False) == {
        'multipath': True, 'enforce_multipath': False}


def test_the_fake_iscsi_one_reads_targets():
    made = fake.FakeBaseISCSIConnector(None)
    assert made._get_all_targets({'target_portal': 'p', 'target_iqn': 'i', 'target_lun': 3}) == [
        ('p', 'i', 3)]


def test_the_devices_of_the_host(tmp_path, monkeypatch):
    monkeypatch.setattr(host_driver, '_BY_PATH', str(tmp_path / 'by-path'))
    driver = host_driver.HostDriver()
    assert driver.get_all_block_devices() == []
    (tmp_path / 'by-path').mkdir()
    for name in ('pci-1', 'ip-2'):
        (tmp_path / 'by-path' / name).touch()
    assert sorted(driver.get_all_block_devices()) == [
        str(tmp_path / 'by-path' / name) for name in ('ip-2', 'pci-1')]
    monkeypatch.setattr(host_driver, '_BY_PATH', str(tmp_path / 'by-path/pci-1'))
    with pytest.raises(NotADirectoryError):
        driver.get_all_block_devices()
