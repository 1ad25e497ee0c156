# SPDX-License-Identifier: Apache-2.0
"""Calls as services outside of this project make them, in forms that their own tests replace by mocks.

The consumer is named with each: what looks odd here is in released code and must go on working.
"""

import copy
import importlib
import inspect
import json

from oslo_concurrency import processutils as putils
from oslo_config import cfg
from oslo_privsep import priv_context
import pytest

import os_brick
from os_brick import encryptors
from os_brick import exception
from os_brick import executor
from os_brick import initiator
from os_brick.encryptors import luks
from os_brick.initiator import connector
from os_brick.initiator import linuxrbd
from os_brick.initiator import linuxscsi
from os_brick.initiator.connectors import fake
from os_brick.initiator.connectors import fibre_channel
from os_brick.initiator.connectors import iscsi
from os_brick.initiator.connectors import nvmeof
from os_brick.initiator.connectors import rbd
from os_brick.initiator.connectors import remotefs as remotefs_connector
from os_brick.initiator.connectors import storpool
from os_brick.initiator.connectors import vmware
from os_brick.privileged import default
from os_brick.remotefs import remotefs

ISCSI = {'target_portal': '10.0.0.1:3260', 'target_iqn': 'iqn.2010-10.org.openstack:v1', 'target_lun': 1,
         'target_discovered': False, 'qos_specs': None, 'access_mode': 'rw', 'encrypted': False}
KNOWN = {'target_portal', 'target_iqn', 'target_lun', 'access_mode', 'encrypted'}
PORT = '500601603ee00001'
FC = {'target_wwn': [PORT], 'target_lun': 5, 'initiator_target_map': {'10000090fa000001': [PORT]},
      'access_mode': 'rw', 'device_path': '/dev/dm-3', 'multipath_id': '3600a'}
MOUNTED = {'mount_point_base': '/mnt', 'data': {'export': 'nas:/vol', 'name': 'volume-1'}}
EVERY = [(arch, protocol) for arch in ('x86_64', 's390x', 'ppc64le') for protocol in connector.get_connector_mapping(arch)]


@pytest.fixture(autouse=True)
def bare_host(monkeypatch):
    """Two connectors ask at once for what this host has not: a configuration, a library."""
    monkeypatch.setattr(storpool.StorPoolConnector, '__init__', executor.Executor.__init__)
    monkeypatch.setattr(vmware, '_load_library', lambda: None)


def named(path):
    """The class of a dotted path."""
    module, _, name = path.rpartition('.')
    return getattr(importlib.import_module(module), name)


def made_of(found):
    first = ['nfs'] if found is remotefs_connector.RemoteFsConnector else []
    return found(*first, None, conn=copy.deepcopy(MOUNTED))


def make(protocol, root_helper=None, **kwargs):
    return connector.InitiatorConnector.factory(protocol, root_helper, **kwargs)


