# SPDX-License-Identifier: Apache-2.0
"""StorPoolConnector on a small StorPool: attachments, devices, and what is left of them."""

import inspect
import pathlib

import pytest

import storpool_api
from storpool_api import failure
from storpool_host import NAME, ID
from storpool_host import attached, conf, connector, props, storpool, waits

from os_brick import exception
from os_brick.initiator import connector as connectors
from os_brick.initiator import storpool_utils
from os_brick.initiator.connectors import storpool as connector_module

GONE = 'Invalid StorPool connection data, '


class TestConstruction:

    def test_the_factory_makes_it(self, conf):
        made = connectors.InitiatorConnector.factory('storpool', None, use_multipath=True, conn={})
        assert type(made) is connector_module.StorPoolConnector

    def test_sp_05_no_configuration(self, conf):
        conf.unlink()
        with pytest.raises(exception.BrickException) as raised:
            connector_module.StorPoolConnector('sudo')
        assert str(raised.value) == ('Could not initialize the StorPool API: '
                                     f'File {conf} does not exist or not a file')

    @pytest.mark.parametrize('line, reason', [
        ('SP_AUTH_TOKEN', 'Could not initialize the StorPool API: there is no SP_AUTH_TOKEN'),
        ('SP_OURID', 'Could not read "SP_OURID" from the StorPool configuration')])
    def test_sp_05_something_is_missing_in_it(self, conf, line, reason):
        kept = [one for one in conf.read_text().splitlines() if not one.startswith(line)]
        conf.write_text('\n'.join(kept))
        with pytest.raises(exception.BrickException) as raised:
            connector_module.StorPoolConnector('sudo')
        assert str(raised.value) == reason

    def test_sp_05_other_protocols_do_not_mind(self, conf):
        conf.unlink()
        assert connector_module.StorPoolConnector.get_connector_properties(
            'sudo', multipath=True, enforce_multipath=True) == {}


