# SPDX-License-Identifier: Apache-2.0
"""Connection information that `os-brick attach` and `detach` refuse, before anything is touched, and what they mask."""

import io
import json
import os
import pathlib
import re
import sys

import pytest

from os_brick import cli
from os_brick.cli import commands
from os_brick.cli import connection
from os_brick.cli import ending
from os_brick.cli import privileges
from os_brick.initiator import connector

DOCS = pathlib.Path(__file__).parents[2] / 'docs/connectors'
PORTAL, IQN, WWN = '10.0.0.1:3260', 'iqn.2010-10.org.openstack:v1', '20210002ac00383d'
NESTED = "stdin: {} is missing, a volume of {} needs it"


@pytest.fixture
def untouched(monkeypatch):
    """A host where looking for root's rights, or for a connector, is too much."""
    def touched(*args, **kwargs):
        raise AssertionError('the host was touched')
    monkeypatch.setattr(privileges, 'prepare', touched)
    monkeypatch.setattr(connector.InitiatorConnector, 'factory', touched)


def refusal(capsys, monkeypatch, text, command='attach'):
    monkeypatch.setattr(sys, 'stdin', io.StringIO(text if isinstance(text, str) else json.dumps(text)))
    assert cli.main([command, '-']) == 2
    out, err = capsys.readouterr()
    assert out == ''
    return err.removeprefix('os-brick: ').removesuffix('\n')


@pytest.mark.parametrize('given, message', [
    ('', '- is not JSON: Expecting value: line 1 column 1 (char 0)'),
    ('{"auth_password": "secret"', "- is not JSON: Expecting ',' delimiter: line 1 column 27 (char 26)"),
    ('[' * 100000, '- is nested too deeply'),
    ([], 'stdin: connection information is a JSON object, not list'),
    ({}, 'stdin: driver_volume_type is missing, it names the protocol'),
    ({'driver_volume_type': None, 'data': {}}, 'stdin: driver_volume_type is missing, it names the protocol'),
    ({'driver_volume_type': 'iscsi', 'data': [1]}, 'stdin: data is a JSON object, not list'),
    ({'driver_volume_type': 'nfs', 'data': {'export': 'a:/b', 'name': 'v'}},
     'stdin: mount_point_base is missing or no absolute path, a volume of NFS needs it'),
    ({'driver_volume_type': 'nfs', 'data': {'export': 'a:/b', 'name': 'v'}, 'mount_point_base': 'mnt'},
     'stdin: mount_point_base is missing or no absolute path, a volume of NFS needs it'),
])
def test_what_is_no_connection_information_is_refused(untouched, monkeypatch, capsys, given, message):
    for command in ('attach', 'detach'):
        assert refusal(capsys, monkeypatch, given, command) == message


@pytest.mark.parametrize('protocol', ['smb', '', 7, ['iscsi']])
def test_an_unknown_protocol_is_refused_with_those_that_are_known(untouched, monkeypatch, capsys, protocol):
    err = refusal(capsys, monkeypatch, {'driver_volume_type': protocol, 'data': {}})
    known = ', '.join(sorted(connector.get_connector_mapping())).lower()
    assert err == (f'stdin: driver_volume_type is {protocol!r}, known are {known}' if protocol else
                   'stdin: driver_volume_type is missing, it names the protocol')


