# SPDX-License-Identifier: Apache-2.0
"""RBDConnector: images as files, checks, and what is left in the directory of temporary files."""

import inspect
import io
import os
import stat

import pytest

import fake_ceph

from os_brick import ceph
from os_brick import exception
from os_brick.initiator import connector as connector_module
from os_brick.initiator import linuxrbd
from os_brick.initiator.connectors import base_rbd
from os_brick.initiator.connectors import rbd
from os_brick.privileged import rbd as rbd_privsep

PROPS = {'name': 'volumes/v1', 'hosts': fake_ceph.HOSTS, 'ports': fake_ceph.PORTS,
         'cluster_name': 'north', 'auth_enabled': True, 'auth_username': 'cinder',
         'keyring': fake_ceph.KEYRING, 'secret_type': 'ceph', 'volume_id': 'v1'}
MALFORMED = 'Connect volume failed, malformed connection properties: '


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    directory = tmp_path / 'tmp'
    directory.mkdir()
    monkeypatch.setattr(ceph.tempfile, 'tempdir', str(directory))
    return directory


@pytest.fixture
def cluster(monkeypatch, temporary):
    cluster = fake_ceph.Cluster()
    monkeypatch.setattr(linuxrbd, 'rados', cluster.rados)
    monkeypatch.setattr(linuxrbd, 'rbd', cluster.rbd)
    cluster.add('volumes', 'v1', 8192)
    cluster.add('backups', 'v1', 1000)
    cluster.add('volumes', 'v1', 2000, namespace='blue')
    cluster.add('volumes', 'v1', 3000, snapshot='s')
    return cluster


@pytest.fixture
def connector(cluster):
    return rbd.RBDConnector(None)


@pytest.fixture
def host_keyrings(tmp_path, monkeypatch):
    """A directory in the place of /etc/ceph."""
    directory = tmp_path / 'etc-ceph'
    directory.mkdir()
    monkeypatch.setattr(ceph, 'open', lambda path: open(path.replace('/etc/ceph', str(directory))),
                        raising=False)
    return directory


