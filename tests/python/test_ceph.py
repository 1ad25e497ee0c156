# SPDX-License-Identifier: Apache-2.0
"""What a Ceph client is told: names, monitors, keyrings, configuration files, arguments, listings."""

import json
import os
import stat

import pytest

import fake_ceph

from os_brick import ceph
from os_brick import exception

MALFORMED = 'Connect volume failed, malformed connection properties: '


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """A directory of its own for temporary files."""
    directory = tmp_path / 'tmp'
    directory.mkdir()
    monkeypatch.setattr(ceph.tempfile, 'tempdir', str(directory))
    return directory


@pytest.mark.parametrize('name, expected', [
    ('volumes/v1', ('volumes', '', 'v1', '')),
    (b'volumes/v1', ('volumes', '', 'v1', '')),
    ('volumes/blue/v1', ('volumes', 'blue', 'v1', '')),
    ('volumes/v1@s', ('volumes', '', 'v1', 's')),
    ('volumes/blue/v1@s', ('volumes', 'blue', 'v1', 's')),
    ('a pool/an image', ('a pool', '', 'an image', '')),
])
def test_names(name, expected):
    parsed = ceph.Volume.parse(name)
    assert parsed == expected
    assert str(parsed) == (name.decode() if isinstance(name, bytes) else name)


@pytest.mark.parametrize('name', [
    None, 5, '', 'v1', '/v1', 'volumes/', 'a/b/c/d', 'volumes//v1', 'volumes/..', '../v1', 'volumes/v1@',
    'volumes/v1@a@b', 'volumes/v1@a/b', '--conf/v1', 'volumes/--conf', 'volumes/-x/v1', 'volumes/v\n1', ['volumes', 'v1']])
def test_rb_18_names_that_are_none(name):
    with pytest.raises(exception.BrickException) as caught:
        ceph.Volume.parse(name)
    assert str(caught.value).startswith(MALFORMED + 'name ')
    assert str(caught.value).endswith(repr(name))


@pytest.mark.parametrize('host, expected', [
    ('10.0.0.1', '10.0.0.1'), ('mon.example.org', 'mon.example.org'),
    ('fd00::2', '[fd00::2]'), ('[fd00::2]', '[fd00::2]'),
    ('v1:10.0.0.1', 'v1:10.0.0.1'), ('v2:fd00::2', 'v2:[fd00::2]'), ('v2:[fd00::2]', 'v2:[fd00::2]'),
])
def test_rb_03_addresses_before_a_port(host, expected):
    assert ceph.bracketed(host) == expected
    assert ceph.monitors([host], [6789]) == f'{expected}:6789'


def test_rb_20_all_monitors_are_one_value():
    assert ceph.monitors(fake_ceph.HOSTS, ('6789', 6790)) == fake_ceph.MON_HOST


@pytest.mark.parametrize('hosts, ports, text', [
    (None, ['1'], 'hosts must be a list, not None'),
    ([], [], 'hosts must be a list, not []'),
    ('10.0.0.1', ['6789'], "hosts must be a list, not '10.0.0.1'"),
    (['a'], None, 'ports must be a list, not None'),
    (['a', 'b'], ['1'], 'there are 2 hosts and 1 ports'),
    ([''], ['1'], "hosts cannot hold ''"),
    ([None], ['1'], 'hosts cannot hold None'),
    ([5], ['1'], 'hosts cannot be 5'),
    (['a,b'], ['1'], "hosts cannot be 'a,b'"),
    (['a\nlog_file = /etc/passwd'], ['1'], "hosts cannot be 'a\\nlog_file = /etc/passwd'"),
    (['a'], ['x'], "ports cannot hold 'x'"),
    (['a'], [True], 'ports cannot hold True'),
    (['a'], [-1], 'ports cannot hold -1'),
    (['a'], ['70000'], "ports cannot hold '70000'"),
    (['a'], ['6789\n'], "ports cannot hold '6789\\n'"),
])
def test_rb_18_monitors_that_are_none(hosts, ports, text):
    with pytest.raises(exception.BrickException) as caught:
        ceph.monitors(hosts, ports)
    assert str(caught.value) == MALFORMED + text


