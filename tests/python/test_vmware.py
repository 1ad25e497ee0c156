# SPDX-License-Identifier: Apache-2.0
"""VmdkConnector on a small vCenter: downloads, uploads, and what remains where they fail."""

import json
import os
import pathlib
import subprocess
import sys
import time

import pytest

import os_brick
from os_brick import exception
from os_brick.initiator import connector as factory
from os_brick.initiator.connectors import vmware

import vcenter as vcenter_module

VOLUME = '[ds1] vol/vol.vmdk'
SECRET = 'hunter2'


@pytest.fixture
def vcenter(monkeypatch):
    made = vcenter_module.VCenter()
    for name, module in vcenter_module.library(made).items():
        monkeypatch.setattr(vmware, name, module)
    yield made
    made.stop()


@pytest.fixture
def props(vcenter, tmp_path):
    return {'volume_id': 'volume-1', 'volume': 'vm-1', 'vmdk_path': VOLUME, 'vmdk_size': 11,
            'datastore': 'datastore-1', 'datacenter': 'datacenter-1', 'config': {
                'vmware_host_ip': '127.0.0.1', 'vmware_host_port': vcenter.server.server_port,
                'vmware_host_username': 'me', 'vmware_host_password': SECRET,
                'vmware_api_retry_count': 10, 'vmware_task_poll_interval': 2.0,
                'vmware_ca_file': None, 'vmware_insecure': False,
                'vmware_tmp_dir': str(tmp_path / 'tmp'),
                'vmware_image_transfer_timeout_secs': 7200}}


@pytest.fixture
def files(tmp_path):
    """The temporary files now."""
    return lambda: [path.read_bytes() for path in sorted((tmp_path / 'tmp').iterdir())]


@pytest.fixture
def connector(vcenter):
    return vmware.VmdkConnector('sudo', driver=None, use_multipath=False)


@pytest.fixture
def restored(connector, props):
    """An attached volume whose file a restore has rewritten."""
    info = connector.connect_volume(props)
    with open(info['path'], 'wb') as stream:
        stream.write(b'z:restored content')
    return info


def raised(call, *args):
    with pytest.raises(exception.InvalidParameterValue) as caught:
        call(*args)
    return str(caught.value)


class TestConnect:

    def test_the_disk_becomes_a_file(self, connector, vcenter, props, tmp_path):
        info = connector.connect_volume(props)
        path = pathlib.Path(info['path'])
        assert set(info) == {'path', 'last_modified'}
        assert path.read_bytes() == b'z:old content'
        assert path.parent == tmp_path / 'tmp'
        assert path.name.startswith('volume-1') and path.name.endswith('.vmdk')
        assert path.stat().st_mode & 0o777 == 0o600
        assert vcenter.sessions == 0
        assert vcenter.login == ('127.0.0.1', 'me', SECRET, 10, 2.0, {
            'port': vcenter.server.server_port, 'cacert': None, 'insecure': False})
        assert vcenter.downloaded_with == (7200, {
            'host': '127.0.0.1', 'port': vcenter.server.server_port,
            'vm': ('VirtualMachine', 'vm-1'), 'vmdk_file_path': VOLUME, 'vmdk_size': 11})

    @pytest.mark.parametrize('step', ['login', 'download'])
    def test_a_failure_leaves_no_file_and_no_session(self, connector, vcenter, props, files,
                                                     step):
        vcenter.errors[step] = OSError(step)
        with pytest.raises(OSError, match=f'^{step}$'):
            connector.connect_volume(props)
        assert (files(), vcenter.sessions) == ([], 0)

    def test_a_failed_logout_is_no_failure(self, connector, vcenter, props, files):
        vcenter.errors['logout'] = OSError('gone')
        connector.connect_volume(props)
        assert files() == [b'z:old content']

    def test_the_first_error_is_raised(self, connector, vcenter, props):
        vcenter.errors = {'download': OSError('first'), 'logout': OSError('second')}
        with pytest.raises(OSError, match='^first$'):
            connector.connect_volume(props)

    @pytest.mark.parametrize('key', ['volume_id', 'volume', 'vmdk_path', 'vmdk_size', 'config'])
    def test_a_missing_property_is_named(self, connector, vcenter, props, key, tmp_path):
        del props[key]
        assert raised(connector.connect_volume, props) == f'connection_properties needs {key}'
        assert not (tmp_path / 'tmp').exists()

    def test_missing_configuration_is_named_without_the_rest(self, connector, props, tmp_path):
        del props['config']['vmware_tmp_dir'], props['config']['vmware_host_ip']
        assert raised(connector.connect_volume, props) == (
            'config needs vmware_host_ip, vmware_tmp_dir')
        props['config'] = [SECRET]
        assert raised(connector.connect_volume, props) == 'config must be a dictionary, not list'

    @pytest.mark.parametrize('value', [None, '', '../x', 5])
    def test_a_volume_id_that_is_no_name(self, connector, props, value):
        assert raised(connector.connect_volume, {**props, 'volume_id': value}) == (
            f'volume_id must be a text without slashes, not {value!r}')

    def test_properties_must_be_a_dictionary(self, connector):
        assert raised(connector.connect_volume, None) == (
            'connection_properties must be a dictionary, not NoneType')

    def test_no_secret_is_shown(self, connector, props, debug_log, vcenter):
        connector.disconnect_volume(props, connector.connect_volume(props))
        vcenter.errors['download'] = OSError('failed')
        with pytest.raises(OSError):
            connector.connect_volume(props)
        assert SECRET not in debug_log.text + repr(connector)