class TestTheFactory:

    @pytest.mark.parametrize('arch, protocol', EVERY)
    @pytest.mark.parametrize('kwargs', [
        {'driver': None, 'use_multipath': True, 'device_scan_attempts': 5},
        {'use_multipath': False, 'device_scan_attempts': 3, 'expect_raw_disk': True, 'do_local_attach': True},
        {'device_scan_attempts': 3, 'transport': 'default', 'enforce_multipath': True, 'unheard_of': object()},
        {'execute': None, 'driver': None, 'use_multipath': False, 'device_scan_attempts': 3, 'do_local_attach': True},
    ], ids=['zun', 'cinder', 'nova', 'cinderclient'])
    def test_every_protocol_in_lower_case_without_a_root_helper(self, arch, protocol, kwargs):
        made = make(protocol.lower(), arch=arch, conn=copy.deepcopy(MOUNTED), **kwargs)
        path = connector.get_connector_mapping(arch)[protocol]
        assert f'{type(made).__module__}.{type(made).__name__}' == path
        assert made._root_helper is None
        for name in ('connect_volume', 'disconnect_volume', 'extend_volume', 'check_valid_device', 'get_volume_paths',
                     'get_all_available_volumes', 'set_execute', 'set_root_helper'):
            assert callable(getattr(made, name)), name

    def test_the_host_as_conn(self, engine):
        """oVirt's vdsm passes the connector properties where others pass a connection."""
        props = {'multipath': True, 'host': 'h', 'ip': None}
        assert type(make('iscsi', use_multipath=props['multipath'], device_scan_attempts=3, conn=props)) is iscsi.ISCSIConnector

    @pytest.mark.parametrize('path', connector.unix_connector_list)
    def test_methods_replaced_in_a_class_are_those_of_its_objects(self, path, monkeypatch):
        """Nova's fixture goes through unix_connector_list and does this to each class."""
        found = named(path)
        for method in ('connect_volume', 'disconnect_volume', 'extend_volume'):
            monkeypatch.setattr(found, method, lambda *args, **kwargs: 'replaced')
        if inspect.isabstract(found):
            return
        made = made_of(found)
        assert made.connect_volume({}) == made.disconnect_volume({}, None, force=True) == 'replaced'

    def test_its_class_is_asked_for(self):
        """Cinder asks of which class the connector is before it copies an image."""
        assert isinstance(make('iscsi'), iscsi.ISCSIConnector)
        assert isinstance(make('fibre_channel', arch='s390x'), fibre_channel.FibreChannelConnector)
        assert issubclass(fake.FakeConnector, connector.BaseLinuxConnector)

    def test_glance_asks_rbd_whether_it_attaches_locally(self):
        assert make('rbd', conn={}, use_multipath=False).do_local_attach is False
        assert make('rbd', do_local_attach=True).do_local_attach is True


