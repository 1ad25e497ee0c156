# SPDX-License-Identifier: Apache-2.0
"""FibreChannelConnector and its variants: what reaches the engine, by which way, and what comes back."""

import os

import pytest

from os_brick import encrypted_link
from os_brick import exception
from os_brick.initiator import connector as factory
from os_brick.initiator import linuxfc
from os_brick.initiator import linuxscsi
from os_brick.initiator.connectors import fibre_channel
from os_brick.initiator.connectors import fibre_channel_ppc64
from os_brick.initiator.connectors import fibre_channel_s390x
from os_brick.privileged import encrypted_volume
from os_brick.privileged import fibre_channel as priv_fibre_channel

W, X = '500601603ee00001', '500601603ee00002'
HOST = '10000090fa000001'
PROPS = {'target_wwn': [W, X], 'target_lun': 5, 'initiator_target_map': {HOST: [W, X]},
         'enable_wildcard_scan': False, 'addressing_mode': 'SAM2', 'access_mode': 'rw'}
PATH = f'/dev/disk/by-path/pci-0000:05:00.2-fc-0x{W}-lun-5'
CLASSES = [fibre_channel.FibreChannelConnector,
           fibre_channel_s390x.FibreChannelConnectorS390X,
           fibre_channel_ppc64.FibreChannelConnectorPPC64]


@pytest.fixture
def settings(tmp_path):
    """The settings of a connector with default choices."""
    return {'use_multipath': False, 'device_scan_attempts': 3, 'portal_grace_period': 2.0,
            'enforce_identity': False, 'wait_mpath_device_attempts': 4,
            'wait_mpath_device_interval': 1, 'lock_path': str(tmp_path / 'locks')}


@pytest.fixture(params=CLASSES)
def connector(request, engine):
    engine.answers['connect_volume'] = {'type': 'block', 'scsi_wwn': '3600a', 'path': PATH}
    return request.param('sudo')


def own_execute(*cmd, **kwargs):
    return 'out', 'err'


def test_x_01_what_the_engine_gets_on_every_machine(connector, engine, settings):
    result = connector.connect_volume({**PROPS, 'qos_specs': None, 'discard': True})
    assert engine.calls == [('connect_volume', (PROPS, settings, None))]
    assert result == {'type': 'block', 'scsi_wwn': '3600a', 'path': PATH}
    assert type(result) is dict


def test_fc_29_detach_and_extend_on_every_machine(connector, engine, settings):
    connector.disconnect_volume(PROPS, {'path': PATH})
    assert connector.extend_volume(PROPS) == 2147483648
    assert engine.calls == [('disconnect_volume', (PROPS, PATH, settings, False, None)),
                            ('extend_volume', (PROPS, settings, None))]


def test_maps_of_pairs_arrive_as_lists(engine):
    connector = fibre_channel.FibreChannelConnector(None)
    given = {'target_wwns': (W,), 'target_luns': (5,),
             'initiator_target_lun_map': {HOST: [(W, 5)]}}
    connector.connect_volume(given)
    assert engine.calls[0][1][0] == {'target_wwns': [W], 'target_luns': [5],
                                     'initiator_target_lun_map': {HOST: [[W, 5]]}}
    assert given['target_wwns'] == (W,), "the caller's properties stay as they were"


@pytest.mark.parametrize('wrong', [{HOST: [object()]}, {5: [W]}, {HOST: {'a': {'b': {'c': {}}}}}])
def test_maps_hold_plain_data(engine, wrong):
    connector = fibre_channel.FibreChannelConnector(None)
    with pytest.raises(exception.InvalidParameterValue, match='initiator_target_map'):
        connector.connect_volume({**PROPS, 'initiator_target_map': wrong})
    assert engine.calls == []


def test_choices_reach_the_settings(engine, settings):
    connector = fibre_channel.FibreChannelConnector(
        None, use_multipath=True, device_scan_attempts=9, enforce_multipath=True)
    connector.connect_volume(PROPS)
    assert engine.calls[0][1][1] == {**settings, 'use_multipath': True,
                                     'device_scan_attempts': 9}


def test_the_lock_files_are_there_before_the_engine(engine, settings):
    seen = []
    engine.fibre_channel.connect_volume = lambda *args: seen.extend(
        os.listdir(settings['lock_path'])) or {'path': PATH}
    fibre_channel.FibreChannelConnector(None).connect_volume(PROPS)
    assert 'os-brick-connect_volume' in seen and 'os-brick-volumes' in seen


@pytest.mark.parametrize('device_info', [
    {'path': PATH}, {**PROPS, 'device_path': PATH, 'multipath_id': '3600a'}])
def test_fc_01_nova_hands_the_properties_over_as_device_info(engine, device_info):
    connector = fibre_channel.FibreChannelConnector(None, use_multipath=True)
    connector.disconnect_volume({**PROPS, 'device_path': PATH}, device_info, force=True)
    name, (properties, path, _settings, force, execute) = engine.calls[0]
    assert (name, path, force, execute) == ('disconnect_volume', PATH, True, None)
    assert properties == {**PROPS, 'device_path': PATH}


@pytest.mark.parametrize('device_info', [None, {}, {'path': b''}])
def test_fc_01_the_properties_are_enough(engine, device_info):
    fibre_channel.FibreChannelConnector(None).disconnect_volume(PROPS, device_info)
    assert engine.calls[0][1][1] is None