def test_rb_04_rb_05_rb_06_the_file(temporary):
    path = ceph.create_conf(fake_ceph.HOSTS, fake_ceph.PORTS, 'ceph', 'cinder', fake_ceph.KEYRING)
    assert os.path.dirname(path) == str(temporary)
    assert os.path.basename(path).startswith('brickrbd_')
    with open(path) as stream:
        text = stream.read()
    assert text == f'[global]\nmon_host = {fake_ceph.MON_HOST}\n{fake_ceph.KEYRING}\n'


def test_se_11_the_file_is_its_owners_alone(temporary):
    old = os.umask(0)
    try:
        path = ceph.create_conf(['a'], ['1'], 'ceph', 'cinder', fake_ceph.KEYRING)
    finally:
        os.umask(old)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


@pytest.mark.parametrize('keyring', [None, ''])
def test_rb_09_without_cephx_there_is_no_key(keyring):
    path = ceph.create_conf(['a'], ['1'], 'ceph', None, keyring)
    with open(path) as stream:
        assert stream.read() == '[global]\nmon_host = a:1\n\n'
    assert ceph.access_arguments(None, ['a'], ['1'], None) == ['--mon_host', 'a:1']


def test_se_09_the_key_comes_from_the_hosts_keyring(monkeypatch):
    opened = []

    def keyring_file(path):
        opened.append(path)
        return open(os.devnull)
    monkeypatch.setattr(ceph, 'open', keyring_file, raising=False)
    assert ceph.keyring_contents(None, 'north', 'cinder') == ''
    assert opened == ['/etc/ceph/north.client.cinder.keyring']


def test_rb_08_a_keyring_nobody_can_read(temporary):
    with pytest.raises(exception.BrickException) as caught:
        ceph.create_conf(['a'], ['1'], 'no-such-cluster', 'cinder', None)
    assert str(caught.value) == 'Keyring path /etc/ceph/no-such-cluster.client.cinder.keyring is not readable.'
    assert os.listdir(temporary) == []


@pytest.mark.parametrize('cluster, user', [
    ('../../home/me', 'cinder'), ('ceph', '../cinder'), ('ceph', 'a\nb'), ('', 'cinder'), (None, 'cinder'), ('ceph', '--x')])
def test_a_keyrings_path_stays_in_its_directory(cluster, user):
    with pytest.raises(exception.BrickException) as caught:
        ceph.keyring_contents(None, cluster, user)
    assert str(caught.value).startswith(MALFORMED)


def test_a_keyring_of_another_type_is_not_shown():
    with pytest.raises(exception.BrickException) as caught:
        ceph.keyring_contents({'key': fake_ceph.KEY}, 'ceph', 'cinder')
    assert str(caught.value) == MALFORMED + 'keyring must be a text, not dict'


def test_rb_06_a_file_that_cannot_be_filled_is_gone(temporary, monkeypatch):
    def full(*args):
        raise OSError(28, 'No space left on device')
    monkeypatch.setattr(ceph.os, 'fdopen', full)
    with pytest.raises(exception.BrickException, match='^Failed to write data to .*/brickrbd_'):
        ceph.create_conf(['a'], ['1'], 'ceph', 'cinder', fake_ceph.KEYRING)
    assert os.listdir(temporary) == []


def test_a_directory_that_takes_no_file(monkeypatch, tmp_path):
    monkeypatch.setattr(ceph.tempfile, 'tempdir', str(tmp_path / 'missing'))
    with pytest.raises(exception.BrickException, match='^Failed to write data to '):
        ceph.create_conf(['a'], ['1'], 'ceph', 'cinder', fake_ceph.KEYRING)