@pytest.mark.parametrize('protocol, given, missing', [
    ('ISCSI', {'target_iqn': IQN}, 'target_portal or target_portals'),
    ('ISER', {'target_portals': [PORTAL], 'target_iqns': []}, 'target_iqn or target_iqns'),
    ('ISCSI', {'target_portal': PORTAL, 'target_iqn': IQN, 'auth_method': 'CHAP', 'auth_username': 'u'}, 'auth_password'),
    ('FIBRE_CHANNEL', {'target_lun': 1}, 'target_wwn or target_wwns'),
    ('NVMEOF', {'portals': []}, 'target_nqn or nqn or volume_replicas'),
    ('NVMEOF', {'target_nqn': 'nqn.a'}, 'portals'),
    ('NVME', {'nqn': 'nqn.a', 'target_portal': '10.0.0.1'}, 'transport_type'),
    ('RBD', {'name': 'p/i', 'hosts': ['h'], 'ports': ['1'], 'cluster_name': 'ceph'}, 'auth_username'),
    ('NFS', {'name': 'v'}, 'export'),
    ('GLUSTERFS', {'export': 'a:/b'}, 'name'),
    ('QUOBYTE', {'export': 'a:/b'}, 'name'),
    ('SCALITY', {'export': 'a:/b'}, 'name'),
    ('VZSTORAGE', {'export': 'cluster'}, 'name'),
    ('LOCAL', {}, 'device_path'),
    ('GPFS', {'device_path': ''}, 'device_path'),
    ('SCALEIO', {'scaleIO_volname': None}, 'scaleIO_volume_id or scaleIO_volname'),
    ('STORPOOL', {'client_id': 1, 'volume': 'v'}, 'access_mode'),
    ('LIGHTOS', {}, 'uuid'),
    ('VMDK', {'volume_id': 'v', 'volume': 'vm-1', 'vmdk_path': '[ds] v'}, 'config'),
    ('HUAWEISDSHYPERVISOR', {}, 'volume_id'),
])
def test_a_missing_property_is_named(untouched, monkeypatch, capsys, protocol, given, missing):
    # Nested and flat.
    for info in ({'data': given}, given):
        err = refusal(capsys, monkeypatch, {'driver_volume_type': protocol.lower(), **info})
        assert err == f'stdin: {missing} is missing, a volume of {protocol} needs it'


def test_every_protocol_of_the_connectors_is_known():
    assert sorted(connection._NEEDED) == sorted(connector.get_connector_mapping('x86_64'))


@pytest.mark.parametrize('page, protocol', [
    ('rbd', 'RBD'), ('lightos', 'LIGHTOS'), ('storpool', 'STORPOOL'), ('sdshypervisor', 'HUAWEISDSHYPERVISOR'),
    ('vmdk', 'VMDK'), ('file-systems', 'NFS')])
def test_what_the_pages_call_required_is_asked_for(page, protocol):
    rows = re.findall(r'^\| `(\w+)` \| [^|]+ \| yes[^|]* \|', (DOCS / f'{page}.md').read_text(), re.M)
    asked = {name for names in connection._NEEDED[protocol] for name in names}
    # The last table of the page of file systems is that of LOCAL.
    assert set(rows) - {'device_path'} - asked == set()


@pytest.mark.parametrize('arguments, message', [
    (['detach', '-', '--device-info', '-'], 'FILE and --device-info cannot both be stdin'),
    (['detach', '{volume}', '--device-info', '{missing}'], "[Errno 2] No such file or directory: '{missing}'"),
    (['detach', '{volume}', '--device-info', '{list}'], '{list}: device information is a JSON object, not list'),
    (['detach', '{volume}', '--device-info', '{volume}'],
     '{volume}: path is missing or no absolute path, it names the device'),
    (['attach', '{missing}'], "[Errno 2] No such file or directory: '{missing}'"),
])
def test_files_that_cannot_be_used_are_refused(untouched, capsys, tmp_path, arguments, message):
    names = {'volume': tmp_path / 'volume.json', 'list': tmp_path / 'list.json', 'missing': tmp_path / 'missing.json'}
    names['volume'].write_text('{"driver_volume_type": "local", "device_path": "/dev/null"}')
    names['list'].write_text('[]')
    assert cli.main([word.format(**names) for word in arguments]) == 2
    assert capsys.readouterr().err == f'os-brick: {message.format(**names)}\n'


def test_what_the_engine_refuses_is_exit_code_2_too(monkeypatch, capsys):
    monkeypatch.setattr(os, 'geteuid', lambda: 0)
    err = refusal(capsys, monkeypatch, {'driver_volume_type': 'iscsi', 'data': {
        'target_portal': PORTAL, 'target_iqn': 'v1', 'target_lun': 1, 'auth_password': 'secret'}})
    assert err.startswith('target_iqn') and 'v1' in err and 'secret' not in err


