# SPDX-License-Identifier: Apache-2.0
"""The command `os-brick`: what it prints, to the letter, and its exit codes."""

import io
import json
import os
import sys

import pytest

from os_brick import cli
from os_brick import exception
from os_brick import privileged
from os_brick.cli import commands
from os_brick.initiator import connector
from os_brick.initiator import inventory

ONE = '360014050000000000000000000000001'
TWO = '360014050000000000000000000000002'


def path(device, address, portal, session, state='LOGGED_IN', usable=True):
    return {'device': device, 'address': address, 'state': 'running', 'identity': ONE,
            'size': 1 << 30, 'usable': usable,
            'connection': {'transport': 'iscsi', 'target': 'iqn.2010-10.org.openstack:volume-1',
                           'portal': portal, 'name': session, 'state': state}}


def consumer(kind, device, name, mounts=(), above=()):
    return {'kind': kind, 'device': device, 'name': name, 'mounts': list(mounts),
            'open_count': None, 'consumers': list(above)}


MAP = {
    'device': 'dm-0', 'kind': 'multipath', 'name': 'mpatha', 'identity': ONE, 'size': 1 << 30,
    'paths': [path('sda', '2:0:0:1', '10.0.0.1:3260', 'session1'),
              path('sdb', '3:0:0:1', '10.0.0.2:3260', 'session2', 'FAILED', False)],
    'mounts': [], 'links': ['/dev/disk/by-id/os-brick+dev+dm-0'], 'open_count': 1,
    'consumers': [consumer('luks', 'dm-1', 'crypt-dm-0', above=[
        consumer('lvm', 'dm-2', 'vg-data', ['/srv'])])],
}
DISK = {
    'device': 'sdc', 'kind': 'disk', 'name': None, 'identity': TWO, 'size': None,
    'paths': [{'device': 'sdc', 'address': '0:0:0:0', 'state': 'running', 'identity': TWO,
               'size': None, 'usable': True,
               'connection': {'transport': 'ahci', 'target': None, 'portal': None, 'name': None,
                              'state': None}}],
    'mounts': ['/', '/boot'], 'links': [], 'open_count': None, 'consumers': [],
}
FINDING = {
    'kind': 'dangling_link', 'subject': '/dev/disk/by-id/os-brick+dev+dm-9',
    'evidence': [{'place': '/dev/disk/by-id/os-brick+dev+dm-9',
                  'value': 'leads to ../../dm-9, which is gone'}],
    'risk': 'It may lead to another volume soon.',
    'commands': ['rm /dev/disk/by-id/os-brick+dev+dm-9'],
}


@pytest.fixture
def host(monkeypatch):
    """A host seen without root's rights; what it holds can be changed."""
    found = {'inventory': {'volumes': [MAP, DISK], 'sessions': [], 'controllers': []},
             'orphans': {'findings': [], 'silent': [], 'live': False}}
    monkeypatch.setattr(os, 'geteuid', lambda: 1000)
    monkeypatch.setattr(inventory, 'read', lambda: found['inventory'])
    monkeypatch.setattr(inventory, 'find_orphans', lambda: found['orphans'])
    return found


def run(capsys, *arguments):
    code = cli.main(arguments)
    out, err = capsys.readouterr()
    return code, out.splitlines(), err


def test_volumes_are_a_table(host, capsys):
    assert run(capsys, 'volumes') == (0, [
        'DEVICE  NAME    SIZE     PATHS  TRANSPORT  USED BY          IDENTITY',
        f'dm-0    mpatha  1.0 GiB  1/2    iscsi      luks:crypt-dm-0  {ONE}',
        f'sdc     -       -        1/1    ahci       /, /boot         {TWO}',
    ], '')


def test_a_host_without_volumes_says_so(host, capsys):
    host['inventory']['volumes'] = []
    assert run(capsys, 'volumes') == (0, ['No volumes.'], '')
    assert run(capsys, 'tree') == (0, ['No volumes.'], '')


