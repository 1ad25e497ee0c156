# SPDX-License-Identifier: Apache-2.0
"""ISCSIConnector: what reaches the engine, by which way, and what comes back."""

import os
import traceback

import pytest

from os_brick import exception
from os_brick import utils
from os_brick.initiator import host_driver
from os_brick.initiator import linuxscsi
from os_brick.initiator.connectors import base
from os_brick.initiator.connectors import iscsi
from os_brick.privileged import encrypted_volume
from os_brick.privileged import iscsi as priv_iscsi
from os_brick.privileged import rootwrap

SECRET = 'hunter2'
PROPS = {'target_portal': '10.0.0.1:3260', 'target_iqn': 'iqn.2010-10.org:v1', 'target_lun': 1,
         'auth_method': 'CHAP', 'auth_username': 'me', 'auth_password': SECRET,
         'discovery_auth_method': 'CHAP', 'discovery_auth_username': 'me',
         'discovery_auth_password': SECRET, 'enforce_multipath': True}
LINK = '/dev/disk/by-id/os-brick+dev+dm-0'


@pytest.fixture
def settings(tmp_path):
    """The settings of a connector with default choices."""
    return {'use_multipath': False, 'interface': 'default', 'device_scan_attempts': 3,
            'portal_grace_period': 2.0, 'enforce_identity': False,
            'wait_mpath_device_attempts': 4, 'wait_mpath_device_interval': 1,
            'lock_path': str(tmp_path / 'locks')}


@pytest.fixture
def connector(engine):
    return iscsi.ISCSIConnector('sudo')


def own_execute(*cmd, **kwargs):
    return 'out', 'err'


class TestConnect:

    def test_what_the_engine_gets(self, connector, engine, settings):
        result = connector.connect_volume({**PROPS, 'qos_specs': None, 'discard': True,
                                           'driver_volume_type': 'iscsi'})
        assert engine.calls == [('connect_volume', (PROPS, settings, None))]
        assert result == {'type': 'block', 'scsi_wwn': '3600a', 'path': '/dev/dm-0',
                          'multipath_id': '3600a'}
        assert type(result) is dict

    def test_lists_arrive_as_lists(self, connector, engine):
        connector.connect_volume({'target_portals': ('p', 'q'), 'target_iqns': ['i', 'j'],
                                  'target_luns': (1, 2)})
        assert engine.calls[0][1][0] == {'target_portals': ['p', 'q'], 'target_iqns': ['i', 'j'],
                                         'target_luns': [1, 2]}

    def test_settings_come_from_the_connector_and_the_options_at_the_call(
            self, engine, settings, configured, tmp_path):
        connector = iscsi.ISCSIConnector(None, use_multipath=True, device_scan_attempts=9,
                                         transport='iface0')
        configured.set_override('portal_grace_period', 0.5, group='os_brick')
        configured.set_override('enforce_identity', True, group='os_brick')
        configured.set_override('wait_mpath_device_attempts', 6, group='os_brick')
        configured.set_override('wait_mpath_device_interval', 2, group='os_brick')
        configured.set_override('lock_path', str(tmp_path / 'other'), group='os_brick')
        configured.set_override('attachment_record_path', '/var/lib/records', group='os_brick')
        connector.connect_volume(PROPS)
        assert engine.calls[0][1][1] == {
            'use_multipath': True, 'interface': 'iface0', 'device_scan_attempts': 9,
            'portal_grace_period': 0.5, 'enforce_identity': True,
            'wait_mpath_device_attempts': 6, 'wait_mpath_device_interval': 2,
            'lock_path': str(tmp_path / 'other'), 'attachment_record_path': '/var/lib/records'}

    def test_lk_01_the_lock_files_are_there_before_the_engine(self, connector, engine, settings):
        seen = []
        engine.iscsi.connect_volume = lambda *args: seen.extend(
            os.listdir(settings['lock_path'])) or {'path': '/dev/sda'}
        connector.connect_volume(PROPS)
        assert sorted(seen) == ['os-brick-connect_volume', 'os-brick-sessions',
                                'os-brick-volumes']

    def test_the_multipath_check_is_the_engines(self, engine, monkeypatch):
        monkeypatch.setattr(linuxscsi.LinuxSCSI, 'is_multipath_running', None)
        iscsi.ISCSIConnector(None, use_multipath=True).connect_volume(PROPS)
        assert [name for name, _args in engine.calls] == ['connect_volume']

    @pytest.mark.parametrize('props', [None, [], 'target_portal', 5])
    def test_properties_must_be_a_dictionary(self, connector, engine, props):
        for call in (connector.connect_volume, connector.extend_volume,
                     connector.get_volume_paths,
                     lambda given: connector.disconnect_volume(given, None)):
            with pytest.raises(exception.InvalidParameterValue,
                               match='connection_properties must be a dictionary, not '):
                call(props)
        assert engine.calls == []

    def test_objects_as_values_are_named_not_shown(self, connector):
        with pytest.raises(exception.InvalidParameterValue) as caught:
            connector.connect_volume({**PROPS, 'auth_password': {'is': SECRET}})
        assert str(caught.value) == (
            'auth_password must be a text, a number or a list of these, not dict')

    def test_errors_of_the_engine_come_through(self, connector, engine):
        engine.answers['connect_volume'] = exception.VolumeDeviceNotFound(device='x')
        with pytest.raises(exception.VolumeDeviceNotFound):
            connector.connect_volume(PROPS)

    def test_one_round_trip_by_default(self, connector, engine, monkeypatch):
        trips = []
        monkeypatch.setattr(priv_iscsi, 'connect_volume',
                            lambda *args: trips.append(args) or {'path': '/dev/sda'})
        connector.connect_volume({**PROPS, 'encrypted': True})
        assert len(trips) == 1
        assert engine.calls == []