class TestConnectAndDetach:

    def known(self, engine):
        """The properties that reached the engine, of each call."""
        return [args[0] for _, args in engine.calls]

    @pytest.mark.parametrize('flat', [
        {'driver_volume_type': 'iscsi', 'attachment_id': 'a-1', 'discard': True, 'cacheable': False},
        {'driver_volume_type': 'iscsi', 'device_path': '', 'mode': 'rw', 'volume': object(), 'connection': {'x': {1, 2}}},
    ], ids=['glance', 'foreign values'])
    def test_a_flat_attachment(self, engine, flat):
        """Glance and newer cinderclients pass the attachment itself, the data being at its top level."""
        attachment = {**ISCSI, **flat}
        before = dict(attachment)
        made = make('iscsi', 'sudo', conn=attachment, use_multipath=False)
        device = made.connect_volume(attachment)
        made.disconnect_volume(attachment, device, force=True)
        made.extend_volume(attachment)
        assert attachment == before
        for known in self.known(engine):
            assert known.keys() - {'device_path'} == KNOWN
            assert known['target_lun'] == 1

    @pytest.mark.parametrize('device_info', [
        None, {}, [], '', 0, {'type': 'block'}, {'path': None}, {'path': ''}, object(), 'text', ('a', 'tuple')])
    def test_device_info_that_says_nothing(self, engine, device_info):
        """None is Nova's, {} cinderclient's, an object Cinder's SPDK driver's."""
        make('iscsi').disconnect_volume(dict(ISCSI), device_info)
        (name, args), = engine.calls
        assert (name, args[1]) == ('disconnect_volume', None)

    def test_the_properties_as_device_info(self, engine):
        """Nova's Fibre Channel passes them twice; they have a device_path and no path."""
        made = make('fibre_channel', use_multipath=True, device_scan_attempts=3, enforce_multipath=True)
        made.disconnect_volume(FC, FC, force=False)
        (name, args), = engine.calls
        assert (name, args[1], args[3]) == ('disconnect_volume', '/dev/dm-3', False)
        assert 'multipath_id' not in args[0]

    def test_one_dictionary_for_all(self, engine):
        """Cinder's Datera driver writes the answer into the properties and passes those twice."""
        made = make('iscsi', conn={'data': ISCSI}, use_multipath=False, device_scan_attempts=10)
        info = dict(ISCSI)
        info.update(made.connect_volume(info))
        made.disconnect_volume(info, info)
        assert engine.calls[1][1][1] == '/dev/dm-0'
        assert engine.calls[1][1][0].keys() == KNOWN | {'scsi_wwn'}

    def test_days_later_in_another_process(self, engine):
        """Nova keeps the properties as JSON, with the path it was told, and nothing else."""
        data = dict(ISCSI)
        data['device_path'] = make('iscsi').connect_volume(data)['path']
        data = json.loads(json.dumps(data))
        make('iscsi').disconnect_volume(data, None, force=False)
        assert engine.calls[1][1][1] == '/dev/dm-0'

    def test_answers_are_plain_and_the_callers_own(self, engine):
        first, second = (make('iscsi').connect_volume(ISCSI) for _ in range(2))
        first['attach_info'] = 1
        assert json.loads(json.dumps(second)) == second
        assert copy.deepcopy(second) == second

    def test_by_position_and_by_name(self, engine):
        made = make('iscsi')
        made.disconnect_volume(ISCSI, None, True, True)
        made.disconnect_volume(connection_properties=ISCSI, device_info=None, force=True, ignore_errors=True)
        assert engine.calls[0] == engine.calls[1]

    @pytest.mark.parametrize('arch, protocol', EVERY)
    def test_every_method_has_the_callers_arguments(self, arch, protocol):
        made = make(protocol, arch=arch, conn=MOUNTED)
        inspect.signature(made.connect_volume).bind({})
        inspect.signature(made.disconnect_volume).bind({}, None, force=True, ignore_errors=False)
        inspect.signature(made.disconnect_volume).bind({}, None)
        inspect.signature(made.extend_volume).bind({})
        inspect.signature(made.check_valid_device).bind('/dev/sda', True)
        inspect.signature(made.check_valid_device).bind('/dev/sda')
        inspect.signature(made.get_volume_paths).bind({})
        inspect.signature(made.get_all_available_volumes).bind()

    def test_an_own_execute_given_late(self, engine):
        """freezer brings oslo's execute; Cinder's drivers set one on the finished object."""
        made = make('iscsi', 'sudo', execute=putils.execute)
        made.connect_volume(ISCSI)
        assert engine.calls[0][1][2] is not None
        made.set_execute(None)
        made.connect_volume(ISCSI)
        assert engine.calls[1][1][2] is None

    @pytest.mark.parametrize('as_root', [True, False])
    def test_check_valid_device(self, as_root, tmp_path):
        """Cinder passes the second argument by position, cinderlib leaves it out."""
        (tmp_path / 'disk').write_bytes(b'x' * 4096)
        ran = []

        def execute(*cmd, **kwargs):
            ran.append(cmd[0])
            return '', ''
        made = make('iscsi', 'sudo', execute=execute)
        assert made.check_valid_device(str(tmp_path / 'disk'), as_root) is True
        assert made.check_valid_device(str(tmp_path / 'disk')) is True
        assert ran == ['dd', 'dd']


class TestTheHost:

    @pytest.mark.parametrize('path', connector.unix_connector_list[1:])
    def test_properties_of_one_connector_by_its_object(self, path, engine, monkeypatch):
        """Cinder's drivers ask the finished object, with the root helper alone."""
        monkeypatch.setattr(nvmeof.NVMeOFConnector, 'nvme_present', classmethod(lambda cls: False))
        found = made_of(named(path)).get_connector_properties(None, execute=lambda *args, **kwargs: ('', ''))
        assert json.loads(json.dumps(found)) == found

    @pytest.mark.parametrize('root_helper', [None, 'sudo'])
    def test_properties_of_all(self, root_helper, engine, monkeypatch):
        """vdsm writes them to its standard output, as JSON, with neither an address nor a root helper."""
        found = connector.get_connector_properties(root_helper=root_helper, my_ip=None, multipath=False,
                                                   enforce_multipath=False, execute=lambda *args, **kwargs: ('', ''))
        assert json.loads(json.dumps(found)) == found
        assert (found['ip'], found['multipath'], found['enforce_multipath'], found['do_local_attach']) == (
            None, False, False, False)

    def test_replaced_functions_of_linuxscsi_are_looked_up_late(self, monkeypatch):
        monkeypatch.setattr(linuxscsi.LinuxSCSI, 'is_multipath_running', lambda *args, **kwargs: False)
        made = make('iscsi', use_multipath=True)
        with pytest.raises(exception.BrickException):
            made.check_multipath({'enforce_multipath': True})

    def test_nvme_commands_of_a_driver(self):
        """PowerMax makes the connector itself and runs nvme with it."""
        ran = []

        def execute(*cmd, **kwargs):
            ran.append(cmd)
            return 'out', ''
        made = nvmeof.NVMeOFConnector(root_helper='sudo', execute=execute)
        assert made.run_nvme_cli(['discover', '-t', 'tcp', '-a', '10.0.0.1', '-s', '8009']) == ('out', '')
        assert ran == [('nvme', 'discover', '-t', 'tcp', '-a', '10.0.0.1', '-s', '8009')]


