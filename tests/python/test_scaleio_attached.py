# SPDX-License-Identifier: Apache-2.0
"""ScaleIOConnector with an attached volume: detached, extended, looked up, and several of this at once."""

import concurrent.futures
import os
import subprocess
import sys

import pytest

from powerflex_gateway import NO_SUCH_VOLUME
from powerflex_host import NAME, VOLUME_ID
from powerflex_host import conf, connector, gateway, pauses, props, sdc, without

from os_brick import exception
from os_brick.initiator.connectors import scaleio
from os_brick.privileged import scaleio as priv_scaleio

UNMAP = f'instances/Volume::{VOLUME_ID}/action/removeMappedSdc'
BY_NAME = 'types/Volume/instances/getByName::DIk8%252F1aKSxa%252Bg%253D%253D'


class TestDisconnect:

    @pytest.fixture
    def attached(self, connector, gateway, props):
        props = {**props, 'device_path': connector.connect_volume(props)['path']}
        gateway.requests.clear()
        return props

    def test_si_16_a_volume_this_connector_mapped_is_unmapped(self, connector, gateway, attached):
        connector.disconnect_volume(attached, None)
        assert gateway.mappings == set()
        assert gateway.actions() == [UNMAP]

    def test_si_16_by_another_process_days_later(self, gateway, attached, monkeypatch):
        gateway.tokens.clear()
        scaleio.ScaleIOConnector('sudo').disconnect_volume(attached, None)
        assert gateway.mappings == set()
        assert gateway.actions() == ['login', UNMAP]

    def test_si_03_by_name(self, connector, gateway, attached):
        connector.disconnect_volume(without(attached, 'scaleIO_volume_id'), None)
        assert gateway.actions() == [BY_NAME, UNMAP]

    @pytest.mark.parametrize('release', [3, 4])
    def test_si_10_a_volume_that_is_not_mapped(self, connector, gateway, props, release, caplog):
        gateway.release = release
        connector.disconnect_volume({**props, 'device_path': '/dev/null'}, None)
        assert [one.getMessage() for one in caplog.records if one.levelname == 'WARNING'] == [
            f'Ignoring error unmapping volume {NAME}: volume not mapped.']

    def test_si_10_the_codes_of_the_other_direction_are_errors(self, connector, gateway, props):
        gateway.answers['removeMappedSdc'] = gateway.error('mapped')
        with pytest.raises(exception.BrickException,
                           match='^Error unmapping volume .*: The volume is mapped$'):
            connector.disconnect_volume(props, None)

    @pytest.mark.parametrize('names', [(), ('scaleIO_volume_id',)])
    @pytest.mark.parametrize('code', [NO_SUCH_VOLUME, 78])
    def test_a_volume_that_was_deleted_is_detached(self, connector, gateway, props, names, code,
                                                   caplog):
        for end in ('removeMappedSdc', 'g%253D%253D'):
            gateway.answers[end] = (500, {'message': 'Could not find it', 'errorCode': code})
        connector.disconnect_volume(without(props, *names), None)
        assert [one.getMessage() for one in caplog.records if one.levelname == 'WARNING'] == [
            f'ScaleIO volume {NAME} does not exist, so it is not mapped.']

    def test_twice(self, connector, gateway, attached):
        connector.disconnect_volume(attached, None)
        connector.disconnect_volume(attached, None)
        assert gateway.actions() == [UNMAP, UNMAP]

    def test_si_11_the_device_is_waited_for(self, connector, gateway, sdc, attached, pauses):
        sdc.prompt = False
        pauses.then = iter([lambda: None, lambda: sdc.remove(VOLUME_ID)])
        connector.disconnect_volume(attached, None)
        assert pauses == [1, 1]

    def test_si_11_the_path_of_the_attach_serves_too(self, connector, gateway, sdc, attached,
                                                     pauses):
        sdc.prompt = False
        pauses.then = iter([lambda: sdc.remove(VOLUME_ID)])
        connector.disconnect_volume(without(attached, 'device_path'),
                                    {'type': 'block', 'path': attached['device_path']})
        assert pauses == [1]

    def test_si_11_a_device_that_stays(self, connector, gateway, sdc, attached, pauses):
        sdc.prompt = False
        with pytest.raises(exception.BrickException) as raised:
            connector.disconnect_volume(attached, None)
        assert str(raised.value) == (f'ScaleIO volume {VOLUME_ID} found after disconnect '
                                     f'operation at path {attached["device_path"]}')
        assert pauses == [1] * 14

    @pytest.mark.parametrize('force, ignore_errors', [(False, False), (True, False),
                                                      (False, True)])
    def test_a_refused_unmap(self, connector, gateway, attached, force, ignore_errors):
        gateway.answers['removeMappedSdc'] = (500, {'message': 'busy', 'errorCode': 1})
        with pytest.raises(exception.BrickException) as raised:
            connector.disconnect_volume(attached, None, force=force, ignore_errors=ignore_errors)
        assert str(raised.value) == f'Error unmapping volume {NAME}: busy'

    def test_errors_that_are_to_be_ignored(self, connector, gateway, attached, caplog):
        gateway.answers['removeMappedSdc'] = (500, {'message': 'busy', 'errorCode': 1})
        connector.disconnect_volume(attached, None, force=True, ignore_errors=True)
        assert [one.getMessage() for one in caplog.records if one.levelname == 'WARNING'] == [
            'Detached with errors, leftovers may remain on the host: '
            f'Error unmapping volume {NAME}: busy']