@pytest.mark.parametrize('value', [7, [], {}, ['x', {}], True])
@pytest.mark.parametrize('protocol', sorted(connection._NEEDED))
def test_properties_of_odd_types_end_in_one_line(monkeypatch, capsys, protocol, value):
    """Whatever a connector makes of them, before it would connect."""
    def attach(*args):
        raise ending.Ended(99, 'the connector is asked to attach')
    monkeypatch.setattr(os, 'geteuid', lambda: 0)
    monkeypatch.setattr('os_brick.cli.attach._attach', attach)
    keys = [name for names in connection._NEEDED[protocol] for name in names]
    keys += [name for names in connection._NEEDED_WITH.get(protocol, {}).values() for name in names]
    text = json.dumps({'driver_volume_type': protocol, 'mount_point_base': '/mnt', 'data': dict.fromkeys(keys, value)})
    monkeypatch.setattr(sys, 'stdin', io.StringIO(text))
    assert cli.main(['attach', '-']) in (1, 2, 99)
    assert capsys.readouterr().err.splitlines()[-1].startswith('os-brick: ')


def test_secrets_are_masked_wherever_they_come_from():
    volume = connection.Connection('RBD', {'name': 'p/i', 'keyring': '[client.u]\n key = AQ==', 'auth_password': 'abc',
                                           'config': {'vmware_host_password': ['nested']}})
    assert volume.hide('AQ== abc nested p/i') == 'AQ== *** *** p/i'
    assert volume.hide('of [client.u]\n key = AQ==, too') == 'of ***, too'
    assert 'abc' not in repr(volume)
    assert connection.masked({'path': b'/dev/x', 'auth_password': 'abc', 'list': ({'keyring': 'k'},), 'n': None}) == {
        'path': '/dev/x', 'auth_password': '***', 'list': [{'keyring': '***'}], 'n': None}
    assert connection.Connection('VZSTORAGE', {'export': 'cluster:abc', 'name': 'v'}).title == 'vzstorage volume v'


@pytest.fixture
def attached(monkeypatch, tmp_path):
    """A volume with one path, as root sees it; what uses it can be changed.  A detach makes `detached` true."""
    device = tmp_path / 'sda'
    device.touch()
    volume = {'device': 'sda', 'name': None, 'identity': '3600', 'paths': [], 'mounts': [], 'consumers': [],
              'open_count': 0}
    seen = {'volume': volume, 'detached': False}

    class Brick:
        def get_volume_paths(self, properties):
            return [str(device)]

        def disconnect_volume(self, properties, device_info, force, ignore_errors):
            assert (device_info, ignore_errors) == ({}, False)
            seen['detached'] = True

    monkeypatch.setattr(os, 'geteuid', lambda: 0)
    monkeypatch.setattr(connector.InitiatorConnector, 'factory', lambda *args, **kwargs: Brick())
    monkeypatch.setattr(commands.priv_inventory, 'read', lambda: {'volumes': [volume]})
    monkeypatch.setattr(sys, 'stdin', io.StringIO('{"driver_volume_type": "lightos", "uuid": "v1"}'))
    return seen


@pytest.mark.parametrize('use, shown', [
    ({'mounts': ['/srv']}, '/srv'),
    ({'consumers': [{'kind': 'luks', 'device': 'dm-1', 'name': 'crypt'}]}, 'luks:crypt'),
    ({'open_count': 2}, 'open 2x'),
])
def test_a_volume_in_use_is_not_detached_without_force(attached, monkeypatch, capsys, use, shown):
    monkeypatch.setattr('os_brick.cli.detach._PASSING', 0)
    attached['volume'].update(use)
    assert cli.main(['detach', '-']) == 1
    assert not attached['detached']
    assert capsys.readouterr().err == (
        f'os-brick: the volume is in use (sda: {shown}); nothing was touched. Let its users go first, or use --force and '
        'lose data\n')
    sys.stdin.seek(0)
    assert cli.main(['detach', '--force', '-']) == 0
    assert attached['detached']


def test_who_only_looks_at_the_device_is_waited_for(attached, monkeypatch, capsys):
    """udev opens a device for a moment."""
    counts = iter([1, 1, 0])

    def read():
        attached['volume']['open_count'] = next(counts)
        return {'volumes': [attached['volume']]}
    monkeypatch.setattr(commands.priv_inventory, 'read', read)
    assert cli.main(['detach', '-']) == 0
    assert attached['detached'] and next(counts, None) is None


def test_a_path_that_stays_is_told(attached, tmp_path, capsys):
    assert cli.main(['detach', '-']) == 0
    assert capsys.readouterr().out == f'lightos volume v1 is detached\nstill to be seen: {tmp_path}/sda\n'