class TestSetup:

    @pytest.fixture(autouse=True)
    def unset(self, configured):
        configured.clear_override('lock_path', group='os_brick')
        yield
        configured.clear_default('lock_path', group='os_brick')

    def test_once_for_each_backend(self, configured, tmp_path):
        """Glance calls it for each of its stores."""
        configured.set_override('lock_path', str(tmp_path), group='oslo_concurrency')
        for _ in range(3):
            assert os_brick.setup(configured) is None
        assert configured.os_brick.lock_path == str(tmp_path)

    def test_never(self, configured, engine, tmp_path):
        """cinderclient never calls it; oslo's directory is taken."""
        (tmp_path / 'oslo').mkdir()
        configured.set_override('lock_path', str(tmp_path / 'oslo'), group='oslo_concurrency')
        make('iscsi', 'sudo').connect_volume(ISCSI)
        assert engine.calls[0][1][1]['lock_path'] == str(tmp_path / 'oslo')

    def test_neither_directory(self, configured, engine):
        configured.set_override('lock_path', None, group='oslo_concurrency')
        with pytest.raises(cfg.RequiredOptError):
            make('iscsi', 'sudo').connect_volume(ISCSI)
        assert engine.calls == []

    def test_the_privileged_side_is_set_before_every_call(self):
        """Glance does so on every open of an image."""
        for _ in range(2):
            priv_context.init(root_helper=['sudo', 'glance-rootwrap', '/etc/glance/rootwrap.conf'])
        default.set_client_mode(False)


class TestSubclasses:

    def test_cinders_lvm(self):
        ran = []

        def execute(*cmd, **kwargs):
            ran.append((cmd, kwargs))
            return 'out', ''

        class LVM(executor.Executor):
            def __init__(self, root_helper, executor):
                super().__init__(execute=executor, root_helper=root_helper)

            def version(self):
                return self._execute('vgs', '--version', root_helper=self._root_helper, run_as_root=True)

        assert LVM('sudo', execute).version() == ('out', '')
        assert ran == [(('vgs', '--version'), {'root_helper': 'sudo', 'run_as_root': True})]

    def test_vdsms_rbd(self, monkeypatch):
        class RBDConnector(rbd.RBDConnector):
            def connect_volume(self, connection_properties):
                name = connection_properties['name'].split('/')
                return {'path': self.get_rbd_device_name(*name), 'args': self._get_rbd_args(connection_properties)}

        made = RBDConnector(None)
        found = made.connect_volume({'name': 'pool/v1', 'auth_username': 'cinder', 'cluster_name': 'ceph',
                                     'hosts': ['10.0.0.1'], 'ports': ['6789']})
        assert found == {'path': '/dev/rbd/pool/v1', 'args': ['--id', 'cinder', '--mon_host', '10.0.0.1:6789']}
        assert 'connect_volume' in vars(RBDConnector) and made._root_helper is None

    def test_vdsms_factory(self, monkeypatch):
        monkeypatch.setattr(connector.InitiatorConnector, 'factory', staticmethod(lambda protocol, *args, **kwargs: protocol))
        assert connector.InitiatorConnector.factory('rbd', None) == 'rbd'