class TestConnect:

    def test_write_read_and_detach(self, connector, cluster, temporary):
        info = connector.connect_volume(PROPS)
        assert list(info) == ['path']
        handle = info['path']
        assert (handle.rbd_pool, handle.rbd_user) == ('volumes', 'cinder')
        handle.write(b'data')
        handle.seek(0)
        assert handle.read(6) == b'data\0\0'
        connector.disconnect_volume(PROPS, info)
        assert handle.closed
        assert cluster.opened == []
        assert os.listdir(temporary) == []

    def test_rb_02_rb_03_rb_04_rb_05_what_the_cluster_is_told(self, connector, cluster):
        handle = connector.connect_volume(PROPS)['path']
        assert cluster.connections == [('cinder', 'north', (
            f'[global]\nmon_host = {fake_ceph.MON_HOST}\n{fake_ceph.KEYRING}\n'))]
        handle.close()

    def test_rb_07_the_conf_is_there_until_the_detach(self, connector, temporary):
        info = connector.connect_volume(PROPS)
        conf = info['path'].rbd_conf
        assert [str(temporary / name) for name in os.listdir(temporary)] == [conf]
        assert os.path.basename(conf).startswith('brickrbd_')
        assert stat.S_IMODE(os.stat(conf).st_mode) == 0o600
        info['path'].close()
        assert os.path.exists(conf)
        connector.disconnect_volume(PROPS, info)
        assert not os.path.exists(conf)

    def test_rb_08_rb_02_se_09_the_keyring_of_the_host(self, connector, cluster, host_keyrings):
        (host_keyrings / 'north.client.cinder.keyring').write_text(fake_ceph.KEYRING)
        props = {key: value for key, value in PROPS.items() if key != 'keyring'}
        for given in (props, {**props, 'keyring': None}):
            connector.connect_volume(given)['path'].close()
        assert [text.endswith(f'\n{fake_ceph.KEYRING}\n') for _, _, text in cluster.connections] == [True, True]

    def test_rb_08_no_keyring_anywhere(self, connector, cluster, temporary, host_keyrings):
        with pytest.raises(exception.BrickException) as caught:
            connector.connect_volume({**PROPS, 'keyring': None})
        assert str(caught.value) == 'Keyring path /etc/ceph/north.client.cinder.keyring is not readable.'
        assert (cluster.connections, os.listdir(temporary)) == ([], [])

    def test_rb_09_cephx_disabled(self, connector, cluster):
        cluster.cephx = False
        connector.connect_volume({**PROPS, 'auth_username': None, 'keyring': None})['path'].close()
        assert cluster.connections == [(None, 'north', f'[global]\nmon_host = {fake_ceph.MON_HOST}\n\n')]

    def test_the_right_image_of_that_name(self, connector):
        sizes = []
        for name in ('volumes/v1', 'backups/v1', 'volumes/blue/v1', 'volumes/v1@s'):
            handle = connector.connect_volume({**PROPS, 'name': name})['path']
            sizes.append(handle.seek(0, os.SEEK_END))
            handle.close()
        assert sizes == [8192, 1000, 2000, 3000]

    def test_a_snapshot_cannot_be_written(self, connector):
        handle = connector.connect_volume({**PROPS, 'name': 'volumes/v1@s'})['path']
        with pytest.raises(fake_ceph.RbdError):
            handle.write(b'x')

    def test_rb_15_bytes_in_the_properties(self, connector):
        handle = connector.connect_volume({**PROPS, 'name': b'volumes/v1', 'auth_username': b'cinder',
                                           'cluster_name': b'north', 'keyring': fake_ceph.KEYRING.encode()})['path']
        assert (handle.rbd_pool, handle.rbd_user) == ('volumes', 'cinder')
        handle.close()

    @pytest.mark.parametrize('step', ['construct', 'connect', 'open_ioctx', 'set_namespace', 'open'])
    def test_rb_06_se_11_a_failure_leaves_nothing(self, connector, cluster, temporary, step):
        cluster.fail(step, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            connector.connect_volume({**PROPS, 'name': 'volumes/blue/v1'})
        assert (cluster.opened, os.listdir(temporary)) == ([], [])

    def test_a_wrong_key(self, connector, cluster, temporary):
        cluster.users['cinder'] = 'another'
        with pytest.raises(exception.BrickException, match='^Error connecting to ceph cluster.$'):
            connector.connect_volume(PROPS)
        assert (cluster.opened, os.listdir(temporary)) == ([], [])

    def test_an_image_that_is_not_there(self, connector, cluster, temporary):
        with pytest.raises(fake_ceph.ImageNotFound):
            connector.connect_volume({**PROPS, 'name': 'volumes/v2'})
        assert (cluster.opened, os.listdir(temporary)) == ([], [])

    def test_cf_09_no_binding(self, connector, monkeypatch, temporary):
        monkeypatch.setattr(linuxrbd, 'rados', None)
        monkeypatch.setattr(linuxrbd, 'rbd', None)
        with pytest.raises(exception.InvalidParameterValue, match='^rados module required$'):
            connector.connect_volume(PROPS)
        assert os.listdir(temporary) == []

    @pytest.mark.parametrize('missing', ['name', 'hosts', 'ports', 'cluster_name', 'auth_username'])
    def test_rb_18_a_property_is_missing(self, connector, cluster, temporary, missing):
        props = {key: value for key, value in PROPS.items() if key != missing}
        for call in (connector.connect_volume, connector.extend_volume,
                     connector.create_non_openstack_config):
            with pytest.raises(exception.BrickException) as caught:
                call(props)
            assert str(caught.value) == MALFORMED + f'{missing} is missing'
        assert (cluster.connections, os.listdir(temporary)) == ([], [])

    @pytest.mark.parametrize('change', [
        {'name': 'v1'}, {'name': None}, {'hosts': None}, {'hosts': []}, {'ports': ['1']}, {'cluster_name': None},
        {'auth_username': 'a\nb'}, {'cluster_name': '../x'}])
    def test_rb_18_a_property_is_wrong(self, connector, cluster, temporary, change):
        with pytest.raises(exception.BrickException) as caught:
            connector.connect_volume({**PROPS, **change})
        assert str(caught.value).startswith(MALFORMED)
        assert fake_ceph.KEY not in str(caught.value)
        assert (cluster.connections, os.listdir(temporary)) == ([], [])

    def test_rb_29_an_encrypted_volume_as_a_file_has_no_link(self, connector, cluster, links):
        props = {**PROPS, 'encrypted': True}
        info = connector.connect_volume(props)
        connector.disconnect_volume(props, info)
        assert (links, cluster.opened) == ([], [])

    def test_rb_10_hundreds_of_times(self, connector, cluster, temporary):
        for _ in range(300):
            connector.disconnect_volume(PROPS, connector.connect_volume(PROPS))
        assert (cluster.opened, os.listdir(temporary)) == ([], [])

    def test_se_11_the_key_is_in_no_log(self, connector, debug_log):
        connector.disconnect_volume(PROPS, connector.connect_volume(PROPS))
        assert 'connect_volume' in debug_log.text
        assert fake_ceph.KEY not in debug_log.text


class TestDisconnect:

    @pytest.mark.parametrize('info', [None, {}, {'path': None}, {'path': ''}, 'x'])
    def test_rb_01_nothing_is_known(self, connector, info):
        assert connector.disconnect_volume(PROPS, info) is None

    def test_twice(self, connector, cluster):
        info = connector.connect_volume(PROPS)
        connector.disconnect_volume(PROPS, info)
        connector.disconnect_volume(PROPS, info)
        assert cluster.opened == []

    def test_se_11_rb_10_a_failure_leaves_nothing(self, connector, cluster, temporary):
        info = connector.connect_volume(PROPS)
        cluster.fail('flush', fake_ceph.RbdError('reason'))
        with pytest.raises(fake_ceph.RbdError):
            connector.disconnect_volume(PROPS, info)
        assert (cluster.opened, os.listdir(temporary)) == ([], [])

    @pytest.mark.parametrize('ignore', [False, True])
    def test_force(self, connector, cluster, temporary, ignore):
        info = connector.connect_volume(PROPS)
        cluster.fail('flush', fake_ceph.RbdError('reason'))
        if ignore:
            connector.disconnect_volume(PROPS, info, force=True, ignore_errors=True)
        else:
            with pytest.raises(exception.ExceptionChainer, match='reason'):
                connector.disconnect_volume(PROPS, info, force=True)
        assert (cluster.opened, os.listdir(temporary)) == ([], [])


class TestExtend:

    def test_rb_27_rb_28_the_size_without_writing(self, connector, cluster, temporary, monkeypatch):
        opened = []
        image = cluster.rbd.Image
        cluster.rbd.Image = lambda *args, **kwargs: opened.append(image(*args, **kwargs)) or opened[-1]
        cluster.add('volumes', 'v1').content.extend(bytes(100))
        assert connector.extend_volume(PROPS) == 8292
        assert [one.read_only for one in opened] == [True]
        assert (cluster.opened, os.listdir(temporary)) == ([], [])

    def test_rb_27_a_failure_leaves_nothing(self, connector, cluster, temporary):
        cluster.fail('image.close', fake_ceph.RbdError('reason'))
        with pytest.raises(fake_ceph.RbdError):
            connector.extend_volume(PROPS)
        assert (cluster.opened, os.listdir(temporary)) == ([], [])


class TestValidDevice:

    def test_rb_26_a_handle_stays_where_it_is(self, connector):
        handle = connector.connect_volume(PROPS)['path']
        handle.seek(10)
        assert connector.check_valid_device(handle) is True
        assert handle.tell() == 10

    def test_rb_26_a_handle_that_cannot_be_read(self, connector, cluster):
        handle = connector.connect_volume(PROPS)['path']
        handle.seek(10)
        cluster.fail('read', fake_ceph.RbdError('reason'))
        assert connector.check_valid_device(handle) is False
        assert handle.tell() == 10

    def test_a_closed_handle(self, connector):
        handle = connector.connect_volume(PROPS)['path']
        handle.close()
        assert connector.check_valid_device(handle) is False

    @pytest.mark.parametrize('as_root', [True, False])
    def test_rb_26_a_path(self, connector, tmp_path, as_root):
        device = tmp_path / 'rbd0'
        device.write_bytes(bytes(4096))
        assert connector.check_valid_device(str(device), run_as_root=as_root) is True
        assert connector.check_valid_device(str(device).encode(), run_as_root=as_root) is True
        assert connector.check_valid_device(str(tmp_path / 'missing'), run_as_root=as_root) is False
        assert connector.check_valid_device(str(tmp_path), run_as_root=as_root) is False

    @pytest.mark.parametrize('path', ['', None])
    def test_rb_26_no_path(self, connector, path):
        assert connector.check_valid_device(path) is False

    def test_root_reads_absolute_paths_only(self):
        with pytest.raises(exception.InvalidParameterValue):
            rbd_privsep.check_valid_path('rbd0')


class TestPrivateNames:
    """What subclasses and services use although it begins with an underscore."""

    def test_get_rbd_handle(self, connector):
        handle = connector._get_rbd_handle(PROPS)
        assert isinstance(handle, io.RawIOBase)
        handle.close()

    def test_create_ceph_conf(self, temporary):
        path = rbd.RBDConnector._create_ceph_conf(['fd00::2'], ['6789'], 'ceph', 'cinder', fake_ceph.KEYRING)
        assert open(path).read() == f'[global]\nmon_host = [fd00::2]:6789\n{fake_ceph.KEYRING}\n'

    def test_rb_03_rb_19_rb_20_get_rbd_args(self):
        for cls in (rbd.RBDConnector, base_rbd.RBDConnectorMixin):
            assert cls._get_rbd_args(PROPS) == ['--id', 'cinder', '--mon_host', fake_ceph.MON_HOST]
            assert cls._get_rbd_args(PROPS, '/tmp/c')[-2:] == ['--conf', '/tmp/c']
            assert cls._get_rbd_args({'name': 'volumes/v1'}) == []
        assert base_rbd.RBDConnectorMixin._sanitize_mon_hosts(['::1', 'a']) == ['[::1]', 'a']

    def test_device_name(self):
        assert rbd.RBDConnector.get_rbd_device_name('volumes', 'v1') == '/dev/rbd/volumes/v1'

    def test_keyring_contents(self, host_keyrings):
        contents = rbd.RBDConnector._check_or_get_keyring_contents
        assert contents('text', 'ceph', 'cinder') == 'text'
        assert contents(None, 'ceph', None) == ''
        (host_keyrings / 'ceph.client.cinder.keyring').write_text('from the file')
        assert contents(None, 'ceph', 'cinder') == 'from the file'


class TestConstruction:

    @pytest.mark.parametrize('kwargs, local', [({}, False), ({'do_local_attach': True}, True)])
    def test_by_the_factory(self, kwargs, local):
        made = connector_module.InitiatorConnector.factory(
            'RBD', 'sudo', use_multipath=True, device_scan_attempts=5, conn={}, expect_raw_disk=True, **kwargs)
        assert type(made) is rbd.RBDConnector
        assert (made.do_local_attach, made.device_scan_attempts, made._root_helper) == (local, 5, 'sudo')
        assert made.supports_multipath() is False

    def test_properties_of_the_host(self):
        properties = rbd.RBDConnector.get_connector_properties
        assert properties('sudo', do_local_attach=True) == {'do_local_attach': True}
        assert properties(None, multipath=True, enforce_multipath=True) == {'do_local_attach': False}

    def test_cf_07_the_detach_is_called_like_every_other(self):
        parameters = inspect.signature(rbd.RBDConnector.disconnect_volume).parameters
        assert [(one.name, one.default) for one in parameters.values()][1:] == [
            ('connection_properties', inspect.Parameter.empty), ('device_info', inspect.Parameter.empty),
            ('force', False), ('ignore_errors', False)]

    def test_nothing_to_list(self, connector):
        assert connector.get_volume_paths(PROPS) == []
        assert connector.get_all_available_volumes() == []
        assert connector.get_search_path() is None