class TestExtend:

    def test_the_sdc_is_asked_and_the_size_read(self, connector, gateway, sdc, props):
        path = connector.connect_volume(props)['path']
        os.truncate(path, 4096)
        sdc.operations.clear()
        assert connector.extend_volume({**props, 'device_path': path}) == 4096
        assert sdc.operations == [(0x610a, 8)]

    def test_no_account_is_needed_for_it(self, connector, gateway, conf, sdc, props):
        conf.unlink()
        sdc.add(VOLUME_ID)
        assert connector.extend_volume(props) == 0
        assert gateway.requests == []

    def test_si_03_by_name(self, connector, gateway, sdc, props):
        sdc.add(VOLUME_ID)
        assert connector.extend_volume(without(props, 'scaleIO_volume_id')) == 0
        assert gateway.actions() == ['login', BY_NAME]

    def test_a_volume_that_is_not_attached(self, connector, props, pauses):
        with pytest.raises(exception.BrickException, match='not found at expected path'):
            connector.extend_volume(props)
        assert pauses == [1] * 14

    def test_an_sdc_that_cannot_be_asked(self, connector, sdc, props):
        sdc.control.unlink()
        with pytest.raises(exception.BrickException, match=r'^Error querying volumes: \[Errno 2\]'):
            connector.extend_volume(props)


class TestPaths:

    def test_of_an_attached_volume(self, connector, sdc, props):
        sdc.add(VOLUME_ID)
        assert connector.get_volume_paths(props) == [str(sdc.link(VOLUME_ID))]
        assert connector.get_all_available_volumes() == [str(sdc.link(VOLUME_ID))]

    def test_nobody_waits_for_one_that_is_not(self, connector, props, pauses):
        assert connector.get_volume_paths(props) == []
        assert pauses == []

    def test_the_directory_is_udevs(self):
        assert scaleio.ScaleIOConnector(None).get_search_path() == '/dev/disk/by-id'


class TestSeveralAtOnce:

    def test_si_01_each_caller_gets_its_own_volume(self, connector, gateway, sdc, props):
        ids = [f'{number:016x}' for number in range(8)]
        gateway.volumes.update((volume_id, f'name-{volume_id}') for volume_id in ids)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            results = list(pool.map(connector.connect_volume, [
                {**props, 'scaleIO_volume_id': volume_id} for volume_id in ids]))
        assert [one['path'] for one in results] == [str(sdc.link(one)) for one in ids]

    def test_si_01_a_question_in_between_changes_nothing(self, connector, gateway, sdc, props):
        sdc.add('f' * 16)
        asked = []
        gateway.during = lambda action: asked.append(
            connector.get_volume_paths({**props, 'scaleIO_volume_id': 'f' * 16}))
        assert connector.connect_volume(props)['path'] == str(sdc.link(VOLUME_ID))
        assert asked == [[str(sdc.link('f' * 16))]]

    def other_process_locks(self, tmp_path):
        """Whether another process of the host would get the lock now."""
        tried = subprocess.run([sys.executable, '-c', (
            'import fcntl, sys\n'
            'try: fcntl.lockf(open(sys.argv[1], "a"), fcntl.LOCK_EX | fcntl.LOCK_NB)\n'
            'except BlockingIOError: sys.exit(3)'), tmp_path / 'locks' / 'scaleio-scaleio'])
        assert tried.returncode in (0, 3)
        return tried.returncode == 0

    def test_si_01_other_processes_wait(self, connector, gateway, tmp_path, props):
        seen = []
        gateway.during = lambda action: seen.append((action, self.other_process_locks(tmp_path)))
        connector.connect_volume(props)
        connector.disconnect_volume(props, None)
        assert seen == [('map', False), ('unmap', False)]
        assert self.other_process_locks(tmp_path)

    def test_x_17_an_extend_waits_for_a_detach(self, connector, sdc, tmp_path, props,
                                               monkeypatch):
        seen = []
        sdc.add(VOLUME_ID)
        monkeypatch.setattr(priv_scaleio, 'ioctl', lambda *args: seen.append(
            self.other_process_locks(tmp_path)))
        connector.extend_volume(props)
        assert seen == [False]