def test_files_of_a_volume_are_found_again(temporary):
    made = [ceph.create_conf(['a'], ['1'], 'ceph', None, '', volume)
            for volume in ('volumes/v1', 'volumes/v1', 'volumes/v2', None)]
    (temporary / ('brickrbd_link' + ceph._suffix('volumes/v1'))).symlink_to('/etc/passwd')
    assert ceph.confs_of('volumes/v1') == sorted(made[:2])
    assert ceph.confs_of('backups/v1') == []
    assert all(ceph.is_conf(path) for path in made)


@pytest.mark.parametrize('path', [
    None, 5, '', 'brickrbd_x', '/etc/ceph/ceph.conf', '/tmp/brickrbd_x/passwd', '/tmp/brickrbd_\0'])
def test_what_is_no_such_file(path):
    assert not ceph.is_conf(path)


def test_rb_19_arguments_say_who_asks_whom():
    assert ceph.access_arguments('cinder', fake_ceph.HOSTS, fake_ceph.PORTS, '/tmp/c') == [
        '--id', 'cinder', '--mon_host', fake_ceph.MON_HOST, '--conf', '/tmp/c']
    assert ceph.access_arguments('', None, None, None) == []
    with pytest.raises(exception.BrickException):
        ceph.access_arguments('--conf=x', None, None, None)


def test_commands():
    volume = ceph.Volume('volumes', 'blue', 'v1', 's')
    assert ceph.map_command(ceph.Volume('volumes', '', 'v1', ''), ['--id', 'me']) == [
        'rbd', 'map', 'v1', '--pool', 'volumes', '--id', 'me']
    assert ceph.map_command(volume, []) == [
        'rbd', 'map', 'v1@s', '--pool', 'volumes', '--namespace', 'blue']
    assert ceph.list_command(['--id', 'me']) == ['rbd', 'showmapped', '--format=json', '--id', 'me']
    assert ceph.unmap_command('/dev/rbd0', ['--id', 'me']) == ['rbd', 'unmap', '/dev/rbd0', '--id', 'me']
    assert ceph.unmap_command('/dev/rbd0', [], True) == ['rbd', 'unmap', '/dev/rbd0', '-o', 'force']


ENTRIES = [
    {'pool': 'backups', 'namespace': '', 'name': 'v1', 'snap': '-', 'device': '/dev/rbd0'},
    {'pool': 'volumes', 'namespace': 'blue', 'name': 'v1', 'snap': '-', 'device': '/dev/rbd1'},
    {'pool': 'volumes', 'namespace': '', 'name': 'v1', 'snap': 's', 'device': '/dev/rbd2'},
    {'pool': 'volumes', 'namespace': '', 'name': 'v1', 'snap': '-', 'device': '/dev/rbd3'},
    {'pool': 'old', 'name': 'v1', 'snap': '', 'device': '/dev/rbd10'},
]


@pytest.mark.parametrize('form', [list, lambda entries: {str(number): entry for number, entry in enumerate(entries)}])
@pytest.mark.parametrize('name, expected', [
    ('backups/v1', '/dev/rbd0'), ('volumes/blue/v1', '/dev/rbd1'), ('volumes/v1@s', '/dev/rbd2'),
    ('volumes/v1', '/dev/rbd3'), ('old/v1', '/dev/rbd10'), ('old/v1@s', None), ('volumes/v2', None), ('volumes/red/v1', None)])
def test_rb_23_x_10_a_device_is_that_of_pool_namespace_and_name(form, name, expected):
    assert ceph.find_device(json.dumps(form(ENTRIES)), ceph.Volume.parse(name)) == expected


@pytest.mark.parametrize('listing', ['', '\n', '[]', '{}'])
def test_nothing_is_mapped(listing):
    assert ceph.find_device(listing, ceph.Volume.parse('volumes/v1')) is None


@pytest.mark.parametrize('listing', ['no json', '5', '["x"]', json.dumps([{**ENTRIES[3], 'device': '/dev/sda'}])])
def test_a_listing_that_makes_no_sense(listing):
    with pytest.raises(exception.BrickException, match='^The output of rbd showmapped makes no sense: '):
        ceph.find_device(listing, ceph.Volume.parse('volumes/v1'))
