# SPDX-License-Identifier: Apache-2.0
"""NVMeOFConnProps, Target and Portal: what they make of properties and of sysfs."""

import copy

import pytest

from os_brick import exception
from os_brick import utils
from os_brick.initiator.connectors import nvmeof
from os_brick.initiator.connectors import nvmeof_target

NQN = 'nqn.2014-08.org:v1'
UUID = '12345678-9abc-def0-1234-56789abcdef0'
OTHER = '22345678-9abc-def0-1234-56789abcdef0'
PROPS = {'target_nqn': NQN, 'vol_uuid': UUID,
         'portals': [('10.0.0.1', 4420, 'tcp'), ('10.0.1.1', '4420', 'tcp')]}
OLD = {'nqn': NQN, 'target_portal': '10.0.0.1', 'target_port': 4420, 'transport_type': 'rdma'}


@pytest.fixture
def sysfs(monkeypatch, tmp_path):
    """A sysfs with what `controller` and `namespace` put there."""
    class Sysfs:
        ctl = tmp_path / 'ctl'

        def controller(self, name, address, nqn=NQN, state='live', hostnqn='nqn.host'):
            directory = self.ctl / name
            directory.mkdir(parents=True)
            for key, value in (('subsysnqn', nqn), ('transport', 'tcp'), ('state', state),
                               ('address', address), ('hostnqn', hostnqn)):
                if value is not None:
                    (directory / key).write_text(value + '\n')

        def namespace(self, controller, name, **attributes):
            directory = self.ctl / controller / name
            directory.mkdir()
            for key, value in attributes.items():
                (directory / key).write_text(f'{value}\n')

    monkeypatch.setattr(nvmeof_target, 'NVME_CTRL_SYSFS_PATH', f'{tmp_path}/ctl/')
    monkeypatch.setattr(utils, 'get_host_nqn', lambda: 'nqn.host')
    monkeypatch.setattr(nvmeof.Target, '_get_nvme_devices', staticmethod(lambda: []))
    return Sysfs()


def target(**more):
    return nvmeof.NVMeOFConnProps({**PROPS, **more}, find_controllers=True).targets[0]


class TestProperties:

    def test_nv_07_the_old_format(self, sysfs):
        given = copy.deepcopy(OLD)
        props = nvmeof.NVMeOFConnProps(given)
        assert given == OLD
        made = props.targets[0]
        assert (made.nqn, made.uuid, made.nguid, made.ns_id, made.host_nqn) == (
            NQN, None, None, None, None)
        assert [(p.address, p.port, p.transport) for p in made.portals] == [
            ('10.0.0.1', '4420', 'rdma')]
        assert (props.is_replicated, props.alias, props.replica_count) == (False, None, None)

    def test_md_01_replicas(self, sysfs):
        replicas = {'volume_replicas': [PROPS], 'vol_uuid': UUID.upper(), 'alias': 'v'}
        for count, replicated in ((2, True), (1, None), (0, None)):
            props = nvmeof.NVMeOFConnProps({**replicas, 'replica_count': count})
            assert props.is_replicated is replicated
            assert props.cinder_volume_id == UUID
            assert len(props.targets) == 1

    def test_fields_of_nova(self, sysfs):
        props = nvmeof.NVMeOFConnProps({**PROPS, 'access_mode': 'ro', 'encrypted': True,
                                        'device_path': '/dev/x'})
        assert (props.readonly, props.encrypted, props.device_path) == (True, True, '/dev/x')
        assert (props.discard, props.enforce_multipath, props.qos_specs) == (False, False, None)

    def test_the_decorator(self, sysfs):
        class Owner:
            @nvmeof.NVMeOFConnProps.from_dictionary_parameter
            def method(self, conn_props, more):
                return conn_props.targets[0].nqn, more

        assert Owner().method(PROPS, 5) == (NQN, 5)

    @pytest.mark.parametrize('transport, expected', [
        ('rdma', 'rdma'), ('RoCEv2', 'rdma'), ('tcp', 'tcp'), ('anything', 'tcp')])
    def test_nv_07_transports(self, transport, expected):
        assert nvmeof.Portal(None, 'a', 1, transport).transport == expected