class TestOwnExecute:
    """PX-10: everything runs through the caller's callable, in the caller's process."""

    @pytest.fixture(autouse=True)
    def no_daemon(self, monkeypatch):
        for name in ('connect_volume', 'disconnect_volume', 'extend_volume', 'get_initiator'):
            monkeypatch.setattr(priv_iscsi, name, None)

    @pytest.fixture(params=['constructor', 'set_execute'])
    def connector(self, request, engine):
        if request.param == 'constructor':
            return iscsi.ISCSIConnector('sudo', execute=own_execute)
        connector = iscsi.ISCSIConnector('sudo')
        connector.set_execute(own_execute)
        return connector

    def check(self, engine, name, *expected):
        (called, args), = engine.calls
        assert called == name
        assert args[:-1] == expected
        assert args[-1]('iscsiadm') == ('out', 'err')

    def test_connect(self, connector, engine, settings):
        connector.connect_volume(PROPS)
        self.check(engine, 'connect_volume', PROPS, settings)

    def test_disconnect(self, connector, engine, settings):
        connector.disconnect_volume(PROPS, {'path': '/dev/sda'}, force=True)
        self.check(engine, 'disconnect_volume', PROPS, '/dev/sda', settings, True)

    def test_extend(self, connector, engine, settings):
        assert connector.extend_volume(PROPS) == 2147483648
        self.check(engine, 'extend_volume', PROPS, settings)

    def test_helpers_follow(self, connector):
        assert connector._linuxscsi._execute('a') == ('out', 'err')

    def test_supports_multipath(self, connector):
        assert connector.supports_multipath() is True


class TestEncrypted:

    ENCRYPTED = {**PROPS, 'encrypted': True}

    def test_connect_returns_the_link(self, connector, engine, links):
        assert connector.connect_volume(self.ENCRYPTED)['path'] == LINK
        assert links == [('link', '/dev/dm-0', LINK)]

    def test_not_encrypted_has_no_link(self, connector, links):
        assert connector.connect_volume({**PROPS, 'encrypted': False})['path'] == '/dev/dm-0'
        assert links == []

    @pytest.mark.parametrize('undo', [[], ['left'], ValueError('also failed')])
    def test_x_11_lk_05_a_failed_link_undoes_the_attach(self, connector, engine, settings,
                                                        monkeypatch, undo):
        def fail(*args, **kwargs):
            raise OSError('no link')

        monkeypatch.setattr(rootwrap, 'link_root', fail)
        engine.answers['disconnect_volume'] = undo
        with pytest.raises(OSError, match='^no link$'):
            connector.connect_volume(self.ENCRYPTED)
        assert engine.calls == [
            ('connect_volume', (self.ENCRYPTED, settings, None)),
            ('disconnect_volume', (self.ENCRYPTED, '/dev/dm-0', settings, True, None))]

    @pytest.mark.parametrize('props, info', [
        (ENCRYPTED, {'path': LINK}), ({**ENCRYPTED, 'device_path': LINK}, None),
        ({**ENCRYPTED, 'device_path': LINK}, {'path': LINK})])
    def test_disconnect_uses_the_real_path_and_removes_the_link(
            self, connector, engine, links, monkeypatch, props, info):
        monkeypatch.setattr(encrypted_volume.os.path, 'islink', lambda path: path == LINK)
        connector.disconnect_volume(props, info)
        (_name, args), = engine.calls
        assert args[1] == '/dev/dm-0'
        assert args[0].get('device_path', '/dev/dm-0') == '/dev/dm-0'
        assert links == [('unlink', LINK)]

    def test_the_link_goes_when_the_caller_lost_its_name(self, connector, engine, links,
                                                         monkeypatch):
        monkeypatch.setattr(encrypted_volume.os.path, 'islink', lambda path: path == LINK)
        engine.answers['volume_devices'] = ['dm-0', 'sda', 'sdb']
        connector.disconnect_volume(self.ENCRYPTED, None)
        assert [name for name, _args in engine.calls] == ['volume_devices', 'disconnect_volume']
        assert links == [('unlink', LINK)]

    def test_the_link_stays_when_the_detach_fails(self, connector, engine, links, monkeypatch):
        monkeypatch.setattr(encrypted_volume.os.path, 'islink', lambda path: True)
        engine.answers['disconnect_volume'] = exception.BrickException('busy')
        with pytest.raises(exception.BrickException, match='^busy$'):
            connector.disconnect_volume(self.ENCRYPTED, {'path': LINK})
        assert links == []

    def test_extend_and_paths_use_the_real_path(self, connector, engine):
        connector.extend_volume({**self.ENCRYPTED, 'device_path': LINK})
        connector.get_volume_paths({**self.ENCRYPTED, 'device_path': LINK})
        assert [args[0]['device_path'] for _name, args in engine.calls] == 2 * ['/dev/dm-0']


