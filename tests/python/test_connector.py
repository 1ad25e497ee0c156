# SPDX-License-Identifier: Apache-2.0
"""The factory, the mappings and the properties of the host (CF-01 to CF-06, CF-09, PX-11)."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

import os_brick
from os_brick import exception
from os_brick import initiator
from os_brick.initiator import connector
from os_brick.initiator import linuxscsi
from os_brick.initiator.connectors import base
from os_brick.initiator.connectors import iscsi

PACKAGE = pathlib.Path(os_brick.__file__).parent
REMOTEFS = 'os_brick.initiator.connectors.remotefs.RemoteFsConnector'
ISCSI = 'os_brick.initiator.connectors.iscsi.ISCSIConnector'


class TestMapping:

    def test_cf_02_cf_05_cf_06_linux(self):
        mapping = connector.get_connector_mapping('x86_64')
        assert set(mapping) == {
            'GLUSTERFS', 'NFS', 'SCALITY', 'QUOBYTE', 'VZSTORAGE', 'ISCSI', 'ISER',
            'FIBRE_CHANNEL', 'LOCAL', 'HUAWEISDSHYPERVISOR', 'RBD', 'SCALEIO', 'VMDK', 'GPFS',
            'STORPOOL', 'NVME', 'NVMEOF', 'LIGHTOS'}
        assert mapping['NVME'] == mapping['NVMEOF']
        assert mapping['ISER'] == mapping['ISCSI'] == ISCSI
        assert mapping['NFS'] == mapping['VZSTORAGE'] == REMOTEFS
        assert connector.get_connector_mapping('aarch64') is mapping

    @pytest.mark.parametrize('arch', ['s390', 's390x'])
    def test_cf_02_s390(self, arch):
        mapping = connector.get_connector_mapping(arch)
        assert set(mapping) == {'FIBRE_CHANNEL', 'NFS', 'ISCSI', 'LOCAL', 'RBD', 'GPFS'}
        assert mapping['FIBRE_CHANNEL'].endswith('.FibreChannelConnectorS390X')

    @pytest.mark.parametrize('arch', ['ppc64', 'ppc64le'])
    def test_cf_02_ppc64(self, arch):
        mapping = connector.get_connector_mapping(arch)
        assert set(mapping) == {'FIBRE_CHANNEL', 'NFS', 'ISCSI', 'ISER', 'LOCAL', 'RBD',
                                'GPFS', 'VZSTORAGE'}
        assert mapping['FIBRE_CHANNEL'].endswith('.FibreChannelConnectorPPC64')

    def test_px_11_the_architecture_is_asked_at_the_call(self, monkeypatch):
        monkeypatch.setattr(connector.platform, 'machine', lambda: 's390x')
        assert 'ISER' not in connector.get_connector_mapping()

    def test_every_mapped_class_is_listed(self):
        mapped = {path for arch in ('x86_64', 's390x', 'ppc64')
                  for path in connector.get_connector_mapping(arch).values()}
        listed = connector.unix_connector_list
        assert len(listed) == 15 and all(isinstance(path, str) for path in listed)
        assert set(listed) == mapped | {'os_brick.initiator.connectors.base.BaseLinuxConnector'}


class TestFactory:

    def test_iscsi(self):
        made = connector.InitiatorConnector.factory(
            'iscsi', 'sudo', use_multipath=True, device_scan_attempts=7, transport='iface0',
            enforce_multipath=True, conn={'data': {}}, expect_raw_disk=True,
            do_local_attach=True)
        assert type(made) is iscsi.ISCSIConnector
        assert (made.use_multipath, made.device_scan_attempts, made.transport,
                made._root_helper) == (True, 7, 'iface0', 'sudo')

    def test_iser_sets_the_transport(self):
        made = connector.InitiatorConnector.factory('ISER', None, transport='tcp')
        assert (type(made), made.transport) == (iscsi.ISCSIConnector, 'iser')

    def test_defaults(self):
        made = connector.InitiatorConnector.factory(initiator.ISCSI, None)
        assert (made.use_multipath, made.device_scan_attempts, made.transport) == (
            False, 3, 'default')

    def test_cf_05_old_locations(self):
        assert connector.ISCSIConnector is iscsi.ISCSIConnector
        assert connector.BaseLinuxConnector is base.BaseLinuxConnector

    @pytest.mark.parametrize('protocol, arch', [
        ('nonsense', None), ('ISER', 's390x'), ('SCALEIO', 'ppc64le')])
    def test_cf_01_unknown_protocols(self, protocol, arch):
        with pytest.raises(exception.InvalidConnectorProtocol) as caught:
            connector.InitiatorConnector.factory(protocol, None, arch=arch)
        assert str(caught.value) == (
            f'Invalid InitiatorConnector protocol specified {protocol.upper()}')

    def test_a_connector_that_is_not_here(self, monkeypatch):
        monkeypatch.setitem(connector._connector_mapping_linux, 'NFS',
                            'os_brick.initiator.connectors.nowhere.Nothing')
        with pytest.raises(exception.InvalidConnectorProtocol):
            connector.InitiatorConnector.factory('NFS', None, arch='x86_64')

    def test_file_systems_learn_their_type(self, monkeypatch):
        made = []
        monkeypatch.setattr(connector, '_find_class', lambda path: lambda *args, **kwargs:
                            made.append((path, args, kwargs)))
        connector.InitiatorConnector.factory('NFS', 'sudo', None, False, 3, 'x86_64', 'extra')
        assert made == [(REMOTEFS, ('extra',), {
            'mount_type': 'nfs', 'root_helper': 'sudo', 'driver': None, 'use_multipath': False,
            'device_scan_attempts': 3})]


class TestProperties:

    @pytest.fixture(autouse=True)
    def only_ours(self, monkeypatch):
        monkeypatch.setattr(connector, 'unix_connector_list', [
            'os_brick.initiator.connectors.base.BaseLinuxConnector', ISCSI,
            'os_brick.initiator.connectors.nowhere.Nothing'])
        monkeypatch.setattr(connector.platform, 'machine', lambda: 'x86_64')

    def test_all_of_them(self, engine):
        props = connector.get_connector_properties('sudo', '10.0.0.1', True, False, host='h1')
        assert props == {
            'platform': 'x86_64', 'os_type': sys.platform, 'ip': '10.0.0.1', 'host': 'h1',
            'multipath': True, 'enforce_multipath': False,
            'initiator': 'iqn.1993-08.org.debian:01:host'}
        assert json.loads(json.dumps(props)) == props

    def test_cf_04_the_host_name(self, engine, monkeypatch):
        monkeypatch.setattr(connector.socket, 'gethostname', lambda: 'real-name')
        assert connector.get_connector_properties(None, None, False, False)['host'] == (
            'real-name')

    def test_cf_03_absent_connectors_are_skipped_with_a_debug_line(self, engine, debug_log):
        connector.get_connector_properties(None, None, False, False)
        line, = [record for record in debug_log.records if 'Nothing' in record.getMessage()]
        assert line.levelname == 'DEBUG'

    def test_cf_03_connectors_of_other_platforms_are_not_asked(self, engine, monkeypatch):
        monkeypatch.setattr(iscsi.ISCSIConnector, 'platform', 's390x')
        assert 'initiator' not in connector.get_connector_properties(None, None, False, False)

    def test_px_10_an_own_execute_is_used(self, engine):
        def execute(*cmd, **kwargs):
            assert (cmd, kwargs) == (('cat', '/etc/iscsi/initiatorname.iscsi'),
                                     {'run_as_root': True, 'root_helper': 'sudo'})
            return '## comment\nInitiatorName=iqn.own \n', ''

        props = connector.get_connector_properties('sudo', None, False, False, execute=execute)
        assert props['initiator'] == 'iqn.own'
        assert engine.calls == []

    def test_a_broken_module_is_an_error(self, monkeypatch, tmp_path):
        (tmp_path / 'broken_connector.py').write_text('import no_such_dependency')
        monkeypatch.syspath_prepend(str(tmp_path))
        with pytest.raises(ModuleNotFoundError, match='no_such_dependency'):
            connector._find_class('broken_connector.Class')


def run_python(code):
    env = {**os.environ, 'PYTHONPATH': str(PACKAGE.parent)}
    return subprocess.run([sys.executable, '-W', 'ignore', '-c', code], env=env, check=True,
                          stdout=subprocess.PIPE, text=True).stdout


def test_importing_touches_nothing():
    """Importing starts no thread and no process and reads nothing of /sys and /sbin."""
    out = run_python('''
import sys
events = []
def hook(event, args):
    if event in ("subprocess.Popen", "os.posix_spawn", "os.exec", "os.fork", "os.forkpty",
                 "_thread.start_new_thread", "socket.connect"):
        events.append(event)
    if event == "open" and str(args[0]).startswith(("/sys/", "/sbin/", "/dev/", "/etc/iscsi")):
        events.append((event, args[0]))
import oslo_privsep.priv_context, oslo_concurrency.lockutils, oslo_log.log, tenacity
sys.addaudithook(hook)
import os_brick.initiator.connector, os_brick.initiator.utils, os_brick.privileged.nvmeof
import threading
print(events, threading.active_count())
''')
    assert out == '[] 1\n'


def test_cf_09_importing_needs_declared_dependencies_only():
    out = run_python('''
import sys
import os_brick.initiator.connector
before = {name.split(".")[0] for name in sys.modules}
names = {"rados", "rbd", "oslo_vmware", "castellan", "yaml_undeclared"}
print(sorted(names & before))
''')
    assert out == '[]\n'
    undeclared = set()
    declared = {'os_brick', 'oslo_concurrency', 'oslo_config', 'oslo_context', 'oslo_log',
                'oslo_i18n', 'oslo_privsep', 'oslo_serialization', 'oslo_service', 'oslo_utils',
                'pbr', 'requests', 'tenacity', 'psutil'}
    for name in ('exception', 'executor', 'utils', 'opts', 'version', 'i18n', 'initiator/utils',
                 'initiator/connector', 'initiator/linuxscsi', 'initiator/scsi_sysfs',
                 'initiator/scsi_multipath', 'initiator/lock_files',
                 'initiator/connectors/base', 'initiator/connectors/iscsi',
                 'privileged/__init__', 'privileged/rootwrap', 'privileged/iscsi',
                 'privileged/nvmeof'):
        for line in (PACKAGE / f'{name}.py').read_text().splitlines():
            words = line.split()
            if words[:1] in (['import'], ['from']) and not line.startswith(' '):
                top = words[1].split('.')[0].rstrip(',')
                if top not in declared and top not in sys.stdlib_module_names:
                    undeclared.add((name, top))
    assert undeclared == set()


def test_connectors_are_attributes_of_their_package():
    """Cinder reads os_brick.initiator.connectors.iscsi.ISCSIConnector while it is imported."""
    out = run_python('import os_brick.initiator.connector\n'
                     'print(os_brick.initiator.connectors.iscsi.ISCSIConnector.__name__)')
    assert out == 'ISCSIConnector\n'


def test_is_multipath_running_is_static_and_takes_only_the_helper(monkeypatch):
    """Nova calls it so."""
    calls = []
    monkeypatch.setattr('os_brick.privileged.rootwrap.execute',
                        lambda *cmd, **kwargs: calls.append((cmd, kwargs)) or ('ok', ''))
    assert linuxscsi.LinuxSCSI.is_multipath_running(root_helper='sudo') is True
    assert calls == [(('multipathd', 'show', 'status'),
                      {'run_as_root': True, 'root_helper': 'sudo'})]