class TestEncryptors:

    ROW = {'cipher': 'aes-xts-plain64', 'control_location': 'front-end', 'encryption_key_id': 'k', 'encryption_id': 'e',
           'key_size': 256, 'provider': 'luks'}

    def test_a_row_of_cinders_database(self):
        info = {'driver_volume_type': 'iscsi', 'data': {'device_path': '/dev/sda', 'volume_id': 'v'}}
        made = encryptors.get_volume_encryptor(root_helper='sudo', connection_info=info, keymgr=object(), **self.ROW)
        assert type(made) is luks.LuksEncryptor
        for method in (made.attach_volume, made.extend_volume):
            inspect.signature(method).bind(object(), **self.ROW)
        inspect.signature(made.detach_volume).bind(**self.ROW)
        inspect.signature(made._format_volume).bind('passphrase', **self.ROW)

    @pytest.mark.parametrize('data', [{}, {'encrypted': False}, {'encrypted': None}])
    def test_the_metadata_of_a_plain_volume(self, data):
        """Nothing may be asked of Cinder; Nova passes None there at times."""
        assert encryptors.get_encryption_metadata(None, None, 'v', {'data': data}) == {}

    @pytest.mark.parametrize('provider, known', [
        ('nova.volume.encryptors.luks.LuksEncryptor', True), ('luks', False), (None, False)])
    def test_old_names_of_providers(self, provider, known):
        assert (provider in encryptors.LEGACY_PROVIDER_CLASS_TO_FORMAT_MAP) is known


class TestNames:

    def test_protocols_are_compared_in_upper_case(self):
        for name in ('ISCSI', 'RBD', 'FIBRE_CHANNEL'):
            assert name.lower().upper() == getattr(initiator, name)

    def test_exceptions_made_by_callers(self):
        assert 'nfs' in str(exception.ProtocolNotSupported(protocol='nfs'))
        text = str(exception.VolumeEncryptionNotSupported(volume_id='v-1', volume_type='nfs'))
        assert 'v-1' in text and 'nfs' in text

    def test_the_chain_of_cinders_detach(self):
        chain = exception.ExceptionChainer()
        assert not chain
        with chain.context(True, 'Detaching %s failed', 'v-1'):
            raise ValueError('first')
        assert chain
        with pytest.raises(ValueError), exception.ExceptionChainer().context(False, 'unused'):
            raise ValueError('second')
        with pytest.raises(exception.ExceptionChainer) as caught:
            raise chain
        assert 'first' in str(caught.value)


class TestRbdFiles:

    def test_metadata_in_bytes(self):
        """Cinder's Ceph backup passes what the binding takes: bytes."""
        image = type('Image', (), {'image': type('Inner', (), {'name': 'v1'})()})()
        meta = linuxrbd.RBDImageMetadata(image, b'pool', b'user', b'/etc/ceph/ceph.conf')
        wrapper = linuxrbd.RBDVolumeIOWrapper(meta)
        assert (wrapper.rbd_image, wrapper.rbd_pool, wrapper.rbd_user, wrapper.rbd_conf) == (
            image, 'pool', 'user', '/etc/ceph/ceph.conf')
        assert hasattr(wrapper, 'rbd_image')
        with pytest.raises(OSError):
            wrapper.fileno()
        assert wrapper.tell() == 0


class TestShares:

    @pytest.mark.parametrize('kind, options', [
        ('nfs', {'nfs_mount_point_base': '/base', 'nfs_mount_options': None}),
        ('glusterfs', {'glusterfs_mount_point_base': '/base'})])
    def test_clients_of_backups(self, kind, options, monkeypatch):
        """Cinder's tests replace both methods in the class."""
        monkeypatch.setattr(remotefs.RemoteFsClient, '_read_mounts', lambda self: {})
        client = remotefs.RemoteFsClient(kind, 'sudo', **options)
        assert client.get_mount_point('host:/share').startswith('/base/')
        monkeypatch.setattr(remotefs.RemoteFsClient, 'mount', lambda self, share, flags=None: share)
        assert client.mount('host:/share') == 'host:/share'