class TestDisconnect:

    class Volume:
        """What Cinder's SPDK driver passes as device_info."""

        def get(self, key):
            raise AttributeError(key)

    @pytest.mark.parametrize('props, info, path', [
        ({}, None, None), ({}, {}, None), ({}, {'path': '/dev/sda'}, '/dev/sda'),
        ({'device_path': '/dev/sdb'}, None, '/dev/sdb'),
        ({'device_path': '/dev/sdb'}, {'path': b'/dev/sda'}, '/dev/sda'),
        ({'device_path': '/dev/sdb'}, {'device_path': '/dev/sdb', 'target_lun': 1}, '/dev/sdb'),
        ({}, Volume(), None), ({}, 'a text', None), ({}, {'path': object()}, None),
        ({}, {'path': 'relative'}, None)])
    def test_the_path_used(self, connector, engine, settings, props, info, path):
        connector.disconnect_volume({**PROPS, **props}, info)
        assert engine.calls == [('disconnect_volume',
                                 ({**PROPS, **props}, path, settings, False, None))]

    def test_it_returns_none(self, connector):
        assert connector.disconnect_volume(PROPS, None, force=True, ignore_errors=True) is None

    def test_id_13_errors_under_force_are_chained(self, connector, engine):
        engine.answers['disconnect_volume'] = ['flush failed', 'sda remains']
        with pytest.raises(exception.ExceptionChainer) as caught:
            connector.disconnect_volume(PROPS, None, force=True)
        chain = caught.value
        assert bool(chain)
        assert [(kind, str(value)) for kind, value, _tb in chain._exceptions] == [
            (exception.BrickException, 'flush failed'),
            (exception.BrickException, 'sda remains')]
        text = str(chain)
        assert 'Chained Exception #1' in text and 'flush failed' in text
        assert 'Chained Exception #2' in text and 'sda remains' in text

    def test_id_13_errors_are_ignored_on_request(self, connector, engine, caplog):
        engine.answers['disconnect_volume'] = ['flush failed', 'sda remains']
        connector.disconnect_volume(PROPS, None, force=True, ignore_errors=True)
        warning, = [record for record in caplog.records if record.levelname == 'WARNING']
        assert 'flush failed; sda remains' in warning.getMessage()

    def test_tuples_from_the_daemon(self, connector, monkeypatch):
        monkeypatch.setattr(priv_iscsi, 'disconnect_volume', lambda *args: ('one',))
        with pytest.raises(exception.ExceptionChainer, match='one'):
            connector.disconnect_volume(PROPS, None, force=True)


