# SPDX-License-Identifier: Apache-2.0
"""LightOSConnector: what is attached and detached, and who is kept out meanwhile."""

import os
import stat
import subprocess
import sys

import pytest

from oslo_concurrency import processutils as putils

from os_brick import exception
from os_brick import utils
from os_brick.initiator.connectors import lightos
from os_brick.privileged import lightos as priv_lightos

import lightos_host
from lightos_host import CONTENT, OTHER, PROPS, UUID, Client, drained


class TestConnect(lightos_host.Host):

    def test_the_client_is_told_and_the_device_is_waited_for(self, connector, client, messages,
                                                             device):
        assert connector.connect_volume(PROPS) == {'type': 'block', 'path': device}
        assert client.files() == {f'{UUID}.conf': CONTENT}
        assert drained(messages) == [('add', PROPS)]
        assert client.now == 0.05

    def test_again_leaves_the_file(self, connector, client):
        connector.connect_volume(PROPS)
        before = os.stat(client.directory / f'{UUID}.conf').st_ino
        connector.connect_volume(PROPS)
        assert os.stat(client.directory / f'{UUID}.conf').st_ino == before

    def test_an_empty_file_of_a_crash_is_written_again(self, connector, client):
        (client.directory / f'{UUID}.conf').touch()
        connector.connect_volume(PROPS)
        assert client.files() == {f'{UUID}.conf': CONTENT}

    def test_lo_03_the_file_goes_when_the_device_does_not_come(self, connector, client, messages):
        client.runs = False
        with pytest.raises(exception.BrickException,
                           match=f'^Device with uuid {UUID} did not show up$'):
            connector.connect_volume(PROPS)
        assert client.now == pytest.approx(60)
        assert client.files() == {}
        assert drained(messages) == []

    def test_lo_03_the_first_error_is_raised(self, connector, client, monkeypatch):
        client.runs = False

        def fail(path):
            raise OSError('read-only')
        monkeypatch.setattr(priv_lightos, 'delete_dsc_file', fail)
        with pytest.raises(exception.BrickException, match='did not show up$'):
            connector.connect_volume(PROPS)

    def test_an_interrupted_wait_removes_the_file(self, connector, client, monkeypatch):
        def interrupt(seconds):
            raise KeyboardInterrupt
        monkeypatch.setattr(client, 'sleep', interrupt)
        with pytest.raises(KeyboardInterrupt):
            connector.connect_volume(PROPS)
        assert client.files() == {}

    def test_no_directory(self, connector, client, tmp_path):
        client.directory.rmdir()
        with pytest.raises(exception.BrickException) as caught:
            connector.connect_volume(PROPS)
        assert str(caught.value).startswith(
            f'Failed to create the discovery file {client.directory}/{UUID}.conf: ')

    def test_nothing_is_left_in_the_temporary_directory(self, connector, client, tmp_path,
                                                        monkeypatch):
        (tmp_path / 'tmp').mkdir()
        monkeypatch.setattr(lightos.tempfile, 'tempdir', str(tmp_path / 'tmp'))
        connector.connect_volume(PROPS)
        client.directory.joinpath(f'{UUID}.conf').unlink()
        client.directory.rmdir()
        with pytest.raises(exception.BrickException):
            connector.connect_volume(PROPS)
        assert os.listdir(tmp_path / 'tmp') == []

    @pytest.mark.parametrize('nqn', [None, ''])
    def test_a_host_without_nqn(self, connector, client, monkeypatch, nqn):
        monkeypatch.setattr(utils, 'get_host_nqn', lambda: nqn)
        with pytest.raises(exception.BrickException, match=r'^This host has no nqn\.$'):
            connector.connect_volume(PROPS)
        assert client.files() == {}

    @pytest.mark.parametrize('change, text', [
        ({'uuid': None}, 'connection_properties needs uuid in one word, not None'),
        ({'uuid': '../../etc/x'},
         "connection_properties needs uuid in one word, not '../../etc/x'"),
        ({'uuid': '.'}, "connection_properties needs uuid in one word, not '.'"),
        ({'subsysnqn': ''}, "connection_properties needs subsysnqn in one word, not ''"),
        ({'subsysnqn': 'a\n-t tcp'},
         "connection_properties needs subsysnqn in one word, not 'a\\n-t tcp'"),
        ({'lightos_nodes': {}}, 'connection_properties needs lightos_nodes, not {}'),
        ({'lightos_nodes': {'n': 5}}, "lightos_nodes['n'] must be a dictionary, not 5"),
    ])
    def test_bad_properties_are_named_and_nothing_is_touched(self, connector, client, change,
                                                             text):
        with pytest.raises(exception.InvalidParameterValue) as caught:
            connector.connect_volume({**PROPS, **change})
        assert str(caught.value) == text
        assert (client.files(), client.now) == ({}, 0)

    @pytest.mark.parametrize('key, value, text', [
        ('target_portal', None, "needs target_portal in one word, not None"),
        ('target_portal', 'a b', "needs target_portal in one word, not 'a b'"),
        ('target_portal', 'a=b', "needs target_portal in one word, not 'a=b'"),
        ('transport_type', 'tcp#', "needs transport_type in one word, not 'tcp#'"),
        ('target_port', True, "needs target_port in one word, not True"),
        ('target_port', 0, "needs target_port as a number up to 65535, not '0'"),
        ('target_port', 65536, "needs target_port as a number up to 65535, not '65536'"),
        ('target_port', 'http', "needs target_port as a number up to 65535, not 'http'"),
    ])
    def test_bad_nodes_are_named(self, connector, client, key, value, text):
        node = {**PROPS['lightos_nodes']['10.0.0.1'], key: value}
        with pytest.raises(exception.InvalidParameterValue) as caught:
            connector.connect_volume({**PROPS, 'lightos_nodes': {'n': node}})
        assert str(caught.value) == f"lightos_nodes['n'] {text}"
        assert client.files() == {}

    def test_properties_must_be_a_dictionary(self, connector):
        for call in (connector.connect_volume, connector.dsc_connect_volume):
            with pytest.raises(exception.InvalidParameterValue,
                               match='^connection_properties must be a dictionary, not list$'):
                call([])

    def test_an_encrypted_volume_gets_its_link(self, connector, links, device):
        link = utils._symlink_name_from_device_path(device)
        assert connector.connect_volume({**PROPS, 'encrypted': True})['path'] == link
        assert links == [('link', device, link)]


