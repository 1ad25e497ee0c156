# SPDX-License-Identifier: Apache-2.0
"""The connectors over mounted shares."""

import hashlib
import inspect

import pytest

from mount_host import SHARE, V42
from mount_host import base, machine, options_tried

from os_brick import exception
from os_brick.initiator import connector
from os_brick.initiator.connectors import remotefs as remotefs_connector
from os_brick.remotefs import remotefs


class TestConnector:

    PROPERTIES = {'export': SHARE, 'name': 'volume-1', 'options': None}

    @pytest.fixture
    def nfs_connector(self, machine, base):
        return remotefs_connector.RemoteFsConnector(
            'nfs', 'sudo', execute=machine.execute, conn={'mount_point_base': base},
            nfs_mount_options='vers=4,minorversion=2')

    def test_connect_and_disconnect(self, nfs_connector, machine, base):
        mount_point = base + '/' + hashlib.md5(SHARE.encode()).hexdigest()
        path = mount_point + '/volume-1'
        assert nfs_connector.connect_volume(self.PROPERTIES) == {'path': path}
        assert nfs_connector.get_volume_paths(self.PROPERTIES) == [path]
        for arguments in ((None,), ({'path': path}, True, True)):
            assert nfs_connector.disconnect_volume(self.PROPERTIES, *arguments) is None
        assert machine.mounted() == [(SHARE, mount_point)]
        assert nfs_connector.get_search_path() == base
        assert nfs_connector.get_all_available_volumes() == [mount_point]

    def test_cf_07_the_signature_of_disconnect(self):
        parameters = inspect.signature(
            remotefs_connector.RemoteFsConnector.disconnect_volume).parameters
        assert {name: parameter.default for name, parameter in parameters.items()} == {
            'self': inspect.Parameter.empty, 'connection_properties': inspect.Parameter.empty,
            'device_info': inspect.Parameter.empty, 'force': False, 'ignore_errors': False}

    def test_options_are_arguments_of_mount(self, nfs_connector, machine):
        nfs_connector.connect_volume({**self.PROPERTIES, 'options': '-o ro  -v'})
        assert options_tried(machine) == [(*V42, '-o', 'ro', '-v')]

    def test_extend_is_not_ours(self, nfs_connector):
        with pytest.raises(NotImplementedError):
            nfs_connector.extend_volume(self.PROPERTIES)

    def test_there_is_nothing_to_tell_the_server(self):
        assert remotefs_connector.RemoteFsConnector.get_connector_properties(
            'sudo', multipath=True, enforce_multipath=True) == {}

    @pytest.mark.parametrize('change, error', [
        ({'name': '../volume'}, exception.InvalidParameterValue),
        ({'name': 'a/../../b'}, exception.InvalidParameterValue),
        ({'name': '/etc/passwd'}, exception.InvalidParameterValue),
        ({'name': ''}, exception.InvalidParameterValue),
        ({'name': None}, exception.InvalidParameterValue),
        ({'options': ['-o', 'ro']}, exception.InvalidParameterValue),
        ({'export': ''}, exception.InvalidParameterValue),
        ({'export': '-a'}, exception.InvalidParameterValue)])
    def test_bad_properties(self, nfs_connector, machine, change, error):
        with pytest.raises(error) as caught:
            nfs_connector.connect_volume({**self.PROPERTIES, **change})
        assert repr(next(iter(change.values()))) in str(caught.value)
        assert machine.commands == []

    @pytest.mark.parametrize('key', ['export', 'name'])
    def test_missing_properties(self, nfs_connector, machine, key):
        properties = dict(self.PROPERTIES)
        del properties[key]
        with pytest.raises(KeyError, match=key):
            nfs_connector.connect_volume(properties)
        assert machine.commands == []

    @pytest.mark.parametrize('kind, client', [
        ('nfs', remotefs.RemoteFsClient), ('NFS', remotefs.RemoteFsClient),
        ('glusterfs', remotefs.RemoteFsClient), ('quobyte', remotefs.RemoteFsClient),
        ('scality', remotefs.ScalityRemoteFsClient),
        ('vzstorage', remotefs.VZStorageRemoteFSClient)])
    def test_rf_06_the_client_of_each_type(self, kind, client):
        made = connector.InitiatorConnector.factory(
            kind, 'sudo', use_multipath=False, conn={'mount_point_base': '/base'})
        assert type(made) is connector.RemoteFsConnector
        assert type(made._remotefsclient) is client
        assert made.get_search_path() == '/base'

    def test_the_own_base_wins(self, caplog):
        """Nova gives vzstorage's so, and no connection information."""
        made = connector.InitiatorConnector.factory(
            'VZSTORAGE', 'sudo', vzstorage_mount_point_base='/own')
        assert made.get_search_path() == '/own'
        assert caplog.records == []
        made = remotefs_connector.RemoteFsConnector(
            'nfs', 'sudo', nfs_mount_point_base='/own', conn={'mount_point_base': '/other'})
        assert made.get_search_path() == '/own'

    @pytest.mark.parametrize('conn', [None, {}, {'data': {}}, {'mount_point_base': None}])
    def test_no_base(self, conn):
        with pytest.raises(exception.InvalidParameterValue) as caught:
            remotefs_connector.RemoteFsConnector('nfs', 'sudo', conn=conn)
        assert str(caught.value) == 'nfs_mount_point_base required'

    def test_choices_made_later_reach_the_client(self, nfs_connector):
        calls = []
        nfs_connector.set_execute(lambda *cmd, **kwargs: calls.append((cmd[0], kwargs)) or ('', ''))
        nfs_connector.set_root_helper('other')
        nfs_connector.connect_volume(self.PROPERTIES)
        assert calls[1] == ('mount', {'check_exit_code': 0, 'run_as_root': True,
                                      'root_helper': 'other'})

    @pytest.mark.parametrize('password', ['S3QQ', "S3'\"QQ", 'S3:/QQ\\'])
    def test_se_12_traces_do_not_show_the_password(self, machine, base, debug_log, password):
        made = remotefs_connector.RemoteFsConnector(
            'vzstorage', 'sudo', execute=machine.execute, conn={'mount_point_base': base})
        properties = {'export': f'mds:/cluster:{password}', 'name': 'volume-1'}
        made.disconnect_volume(properties, made.connect_volume(properties))
        assert "'export': 'mds:/cluster:***'" in debug_log.text
        assert 'S3' not in debug_log.text and 'QQ' not in debug_log.text
        assert machine.inputs[0][1] == password

    def test_traces_show_the_exports_of_others(self, nfs_connector, debug_log):
        nfs_connector.connect_volume(self.PROPERTIES)
        assert f"'export': '{SHARE}'" in debug_log.text