class TestConnect:

    def test_sp_01_the_path_is_that_of_the_id(self, connector, storpool, props, waits):
        assert connector.connect_volume(props) == {'type': 'block',
                                                   'path': str(storpool.by_id / ID)}
        assert storpool.attached == {ID: ('7', 'rw')}
        assert storpool.requests == [
            ('POST', '/ctrl/1.0/MultiCluster/VolumesReassignWait',
             {'reassign': [{'volume': NAME, 'rw': ['7']}]}),
            ('GET', f'/ctrl/1.0/MultiCluster/VolumeGetInfo/{NAME}', None)]
        assert waits == []

    def test_read_only(self, connector, storpool, props):
        connector.connect_volume({**props, 'access_mode': 'ro'})
        assert storpool.attached == {ID: ('7', 'ro')}

    def test_the_prefix_of_the_configuration(self, conf, storpool, props):
        with conf.open('a') as stream:
            stream.write('SP_OPENSTACK_VOLUME_PREFIX=cloud2\n')
        storpool.create('cloud2--volume-sp-vol-1', 'xyz.b.2')
        path = connector_module.StorPoolConnector('sudo').connect_volume(props)['path']
        assert path == str(storpool.by_id / 'xyz.b.2')

    @pytest.mark.parametrize('change, reason', [
        ({'client_id': None}, GONE + 'no client ID specified.'),
        ({'volume': None}, GONE + 'no volume ID specified.'),
        ({'volume': ''}, GONE + "'' is no volume ID."),
        ({'volume': '../x'}, GONE + "'../x' is no volume ID."),
        ({'volume': 'a?b'}, GONE + "'a?b' is no volume ID."),
        ({'volume': 'a b'}, GONE + "'a b' is no volume ID."),
        ({'access_mode': None},
         'Invalid access_mode specified in the connection data: None'),
        ({'access_mode': 'wr'},
         "Invalid access_mode specified in the connection data: 'wr'")])
    def test_properties_that_make_no_sense(self, connector, storpool, props, change, reason):
        with pytest.raises(exception.BrickException) as raised:
            connector.connect_volume({**props, **change})
        assert str(raised.value) == reason
        assert storpool.requests == []

    def test_storpool_refuses(self, connector, storpool, props):
        storpool.volumes.clear()
        with pytest.raises(exception.BrickException) as raised:
            connector.connect_volume(props)
        assert str(raised.value) == (
            'Communication with the StorPool API failed: HTTP: 404, objectDoesNotExist: '
            f"Volume '{NAME}' does not exist")
        assert len(storpool.requests) == 1

    @pytest.mark.parametrize('answer, reason', [
        (failure(500, 'x', 'broken'), 'HTTP: 500, x: broken'),
        ((200, {'data': {}}), f'the volume {NAME} has no globalId but None'),
        ((200, {'data': {'globalId': '../sda'}}), f"the volume {NAME} has no globalId but "
                                                  "'../sda'")])
    def test_what_was_attached_is_detached_when_its_id_stays_unknown(
            self, connector, storpool, props, answer, reason):
        storpool.next = [None, answer]
        with pytest.raises(exception.BrickException) as raised:
            connector.connect_volume(props)
        assert str(raised.value) == f'Communication with the StorPool API failed: {reason}'
        assert storpool.attached == {}

    def test_an_open_volume_stays_attached_then(self, connector, storpool, props, caplog):
        storpool.open.add(ID)
        storpool.next = [None, failure(500, 'x', 'broken')]
        with pytest.raises(exception.BrickException, match='broken$'):
            connector.connect_volume(props)
        assert storpool.attached == {ID: ('7', 'rw')}
        assert [one.getMessage() for one in caplog.records if one.levelname == 'ERROR'] == [
            f'StorPool volume {NAME} remains attached to this host: '
            f"HTTP: 409, busy: '{NAME}' is open at client 7"]

    def test_the_device_comes_late(self, connector, storpool, props, waits):
        storpool.prompt = False
        waits.then = iter([lambda: None, lambda: storpool.device(ID)])
        assert connector.connect_volume(props)['path'] == str(storpool.by_id / ID)
        assert waits == [0.1, 0.1]

    def test_a_device_only_others_can_see(self, connector, storpool, props, waits, caplog):
        storpool.prompt = False
        assert connector.connect_volume(props)['path'] == str(storpool.by_id / ID)
        assert waits == [0.1] * 10
        assert [one.getMessage() for one in caplog.records if one.levelname == 'WARNING'] == [
            f'StorPool has attached a volume whose device {storpool.by_id / ID} does not show up']

    def test_an_api_that_starts_up(self, connector, storpool, props, waits):
        storpool.next = [failure(503, 'busy', 'starting', transient=True), 'hang_up']
        connector.connect_volume(props)
        assert waits == [1, 2]
        assert storpool.bodies() == [{'reassign': [{'volume': NAME, 'rw': ['7']}]}] * 3

    def test_an_encrypted_volume_gets_its_own_link(self, connector, storpool, props, links):
        path = storpool.by_id / ID
        link = connector.connect_volume({**props, 'encrypted': True})['path']
        assert links == [('link', str(path.resolve()), link)]
        connector.disconnect_volume({**props, 'encrypted': True, 'device_path': link}, None)
        assert links[1:] == [('unlink', link)]
        assert storpool.attached == {}
        assert storpool.bodies()[-1]['reassign'][0]['volume'] == f'~{ID}'