def test_a_volume_is_a_tree(host, capsys):
    assert run(capsys, 'tree', 'mpatha') == (0, [
        f'dm-0 mpatha 1.0 GiB {ONE}',
        '├─ sda 2:0:0:1 running iscsi 10.0.0.1:3260 session1 LOGGED_IN'
        ' iqn.2010-10.org.openstack:volume-1',
        '├─ ! sdb 3:0:0:1 running iscsi 10.0.0.2:3260 session2 FAILED'
        ' iqn.2010-10.org.openstack:volume-1',
        '├─ link /dev/disk/by-id/os-brick+dev+dm-0',
        '└─ luks dm-1 crypt-dm-0',
        '   └─ lvm dm-2 vg-data mounted on /srv',
    ], '')


@pytest.mark.parametrize('name', ['dm-0', '/dev/dm-0', 'sdb', '/dev/sdb', ONE])
def test_a_volume_has_many_names(host, capsys, name):
    code, lines, _ = run(capsys, 'tree', name)
    assert (code, lines[0]) == (0, f'dm-0 mpatha 1.0 GiB {ONE}')


def test_a_name_of_no_volume_is_an_error(host, capsys):
    assert run(capsys, 'tree', 'sdx') == (1, [], 'os-brick: no volume of this host is sdx\n')


def test_names_storage_chose_do_not_move_the_cursor(host, capsys):
    host['inventory']['volumes'] = [{**DISK, 'identity': '1\x1b[2Jx'}]
    _, lines, _ = run(capsys, 'volumes')
    assert lines[1].endswith('1?[2Jx')


def test_json_is_what_the_engine_found(host, capsys):
    assert cli.main(['volumes', '--json']) == 0
    assert json.loads(capsys.readouterr().out) == [MAP, DISK]


def test_no_finding_is_exit_code_0(host, capsys):
    host['orphans']['live'] = True
    assert run(capsys, 'orphans') == (0, ['Nothing found.'], '')


def test_findings_are_exit_code_3_with_evidence_risk_and_commands(host, capsys):
    host['orphans'].update(findings=[FINDING], silent=[{'device': 'sdb', 'reason': 'not asked'}])
    link = FINDING['subject']
    assert run(capsys, 'orphans') == (3, [
        f'dangling link: {link}',
        f'  {link}: leads to ../../dm-9, which is gone',
        '  It may lead to another volume soon.',
        f'    # rm {link}',
        '',
        '1 finding.',
        'sdb did not say what it is: not asked',
        'Not as root: no disk was asked what it is, and node records are seen only if readable.',
    ], '')
    assert cli.main(['orphans', '--json']) == 3
    assert json.loads(capsys.readouterr().out) == host['orphans']


def test_root_asks_the_disks_in_its_own_process(host, monkeypatch, capsys):
    seen = []
    monkeypatch.setattr(os, 'geteuid', lambda: 0)
    monkeypatch.setattr(privileged.default, 'set_client_mode', seen.append)
    monkeypatch.setattr(commands.priv_inventory, 'find_orphans',
                        lambda records: {'findings': [], 'silent': [], 'live': True})
    assert run(capsys, 'orphans') == (0, ['Nothing found.'], '')
    assert seen == [False]


def test_records_tell_root_whose_a_volume_is(host, monkeypatch, capsys, tmp_path):
    asked = []

    def read(records):
        asked.append(records)
        return {'volumes': [{**MAP, 'record': 'half_done'}, {**DISK, 'record': 'unknown'}]}
    monkeypatch.setattr(os, 'geteuid', lambda: 0)
    monkeypatch.setattr(privileged.default, 'set_client_mode', lambda client: None)
    monkeypatch.setattr(commands.priv_inventory, 'read', read)
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'records').mkdir()
    assert run(capsys, 'volumes', '--records', 'records') == (0, [
        'DEVICE  NAME    SIZE     PATHS  TRANSPORT  USED BY          RECORD     IDENTITY',
        f'dm-0    mpatha  1.0 GiB  1/2    iscsi      luks:crypt-dm-0  half done  {ONE}',
        f'sdc     -       -        1/1    ahci       /, /boot         unknown    {TWO}',
    ], '')
    assert run(capsys, 'tree', 'sdb', '--records', 'records')[1][0] == f'dm-0 mpatha 1.0 GiB {ONE} (half done)'
    assert asked == [str(tmp_path / 'records')] * 2
    assert run(capsys, 'volumes', '--records', 'other') == (1, [], 'os-brick: --records: other is no directory\n')