class TestReading:

    def test_paths(self, connector, engine, settings):
        engine.answers['volume_paths'] = ['/dev/disk/by-path/ip-fd00::1:3260-iscsi-i-lun-1']
        paths = connector.get_volume_paths(PROPS)
        assert paths == ['/dev/disk/by-path/ip-fd00::1:3260-iscsi-i-lun-1']
        assert type(paths) is list
        unlocked = {key: value for key, value in settings.items() if key != 'lock_path'}
        assert engine.calls == [('volume_paths', (PROPS, unlocked))]
        assert not os.path.exists(settings['lock_path'])

    def test_paths_need_no_lock_path(self, connector, engine, configured):
        configured.set_override('lock_path', None, group='os_brick')
        configured.set_override('lock_path', None, group='oslo_concurrency')
        connector.get_volume_paths(PROPS)
        assert 'lock_path' not in engine.calls[0][1][1]

    def test_no_portal_no_paths(self, connector, engine):
        assert connector.get_volume_paths({'target_iqn': 'i'}) == []
        assert engine.calls == []

    def test_initiator(self, connector, engine, caplog):
        assert connector.get_initiator() == 'iqn.1993-08.org.debian:01:host'
        engine.answers['initiator_name'] = None
        assert connector.get_initiator() is None
        assert '/etc/iscsi/initiatorname.iscsi' in caplog.text

    def test_initiator_that_cannot_be_read(self, connector, engine):
        engine.answers['initiator_name'] = PermissionError()
        assert connector.get_initiator() is None

    @pytest.mark.parametrize('name, props', [('iqn.a', {'initiator': 'iqn.a'}), (None, {})])
    def test_connector_properties(self, engine, name, props):
        engine.answers['initiator_name'] = name
        assert iscsi.ISCSIConnector.get_connector_properties(
            'sudo', host='h', multipath=True, enforce_multipath=True, execute=None) == props

    def test_sessions(self, connector, engine):
        engine.answers['sessions'] = [
            {'sid': 3, 'transport': 'iser', 'portal': '[fd00::1]:3260', 'tpgt': 1,
             'iqn': 'iqn.a', 'logged_in': True},
            {'sid': 4, 'portal': '10.0.0.1:3260', 'tpgt': 2, 'iqn': 'iqn.b'},
            {'sid': 5, 'portal': None, 'tpgt': None, 'iqn': 'iqn.c'}]
        assert connector._get_iscsi_sessions_full() == [
            ('iser:', '3', '[fd00::1]:3260', '1', 'iqn.a'),
            ('tcp:', '4', '10.0.0.1:3260', '2', 'iqn.b')]
        assert connector._get_iscsi_sessions() == ['[fd00::1]:3260', '10.0.0.1:3260']

    def test_sc_06_sc_07_sc_08_all_volumes(self, connector, engine, monkeypatch, tmp_path):
        monkeypatch.setattr(connector, 'get_search_path', lambda: str(tmp_path / 'by-path'))

        def of_any_connector():
            return base.BaseLinuxConnector.get_all_available_volumes(connector)

        assert of_any_connector() == []
        (tmp_path / 'by-path').mkdir()
        (tmp_path / 'by-path/ip-x').touch()
        assert of_any_connector() == [str(tmp_path / 'by-path/ip-x')]
        engine.answers['entries'] = ['/dev/disk/by-path/ip-y']
        assert connector.get_all_available_volumes() == ['/dev/disk/by-path/ip-y']
        assert engine.calls == [('entries', (str(tmp_path / 'by-path'),))]
        assert iscsi.ISCSIConnector(None).get_search_path() == '/dev/disk/by-path'

    def test_sc_06_host_driver(self, monkeypatch, tmp_path):
        monkeypatch.setattr(host_driver, '_BY_PATH', str(tmp_path / 'by-path'))
        assert host_driver.HostDriver().get_all_block_devices() == []
        (tmp_path / 'by-path').mkdir()
        (tmp_path / 'by-path/ip-x').touch()
        assert host_driver.HostDriver().get_all_block_devices() == [
            str(tmp_path / 'by-path/ip-x')]

    def test_valid_device(self, connector, tmp_path):
        (tmp_path / 'disk').write_bytes(b'x')
        assert connector.check_valid_device(str(tmp_path / 'disk'), True) is True
        assert connector.check_valid_device(str(tmp_path / 'none')) is False


def test_se_05_se_06_no_secret_is_logged_or_raised(connector, engine, debug_log):
    connector.connect_volume(PROPS)
    connector.extend_volume(PROPS)
    connector.check_multipath(PROPS)
    connector.disconnect_volume(PROPS, None)
    engine.answers['connect_volume'] = exception.VolumeDeviceNotFound(device='x')
    texts = []
    try:
        connector.connect_volume(PROPS)
    except exception.VolumeDeviceNotFound as exc:
        texts = [str(exc), repr(exc), ''.join(traceback.format_exception(exc))]
    assert len(texts) == 3
    messages = [record.getMessage() for record in debug_log.records]
    assert any(text.startswith('==> connect_volume: call') for text in messages)
    assert any(text.startswith('<== disconnect_volume: return') for text in messages)
    assert SECRET not in '\n'.join(messages + texts) + debug_log.text + repr(connector)


def test_upstreams_attributes():
    assert iscsi.ISCSIConnector.VALID_SESSIONS_PREFIX == ('tcp:', 'iser:')
    assert sorted(iscsi.ISCSIConnector.supported_transports) == [
        'be2iscsi', 'bnx2i', 'cxgb3i', 'cxgb4i', 'default', 'iser', 'ocs', 'qla4xxx', 'tcp']
    assert iscsi.ISCSIConnector('sudo', None, None, True, 5, 'iser').transport == 'iser'
    assert iscsi.ISCSIConnector('sudo', transport=None).transport == 'default'
    assert issubclass(iscsi.ISCSIConnector, base.BaseLinuxConnector)
    assert utils.CUSTOM_LINK_PREFIX == '/dev/disk/by-id/os-brick'