def test_fc_25_errors_under_force(engine, caplog):
    connector = fibre_channel.FibreChannelConnector(None)
    engine.answers['disconnect_volume'] = ['multipathd del map: exit 1: fail', 'sda remains']
    with pytest.raises(exception.ExceptionChainer) as caught:
        connector.disconnect_volume(PROPS, None, force=True)
    assert 'sda remains' in str(caught.value)
    connector.disconnect_volume(PROPS, None, force=True, ignore_errors=True)
    assert 'sda remains' in caplog.text


@pytest.mark.parametrize('way', ['constructor', 'set_execute'])
def test_px_10_everything_goes_through_the_callers_execute(engine, monkeypatch, way):
    for name in ('connect_volume', 'disconnect_volume', 'extend_volume'):
        monkeypatch.setattr(priv_fibre_channel, name, None)
    connector = fibre_channel.FibreChannelConnector(
        'sudo', execute=own_execute if way == 'constructor' else None)
    connector.set_execute(own_execute)
    connector.connect_volume(PROPS)
    connector.disconnect_volume(PROPS, None)
    connector.extend_volume(PROPS)
    assert [name for name, _args in engine.calls] == [
        'connect_volume', 'disconnect_volume', 'extend_volume']
    assert all(args[-1]('tee') == ('out', 'err') for _name, args in engine.calls)
    assert connector._linuxfc._execute('tee') == ('out', 'err')


def test_one_round_trip_by_default(engine, monkeypatch):
    trips = []
    monkeypatch.setattr(priv_fibre_channel, 'connect_volume',
                        lambda *args: trips.append(args) or {'path': PATH})
    fibre_channel.FibreChannelConnector(None).connect_volume({**PROPS, 'encrypted': True})
    assert len(trips) == 1
    assert engine.calls == []


class TestEncrypted:

    PROPS = {**PROPS, 'encrypted': True}
    LINK = encrypted_link.name_for(PATH)

    def test_the_link_stands_for_the_device(self, engine, links):
        engine.answers['connect_volume'] = {'type': 'block', 'scsi_wwn': '3', 'path': PATH}
        connector = fibre_channel.FibreChannelConnector(None)
        assert connector.connect_volume(self.PROPS)['path'] == self.LINK
        assert links == [('link', os.path.realpath(PATH), self.LINK)]

    def test_without_a_link_the_volume_is_detached(self, engine, monkeypatch):
        def fail(*args, **kwargs):
            raise OSError('read-only')

        monkeypatch.setattr(encrypted_volume.rootwrap, 'link_root', fail)
        with pytest.raises(OSError, match='read-only'):
            fibre_channel.FibreChannelConnector(None).connect_volume(self.PROPS)
        name, args = engine.calls[-1]
        assert (name, args[1], args[3]) == ('disconnect_volume', '/dev/dm-0', True)

    def test_a_detach_takes_the_link_away(self, engine, links, monkeypatch):
        monkeypatch.setattr(encrypted_volume.os.path, 'islink', lambda path: True)
        connector = fibre_channel.FibreChannelConnector(None)
        connector.disconnect_volume(self.PROPS, {'path': self.LINK})
        assert engine.calls[0][1][1] == PATH
        assert links == [('unlink', self.LINK)]

    def test_a_lost_link_is_found_by_the_volumes_devices(self, engine, links, tmp_path,
                                                          monkeypatch):
        by_id = tmp_path / 'by-id'
        by_id.mkdir()
        monkeypatch.setattr(encrypted_link, 'PREFIX', f'{by_id}/os-brick')
        for path in ('/dev/dm-77', '/dev/sdzz'):
            os.symlink(path, encrypted_link.name_for(path))
        engine.answers['volume_devices'] = ['dm-77', 'sda']
        fibre_channel.FibreChannelConnector(None).disconnect_volume(self.PROPS, None)
        assert links == [('unlink', f'{by_id}/os-brick+dev+dm-77')]


def test_paths_and_volumes_are_looked_up_without_root(connector, engine, settings, monkeypatch,
                                                      tmp_path):
    engine.answers['volume_paths'] = [PATH]
    engine.answers['entries'] = [PATH, '/dev/disk/by-path/pci-1']
    monkeypatch.setattr(connector, 'get_search_path', lambda: str(tmp_path))
    assert connector.get_volume_paths({**PROPS, 'targets': [(W, 5)]}) == [PATH]
    assert connector.get_all_available_volumes() == [PATH, '/dev/disk/by-path/pci-1']
    del settings['lock_path']
    assert engine.calls == [('volume_paths', (PROPS, settings)), ('entries', (str(tmp_path),))]


def test_supports_multipath_asks_with_the_callers_execute(connector, monkeypatch):
    asked = []
    monkeypatch.setattr(linuxscsi.LinuxSCSI, 'is_multipath_running',
                        staticmethod(lambda **kwargs: asked.append(kwargs) or True))
    assert connector.supports_multipath() is True
    assert asked == [{'root_helper': 'sudo', 'execute': None}]


@pytest.mark.parametrize('arch, cls, helper', [
    ('x86_64', CLASSES[0], linuxfc.LinuxFibreChannel),
    ('s390x', CLASSES[1], linuxfc.LinuxFibreChannelS390X),
    ('ppc64le', CLASSES[2], linuxfc.LinuxFibreChannel)])
def test_the_factory_knows_the_machine(arch, cls, helper):
    made = factory.InitiatorConnector.factory('fibre_channel', None, arch=arch,
                                              use_multipath=True, device_scan_attempts=7,
                                              conn={'any': 'thing'})
    assert type(made) is cls
    assert type(made._linuxfc) is helper
    assert (made.use_multipath, made.device_scan_attempts) == (True, 7)