class TestDisconnect:

    def test_vm_05_what_was_only_read_is_not_uploaded(self, connector, vcenter, props, files):
        info = connector.connect_volume(props)
        with open(info['path'], 'rb') as stream:
            stream.read()
        del vcenter.login
        # No property is needed for that.
        connector.disconnect_volume({}, json.loads(json.dumps(info)))
        assert (files(), vcenter.calls, hasattr(vcenter, 'login')) == ([], [], False)

    def test_vm_02_what_was_restored_replaces_the_volume(self, connector, vcenter, props,
                                                         restored, files):
        connector.disconnect_volume(props, restored)
        assert vcenter.files == {VOLUME: b'restored content'}
        assert vcenter.devices[-1] is vcenter.disk
        # vSphere knows the size of the new content.
        assert vcenter.disk.capacity == len(b'restored content')
        assert vcenter.calls == ['MakeDirectory', 'remove', 'CopyVirtualDisk_Task', 'add',
                                 'DeleteDatastoreFile_Task']
        assert vcenter.folders == {'[ds1] cinder_temp'}
        assert (files(), vcenter.sessions) == ([], 0)

    def test_vm_03_the_upload_carries_the_cookies_of_the_client(self, connector, vcenter, props,
                                                                restored):
        connector.disconnect_volume(props, restored)
        assert vcenter.uploaded_with == ('127.0.0.1', vcenter.server.server_port, 'dc1', 'ds1',
                                         'cookies', True)

    @pytest.mark.parametrize('ca_file, insecure, cacerts', [
        ('/ca.pem', False, '/ca.pem'), ('/ca.pem', True, '/ca.pem'), (None, True, False)])
    def test_the_certificate_to_expect(self, connector, vcenter, props, restored, ca_file,
                                       insecure, cacerts):
        props['config'].update(vmware_ca_file=ca_file, vmware_insecure=insecure)
        connector.disconnect_volume(props, restored)
        assert vcenter.uploaded_with[-1] == cacerts

    def test_vm_02_the_folder_may_be_there(self, connector, vcenter, props, restored):
        vcenter.folders.add('[ds1] cinder_temp')
        connector.disconnect_volume(props, restored)
        assert vcenter.files == {VOLUME: b'restored content'}

    def test_vm_05_a_change_while_the_clock_went_back_is_one(self, connector, vcenter, props,
                                                             restored):
        os.utime(restored['path'], (1, 1))
        connector.disconnect_volume(props, restored)
        assert vcenter.files == {VOLUME: b'restored content'}

    def test_vm_05_a_change_in_the_same_tick_of_the_clock_is_one(self, connector, vcenter, props,
                                                                 monkeypatch):
        now = int(time.time()) - 100
        transfer = vmware.image_transfer.copy_stream_optimized_disk

        def download(*args, **kwargs):
            transfer(*args, **kwargs)
            os.utime(args[2].name, (now, now))
        monkeypatch.setattr(vmware.image_transfer, 'copy_stream_optimized_disk', download)
        info = connector.connect_volume(props)
        with open(info['path'], 'wb') as stream:
            stream.write(b'z:restored content')
        os.utime(info['path'], (now, now))
        connector.disconnect_volume(props, info)
        assert vcenter.files == {VOLUME: b'restored content'}

    def test_the_disk_of_the_volume_is_chosen(self, connector, vcenter, props, restored):
        other = vcenter_module.VirtualDisk('[ds1] other.vmdk')
        vcenter.devices.insert(0, other)
        vcenter.files['[ds1] other.vmdk'] = b'other'
        connector.disconnect_volume(props, restored)
        assert vcenter.files == {VOLUME: b'restored content', '[ds1] other.vmdk': b'other'}

    def test_vm_04_snapshots_are_refused(self, connector, vcenter, props, restored, files):
        vcenter.snapshot = vcenter_module.types.SimpleNamespace(rootSnapshotList=['one'])
        with pytest.raises(exception.BrickException) as caught:
            connector.disconnect_volume(props, restored)
        assert str(caught.value) == ('Backing of volume: volume-1 contains one or more '
                                     'snapshots; cannot disconnect.')
        assert (files(), vcenter.sessions, vcenter.calls) == ([], 0, [])

    def test_vm_04_an_empty_list_of_snapshots_is_none(self, connector, vcenter, props, restored):
        vcenter.snapshot = vcenter_module.types.SimpleNamespace(rootSnapshotList=None)
        connector.disconnect_volume(props, restored)
        assert vcenter.files == {VOLUME: b'restored content'}

    def test_a_backing_without_a_disk(self, connector, vcenter, props, restored):
        vcenter.devices.remove(vcenter.disk)
        with pytest.raises(exception.BrickException, match=r'volume-1 has no disk \[ds1\] vol/'):
            connector.disconnect_volume(props, restored)
        assert vcenter.calls == []

    @pytest.mark.parametrize('step', ['login', 'MakeDirectory', 'transfer', 'remove'])
    def test_before_the_disk_is_away_a_failure_changes_nothing(self, connector, vcenter, props,
                                                               restored, files, step):
        vcenter.errors[step] = OSError(step)
        with pytest.raises(Exception, match=f'^{step}$'):
            connector.disconnect_volume(props, restored)
        assert vcenter.files == {VOLUME: b'old content'}
        assert vcenter.disk in vcenter.devices
        assert (files(), vcenter.sessions) == ([], 0)

    @pytest.mark.parametrize('status', [401, 403, 500, 507])
    def test_an_upload_that_vcenter_refuses_does_not_cost_the_volume(
            self, connector, vcenter, props, restored, status):
        vcenter.upload_status = status
        vcenter.errors['DeleteDatastoreFile_Task'] = OSError('not there')
        with pytest.raises(exception.BrickException, match=f'HTTP status {status}$'):
            connector.disconnect_volume(props, restored)
        assert vcenter.files == {VOLUME: b'old content'}
        assert vcenter.disk in vcenter.devices

    @pytest.mark.parametrize('step', ['CopyVirtualDisk_Task', 'add'])
    def test_once_the_disk_is_away_the_upload_is_kept_and_named(
            self, connector, vcenter, props, restored, files, caplog, step):
        vcenter.errors[step] = OSError(step)
        with pytest.raises(OSError, match=f'^{step}$'):
            connector.disconnect_volume(props, restored)
        upload = f'[ds1] cinder_temp/{os.path.basename(restored["path"])}'
        assert vcenter.files[upload] == b'z:restored content'
        assert upload in caplog.text
        assert (files(), vcenter.sessions) == ([], 0)

    def test_an_upload_that_cannot_be_deleted_is_no_failure(self, connector, vcenter, props,
                                                            restored, caplog):
        vcenter.errors['DeleteDatastoreFile_Task'] = OSError('busy')
        connector.disconnect_volume(props, restored)
        assert vcenter.files[VOLUME] == b'restored content'
        assert 'cinder_temp' in caplog.text

    @pytest.mark.parametrize('ignore_errors', [False, True])
    def test_data_that_cannot_be_uploaded_is_never_ignored(self, connector, vcenter, props,
                                                           restored, ignore_errors):
        vcenter.errors['transfer'] = OSError('transfer')
        with pytest.raises(Exception, match='^transfer$'):
            connector.disconnect_volume(props, restored, force=True,
                                        ignore_errors=ignore_errors)

    def test_again(self, connector, props):
        info = connector.connect_volume(props)
        connector.disconnect_volume(props, info)
        with pytest.raises(exception.NotFound) as caught:
            connector.disconnect_volume(props, info)
        assert str(caught.value) == f'Vmdk: {info["path"]} not found.'
        connector.disconnect_volume(props, info, force=True, ignore_errors=True)

    @pytest.mark.parametrize('info, text', [
        (None, 'device_info must be what connect_volume returned, not None'),
        ({}, "device_info needs path, not ''"),
        ({'path': 5}, 'device_info needs path, not 5')])
    def test_device_info_is_needed(self, connector, props, info, text):
        assert raised(connector.disconnect_volume, props, info) == text

    def test_the_time_is_needed_and_the_file_kept(self, connector, props, restored, files):
        assert raised(connector.disconnect_volume, props, {'path': restored['path']}) == (
            'device_info needs last_modified as a number, not None')
        assert files() == [b'z:restored content']

    @pytest.mark.parametrize('key', ['volume_id', 'volume', 'vmdk_path', 'datastore',
                                     'datacenter', 'config'])
    def test_a_missing_property_keeps_what_was_restored(self, connector, vcenter, props,
                                                        restored, files, key):
        del props[key]
        assert raised(connector.disconnect_volume, props, restored) == (
            f'connection_properties needs {key}')
        assert (files(), vcenter.calls) == ([b'z:restored content'], [])

    def test_only_files_are_removed(self, connector, props, tmp_path):
        assert raised(connector.disconnect_volume, props, {
            'path': str(tmp_path), 'last_modified': 1.0}) == (
            f'device_info needs the path of a regular file, not {str(tmp_path)!r}')