class TestDevice(lightos_host.Host):

    def test_lo_04_the_link_is_tried_first(self, connector, client, device):
        client.appear(UUID)
        client.block('nvme9n9', wwid=f'uuid.{UUID}')
        assert connector._get_device_by_uuid(UUID) == device

    @pytest.mark.parametrize('wwid', [f'uuid.{UUID}', f'uuid.{UUID.upper()}'])
    def test_lo_04_without_a_link_the_head_of_the_namespace_is_found(self, connector, client,
                                                                     device, wwid):
        client.block('nvme0c0n1', wwid=wwid)
        client.block('nvme0c1n1', wwid=wwid)
        client.block('nvme0n1', wwid=wwid)
        client.block('nvme1n1', wwid=f'uuid.{OTHER}')
        client.block('sda')
        assert connector._get_device_by_uuid(UUID) == device

    def test_lo_04_single_paths_are_no_device(self, connector, client):
        client.block('nvme0c0n1', wwid=f'uuid.{UUID}')
        assert connector._get_device_by_uuid(UUID, wait=False) is None

    def test_a_link_that_dangles_or_leads_elsewhere_is_none(self, connector, client, tmp_path):
        link = client.by_id / f'nvme-uuid.{UUID}'
        link.symlink_to(tmp_path / 'dev/nvme0n1')
        assert connector._get_device_by_uuid(UUID, wait=False) is None
        link.unlink()
        (tmp_path / 'dev/sda').touch()
        link.symlink_to(tmp_path / 'dev/sda')
        assert connector._get_device_by_uuid(UUID, wait=False) is None

    def test_a_device_that_goes_while_it_is_read_is_passed_over(self, connector, client):
        client.block('nvme0n1')
        (client.root / 'sys/class/block/nvme0n1/wwid').mkdir()
        assert connector._get_device_by_uuid(UUID, wait=False) is None

    def test_the_looks_get_rarer(self, connector, client, monkeypatch):
        waits = []
        monkeypatch.setattr(client, 'sleep', lambda seconds: (
            waits.append(seconds), Client.sleep(client, seconds)))
        connector._get_device_by_uuid(UUID)
        assert waits[:7] == [0.05, 0.1, 0.2, 0.4, 0.8, 1, 1]
        assert sum(waits) == pytest.approx(60)

    def test_paths_and_search_path(self, connector, client, device, tmp_path):
        assert connector.get_volume_paths({'device_path': '/dev/x'}) == ['/dev/x']
        assert connector.get_volume_paths(PROPS) == []
        client.appear(UUID)
        assert connector.get_volume_paths(PROPS) == [device]
        assert connector.get_search_path() == str(tmp_path / 'dev')

    def test_extend(self, connector, client):
        client.appear(UUID)
        client.block('nvme0n1', size=2097152)
        assert connector.extend_volume({'uuid': UUID}) == 1 << 30

    def test_extending_what_is_not_attached(self, connector, client):
        with pytest.raises(exception.VolumeDeviceNotFound, match=f'nvme-uuid.{UUID}'):
            connector.extend_volume({'uuid': UUID})
        assert client.now == 0