class TestDisconnect:

    def order(self, volume, force=False):
        return {'reassign': [{'volume': volume, 'detach': ['7'], 'force': force}]}

    def test_sp_01_the_id_counts_and_not_the_name(self, connector, storpool, attached):
        # A migration has given the name to another volume.
        storpool.volumes[ID]['name'] = 'os--volume-another'
        storpool.create(NAME, 'new.b.2')
        storpool.attached['new.b.2'] = ('7', 'rw')
        connector.disconnect_volume(attached, None)
        assert storpool.bodies() == [self.order(f'~{ID}')]
        assert storpool.attached == {'new.b.2': ('7', 'rw')}

    def test_sp_01_an_attachment_of_an_older_release(self, connector, storpool, attached):
        connector.disconnect_volume({**attached, 'device_path': str(storpool.by_name / NAME)}, None)
        assert storpool.bodies() == [self.order(NAME)]
        assert storpool.attached == {}

    def test_the_path_may_be_in_the_device_information(self, connector, storpool, attached):
        path = attached.pop('device_path')
        connector.disconnect_volume(attached, {'type': 'block', 'path': path})
        assert storpool.bodies() == [self.order(f'~{ID}')]

    @pytest.mark.parametrize('change, info, reason', [
        ({'client_id': None}, None, GONE + 'no client ID specified.'),
        ({'device_path': None}, None, GONE + 'no device_path specified.'),
        ({'device_path': None}, {'type': 'block'}, GONE + 'no device_path specified.'),
        ({'device_path': '/dev/sda'}, None, 'Unexpected device path /dev/sda')])
    def test_properties_that_make_no_sense(self, connector, storpool, attached, change, info,
                                           reason):
        with pytest.raises(exception.BrickException) as raised:
            connector.disconnect_volume({**attached, **change}, info)
        assert str(raised.value) == reason
        assert storpool.requests == []

    @pytest.mark.parametrize('error', ['busy', 'invalidParam'])
    def test_sp_02_a_device_that_is_closed_at_last(self, connector, storpool, attached, waits,
                                                   error):
        busy = failure(409, error, f"'{NAME}' is open at client 7")
        storpool.next = [busy] * 9
        connector.disconnect_volume(attached, None)
        assert waits == [0.2] * 9
        assert storpool.bodies() == [self.order(f'~{ID}')] * 10
        assert storpool.attached == {}

    def test_sp_02_a_device_that_stays_open_is_pulled_away(self, connector, storpool, attached,
                                                           waits):
        storpool.open.add(ID)
        connector.disconnect_volume(attached, None)
        assert waits == [0.2] * 10
        assert storpool.bodies() == [self.order(f'~{ID}')] * 10 + [self.order(f'~{ID}', True)]
        assert storpool.attached == {}

    def test_sp_02_even_that_fails(self, connector, storpool, attached, waits):
        storpool.next = [failure(409, 'busy', 'it is open at client 7')] * 11
        with pytest.raises(exception.BrickException) as raised:
            connector.disconnect_volume(attached, None)
        assert str(raised.value) == ('Communication with the StorPool API failed: '
                                     'HTTP: 409, busy: it is open at client 7')
        assert len(storpool.requests) == 11

    @pytest.mark.parametrize('name, text', [('busy', 'is being moved'),
                                            ('permissionDenied', 'is open at client 7')])
    def test_sp_02_other_errors_are_raised_at_once(self, connector, storpool, attached, waits,
                                                   name, text):
        storpool.next = [failure(409, name, text)]
        with pytest.raises(exception.BrickException, match=f'HTTP: 409, {name}: {text}$'):
            connector.disconnect_volume(attached, None)
        assert (waits, len(storpool.requests)) == ([], 1)

    def test_a_volume_that_was_deleted_is_detached(self, connector, storpool, attached, caplog):
        storpool.volumes.clear()
        connector.disconnect_volume(attached, None)
        assert [one.getMessage() for one in caplog.records if one.levelname == 'WARNING'] == [
            f'StorPool volume ~{ID} does not exist, so it is not attached']

    def test_twice(self, connector, storpool, attached):
        connector.disconnect_volume(attached, None)
        connector.disconnect_volume(attached, None)
        assert storpool.attached == {}

    def test_errors_that_are_to_be_ignored(self, connector, storpool, attached, caplog):
        storpool.next = [failure(500, 'x', 'broken')] * 2
        with pytest.raises(exception.BrickException):
            connector.disconnect_volume(attached, None, force=True)
        connector.disconnect_volume(attached, None, force=True, ignore_errors=True)
        assert [one.getMessage() for one in caplog.records if one.levelname == 'WARNING'] == [
            f'StorPool volume ~{ID} may still be attached: '
            'Communication with the StorPool API failed: HTTP: 500, x: broken']


def test_cf_07_every_caller_detaches_with_the_same_arguments():
    parameters = inspect.signature(
        connector_module.StorPoolConnector.disconnect_volume).parameters
    assert [(name, one.default) for name, one in parameters.items()][1:] == [
        ('connection_properties', inspect.Parameter.empty),
        ('device_info', inspect.Parameter.empty), ('force', False), ('ignore_errors', False)]


def test_the_devices_are_storpools():
    assert connector_module.DEV_STORPOOL == storpool_utils.DEV_STORPOOL == (
        pathlib.Path('/dev/storpool'))
    assert connector_module.DEV_STORPOOL_BYID == storpool_utils.DEV_STORPOOL_BYID == (
        pathlib.Path('/dev/storpool-byid'))


def test_se_10_no_token_in_logs_or_exceptions(connector, storpool, props, debug_log):
    with pytest.raises(exception.BrickException) as raised:
        connector.connect_volume({**props, 'volume': 'unknown'})
    path = connector.connect_volume(props)['path']
    storpool.next = [failure(503, 'busy', 'starting', transient=True)]
    connector.disconnect_volume({**props, 'device_path': path}, None)
    assert storpool.attached == {}
    assert storpool_api.TOKEN not in debug_log.text + repr(raised.value) + repr(connector)