class TestRest:

    @pytest.mark.parametrize('content, valid', [
        (b'KDMV\xff\xfe', True), (b'\xff', True), (b'', False)])
    def test_vm_01_one_byte_is_enough(self, connector, tmp_path, content, valid):
        (tmp_path / 'file').write_bytes(content)
        assert connector.check_valid_device(str(tmp_path / 'file')) is valid
        assert connector.check_valid_device(str(tmp_path / 'file'), run_as_root=False) is valid

    @pytest.mark.parametrize('path', ['/does/not/exist', '/', None, 'a\0b'])
    def test_vm_01_what_cannot_be_read_is_not_valid(self, connector, path):
        assert connector.check_valid_device(path) is False

    def test_the_rest(self, connector):
        assert connector.get_volume_paths({}) == []
        assert connector.get_search_path() is None
        assert connector.get_all_available_volumes() is None
        assert vmware.VmdkConnector.get_connector_properties('sudo', host='h') == {}
        with pytest.raises(NotImplementedError):
            connector.extend_volume({})

    def test_the_factory(self, vcenter):
        made = factory.InitiatorConnector.factory('vmdk', 'sudo', use_multipath=True, conn={},
                                                  expect_raw_disk=True)
        assert type(made) is vmware.VmdkConnector

    def test_cf_09_without_the_library_there_is_a_clear_error(self, monkeypatch):
        monkeypatch.setitem(sys.modules, 'oslo_vmware', None)
        monkeypatch.setattr(vmware, 'vim_util', None)
        with pytest.raises(exception.BrickException) as caught:
            vmware.VmdkConnector('sudo')
        assert str(caught.value) == ('Missing oslo_vmware python module, ensure oslo.vmware '
                                     'library is installed and available.')

    def test_cf_09_the_library_is_loaded_for_the_first_connector(self, tmp_path):
        package = tmp_path / 'oslo_vmware'
        for module in ('__init__', 'api', 'exceptions', 'image_transfer', 'rw_handles',
                       'vim_util', 'objects/__init__', 'objects/datastore'):
            (package / module).parent.mkdir(parents=True, exist_ok=True)
            (package / f'{module}.py').touch()
        code = ('import sys\n'
                'from os_brick.initiator.connectors import vmware\n'
                'before = "oslo_vmware" in sys.modules\n'
                'vmware.VmdkConnector("sudo")\n'
                'print(before, vmware.vim_util.__name__, vmware.datastore.__name__)')
        top = pathlib.Path(os_brick.__file__).parents[1]
        out = subprocess.run([sys.executable, '-W', 'ignore', '-c', code], check=True, text=True,
                             stdout=subprocess.PIPE,
                             env={**os.environ, 'PYTHONPATH': f'{tmp_path}:{top}'}).stdout
        assert out == 'False oslo_vmware.vim_util oslo_vmware.objects.datastore\n'