class TestDisconnect(lightos_host.Host):

    @pytest.fixture(autouse=True)
    def attached(self, connector, messages):
        connector.connect_volume(PROPS)
        drained(messages)

    def test_flush_then_the_file(self, connector, client, messages, device):
        during = []
        client.during_flush = lambda: during.append((drained(messages), client.files()))
        connector.disconnect_volume(PROPS, None)
        assert client.commands == [('blockdev', '--flushbufs', device)]
        assert during == [([('delete', PROPS)], {f'{UUID}.conf': CONTENT})]
        assert client.files() == {}

    def test_again_neither_fails_nor_waits(self, connector, client):
        connector.disconnect_volume(PROPS, {'type': 'block', 'path': '/dev/nvme0n1'})
        (client.by_id / f'nvme-uuid.{UUID}').unlink()
        before = client.now
        connector.disconnect_volume(PROPS, None)
        assert (client.now, client.files()) == (before, {})

    def test_lo_02_a_failed_flush_keeps_the_file_but_the_monitor_was_told(
            self, connector, client, messages):
        client.flush_error = putils.ProcessExecutionError('busy')
        with pytest.raises(putils.ProcessExecutionError):
            connector.disconnect_volume(PROPS, None)
        assert client.files() == {f'{UUID}.conf': CONTENT}
        assert drained(messages) == [('delete', PROPS)]

    def test_lo_01_force_goes_on_and_tells_at_the_end(self, connector, client):
        client.flush_error = putils.ProcessExecutionError('busy')
        with pytest.raises(exception.ExceptionChainer, match='busy'):
            connector.disconnect_volume(PROPS, None, force=True)
        assert client.files() == {}

    def test_lo_01_ignored_errors_are_not_raised(self, connector, client, monkeypatch):
        client.flush_error = putils.ProcessExecutionError('busy')
        connector.disconnect_volume(PROPS, None, force=True, ignore_errors=True)
        assert client.files() == {}

    @pytest.mark.parametrize('force', [False, True])
    def test_lo_02_a_file_that_cannot_be_removed(self, connector, client, messages, monkeypatch,
                                                 force):
        def fail(path):
            raise OSError('read-only')
        monkeypatch.setattr(priv_lightos, 'delete_dsc_file', fail)
        with pytest.raises(exception.ExceptionChainer, match='read-only'):
            connector.disconnect_volume(PROPS, None, force)
        connector.disconnect_volume(PROPS, None, force, ignore_errors=True)
        assert drained(messages) == 2 * [('delete', PROPS)]

    def test_without_a_message_queue(self, client):
        connector = lightos.LightOSConnector(None, execute=client.execute)
        connector.disconnect_volume(PROPS, None)
        connector.connect_volume(PROPS)
        assert client.files() == {f'{UUID}.conf': CONTENT}

    def test_an_own_execute_set_later_flushes(self, connector, client):
        ran = []
        connector.set_execute(lambda *cmd, **kwargs: ran.append(cmd) or ('', ''))
        connector.disconnect_volume(PROPS, None)
        assert (len(ran), client.commands) == (1, [])

    def test_cf_07_arguments(self, connector):
        connector.disconnect_volume(connection_properties=PROPS, device_info=None, force=False,
                                    ignore_errors=False)


TRY_LOCK = '''
import fcntl, sys
with open(sys.argv[1], "a") as stream:
    try:
        fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        print("free")
    except OSError:
        print("taken")
'''


class TestLock(lightos_host.Host):

    def other_process(self, tmp_path):
        path = tmp_path / 'locks/os-brick-volume_op'
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o666
        return subprocess.run([sys.executable, '-c', TRY_LOCK, str(path)], check=True,
                              stdout=subprocess.PIPE, text=True).stdout.strip()

    def test_x_16_other_processes_are_excluded(self, connector, client, tmp_path):
        seen = []
        client.sleep = lambda seconds: (seen.append(self.other_process(tmp_path)),
                                        Client.sleep(client, seconds))
        connector.connect_volume(PROPS)
        client.during_flush = lambda: seen.append(self.other_process(tmp_path))
        connector.disconnect_volume(PROPS, None)
        assert seen == ['taken', 'taken']
        assert self.other_process(tmp_path) == 'free'

    def test_x_16_without_a_lock_path_the_threads_are(self, connector, configured, tmp_path):
        configured.clear_override('lock_path', group='os_brick')
        connector.connect_volume(PROPS)
        assert not (tmp_path / 'locks').exists()