class TestControllers:

    def test_nv_18_newer_and_older_kernels(self, sysfs):
        sysfs.controller('nvme0', 'traddr=10.0.0.1,trsvcid=4420,src_addr=10.0.0.9')
        sysfs.controller('nvme1', 'traddr=10.0.1.1,trsvcid=4420', hostnqn=None)
        assert [p.controller for p in target().portals] == ['nvme0', 'nvme1']

    @pytest.mark.parametrize('address, nqn, hostnqn', [
        ('', NQN, 'nqn.host'), ('traddr=10.0.0.1,trsvcid=4421', NQN, 'nqn.host'),
        ('traddr=10.0.0.1,trsvcid=4420', 'nqn.other', 'nqn.host'),
        ('traddr=10.0.0.1,trsvcid=4420', NQN, 'nqn.other')])
    def test_nv_38_others_are_passed_over(self, sysfs, address, nqn, hostnqn):
        sysfs.controller('nvme0', address, nqn, hostnqn=hostnqn)
        assert [p.controller for p in target().portals] == [None, None]

    def test_states(self, sysfs):
        sysfs.controller('nvme0', 'traddr=10.0.0.1,trsvcid=4420', state='connecting')
        sysfs.controller('nvme1', 'traddr=10.0.1.1,trsvcid=4420')
        (sysfs.ctl / 'nvme1/reconnect_delay').write_text('7\n')
        made = target()
        assert [p.state for p in made.portals] == ['connecting', 'live']
        assert [p.reconnect_delay for p in made.portals] == [10, 7]
        assert made.live_portals == made.portals[1:]
        assert made.present_portals == made.portals
        assert str(made.portals[0]) == 'Portal tcp at 10.0.0.1:4420 (ctrl: nvme0)'


class TestDevices:

    @pytest.fixture(autouse=True)
    def host(self, sysfs):
        sysfs.controller('nvme0', 'traddr=10.0.0.1,trsvcid=4420')
        sysfs.namespace('nvme0', 'nvme0c0n10', uuid=UUID, nguid=OTHER, nsid=3)
        sysfs.namespace('nvme0', 'nvme0c0n2', uuid=OTHER, nsid=4)
        self.sysfs = sysfs

    @pytest.mark.parametrize('given, device', [
        ({'vol_uuid': UUID.upper().replace('-', '')}, '/dev/nvme0n10'),
        ({'vol_uuid': None, 'volume_nguid': OTHER}, '/dev/nvme0n10'),
        ({'vol_uuid': None, 'ns_id': 4}, '/dev/nvme0n2'),
        ({'vol_uuid': None, 'ns_id': '9'}, None)])
    def test_nv_19_nv_20_nv_21_by_identity(self, given, device):
        made = target(**given)
        assert made.portals[0].get_device() == device
        assert made.get_devices() == ([device] if device else [])
        assert nvmeof.NVMeOFConnProps({**PROPS, **given}).get_devices() == []

    def test_nv_01_find_device(self, monkeypatch):
        assert target().find_device() == '/dev/nvme0n10'
        monkeypatch.setattr(utils, '_time_sleep', lambda seconds: None)
        with pytest.raises(exception.VolumeDeviceNotFound):
            target(vol_uuid=None, ns_id=7).find_device()

    def test_nv_19_what_is_new(self, monkeypatch):
        present = ['/dev/nvme0n2', '/dev/nvme7n1']
        monkeypatch.setattr(nvmeof.Target, '_get_nvme_devices', staticmethod(lambda: present))
        made = target(vol_uuid=None)
        assert made.get_device_path_by_initial_devices() is None
        present = present + ['/dev/nvme0n10', '/dev/nvme7n2']
        assert made.get_device_path_by_initial_devices() == '/dev/nvme0n10'
        made.devices_on_start = []
        monkeypatch.setattr(nvmeof_target, 'blk_property', lambda name, device: device)
        assert made.get_device_path_by_initial_devices() is None

    def test_nv_09_nv_10_what_can_be_disconnected(self):
        made = target()
        assert made.portals[0].can_disconnect() is False
        assert made.portals[1].can_disconnect() is False
        self.sysfs.controller('nvme1', 'traddr=10.0.1.1,trsvcid=4420')
        made.set_portals_controllers()
        assert made.portals[1].can_disconnect() is True
        self.sysfs.namespace('nvme1', 'nvme0c1n10', uuid=UUID)
        assert made.portals[1].can_disconnect() is True
        assert target(vol_uuid=OTHER).portals[1].can_disconnect() is False


@pytest.mark.parametrize('path, name', [
    ('/sys/x/nvme0n10', 'nvme0n10'), ('/sys/x/nvme0c1n10', 'nvme0n10'),
    ('nvme12c30n4', 'nvme12n4')])
def test_nv_03_names(path, name):
    assert nvmeof.nvme_basename(path) == name


def test_nv_37_attributes(tmp_path, monkeypatch):
    (tmp_path / 'nvme0').mkdir()
    (tmp_path / 'nvme0/state').write_text(' live \n')
    monkeypatch.setattr(nvmeof_target, 'NVME_CTRL_SYSFS_PATH', f'{tmp_path}/')
    monkeypatch.setattr(nvmeof_target, 'BLK_SYSFS_PATH', f'{tmp_path}/')
    assert nvmeof.ctrl_property('state', 'nvme0') == 'live'
    assert nvmeof.blk_property('state', 'nvme0') == 'live'
    assert nvmeof.ctrl_property('gone', 'nvme0') is None