@pytest.mark.parametrize('command', ['volumes', 'tree', 'orphans'])
def test_only_root_reads_records(host, capsys, tmp_path, command):
    assert run(capsys, command, '--records', str(tmp_path)) == (
        1, [], 'os-brick: --records needs root: nobody else may read attachment records\n')


def test_properties_are_sorted(host, monkeypatch, capsys):
    def collect(root_helper, my_ip, multipath, enforce_multipath):
        assert (root_helper, enforce_multipath) == ('sudo', False)
        return {'ip': my_ip, 'host': 'one', 'multipath': multipath}
    monkeypatch.setattr(connector, 'get_connector_properties', collect)
    assert run(capsys, 'properties', '--ip', '10.0.0.9', '--no-multipath') == (0, [
        'PROPERTY   VALUE', 'host       one', 'ip         10.0.0.9', 'multipath  False'], '')


class Connector:
    def get_volume_paths(self, properties):
        if 'target_lun' not in properties:
            raise exception.InvalidParameterValue(err='target_lun is missing')
        return [f"/dev/disk/by-path/lun-{properties['target_lun']}"]


@pytest.fixture
def volume_connector(host, monkeypatch):
    monkeypatch.setattr(connector.InitiatorConnector, 'factory',
                        lambda protocol, helper, use_multipath: Connector())


@pytest.mark.parametrize('text', ['{"target_lun": 7}',
                                  '{"driver_volume_type": "iscsi", "data": {"target_lun": 7}}'])
def test_paths_are_found_from_a_file_or_stdin(volume_connector, monkeypatch, capsys, tmp_path, text):
    (tmp_path / 'connection.json').write_text(text)
    expected = (0, ['/dev/disk/by-path/lun-7'], '')
    assert run(capsys, 'paths', 'iscsi', str(tmp_path / 'connection.json')) == expected
    monkeypatch.setattr(sys, 'stdin', io.StringIO(text))
    assert run(capsys, 'paths', 'iscsi') == expected


def test_a_mistake_in_the_file_shows_nothing_of_it(volume_connector, capsys, tmp_path):
    file = tmp_path / 'connection.json'
    file.write_text('{"auth_password": "secret"')
    code, lines, err = run(capsys, 'paths', 'iscsi', str(file))
    assert (code, lines) == (1, [])
    assert err == f"os-brick: {file} is not JSON: Expecting ',' delimiter: line 1 column 27 (char 26)\n"


def test_what_the_connector_refuses_is_exit_code_1(volume_connector, capsys, tmp_path):
    file = tmp_path / 'connection.json'
    file.write_text('{}')
    code, lines, err = run(capsys, 'paths', 'iscsi', str(file))
    assert (code, lines) == (1, [])
    assert err == 'os-brick: target_lun is missing\n'


@pytest.mark.parametrize('arguments', [[], ['volume'], ['paths'], ['volumes', 'sda']])
def test_wrong_arguments_are_exit_code_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert 'usage: os-brick' in capsys.readouterr().err


def test_help_names_every_command_and_exit_code(capsys):
    with pytest.raises(SystemExit):
        cli.main(['--help'])
    text = capsys.readouterr().out
    for word in ('properties', 'volumes', 'tree', 'paths', 'orphans', 'clean', 'examples:', '3        orphans found something'):
        assert word in text


def test_the_engine_reads_another_root(tmp_path):
    link = tmp_path / 'dev/disk/by-id/os-brick+dev+dm-9'
    link.parent.mkdir(parents=True)
    link.symlink_to('../../dm-9')
    assert inventory.read(str(tmp_path)) == {'volumes': [], 'sessions': [], 'controllers': []}
    found = inventory.find_orphans(str(tmp_path))
    assert [(one['kind'], one['commands']) for one in found['findings']] == [
        ('dangling_link', ['rm /dev/disk/by-id/os-brick+dev+dm-9'])]
    assert (found['silent'], found['live']) == ([], False)
