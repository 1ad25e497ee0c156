# SPDX-License-Identifier: Apache-2.0
"""StorPool's configuration files and its API, on a small StorPool."""

import http.client
import json
import os
import pathlib
import platform
import socket
import subprocess
import sys

import pytest

import storpool_api
from storpool_api import failure

from os_brick import exception
from os_brick.initiator import storpool_utils
from os_brick.tests.initiator import test_storpool_utils

SECRET = 'hunter2'


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Writes StorPool's files: the main one, or one of the directory."""
    monkeypatch.setattr(storpool_utils, '_CONF_FILE', tmp_path / 'storpool.conf')
    monkeypatch.setattr(storpool_utils, '_CONF_DIRECTORY', tmp_path / 'storpool.conf.d')
    for name in storpool_utils.ENV_OVERRIDE:
        monkeypatch.delenv(name, raising=False)

    def write(text, name=None):
        path = tmp_path / (f'storpool.conf.d/{name}' if name else 'storpool.conf')
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path
    return write


class TestConf:
    """SP-07: the file, its directory, the section of the host, the environment."""

    def test_the_defaults(self, files):
        files('SP_AUTH_TOKEN=1\n')
        assert storpool_utils.get_conf() == {'SP_API_HTTP_HOST': '127.0.0.1',
                                             'SP_API_HTTP_PORT': '81', 'SP_AUTH_TOKEN': '1'}
        assert storpool_utils.STORPOOL_CONF_DEFAULTS == {'SP_API_HTTP_HOST': '127.0.0.1',
                                                         'SP_API_HTTP_PORT': '81'}

    def test_what_comes_later_wins(self, files, monkeypatch):
        files('# a comment\nSP_OURID=1\nSP_A=main\nSP_B=main\nSP_C=main\nSP_D=main\n'
              '[host]\nSP_B=section\nSP_D=section\n[other]\nSP_OURID=2\n')
        files('SP_B=second\nSP_C=second\n', '20.conf')
        files('SP_C=first\n[host]\nSP_OURID=3\nSP_D=own\n', '10.conf')
        monkeypatch.setenv('SP_API_HTTP_PORT', '82\n')
        monkeypatch.setenv('SP_OURID', 'not taken from here')
        conf = storpool_utils.get_conf('host')
        assert conf == {'SP_API_HTTP_HOST': '127.0.0.1', 'SP_API_HTTP_PORT': '82',
                        'SP_OURID': '3', 'SP_A': 'main', 'SP_B': 'section', 'SP_C': 'second',
                        'SP_D': 'own'}
        assert storpool_utils.get_conf('host', use_env=False)['SP_API_HTTP_PORT'] == '81'
        assert storpool_utils.get_conf('other')['SP_OURID'] == '2'

    def test_the_section_of_this_host(self, files):
        files(f'[{platform.node()}]\nSP_OURID=9\n')
        assert storpool_utils.get_conf()['SP_OURID'] == '9'

    def test_every_variable_of_the_environment(self, files, monkeypatch):
        files('')
        for name in ('SP_AUTH_TOKEN', 'SP_API_HTTP_HOST', 'SP_API_HTTP_PORT'):
            monkeypatch.setenv(name, name.lower())
        assert storpool_utils.get_conf() == {name: name.lower()
                                             for name in storpool_utils.ENV_OVERRIDE}

    def test_only_visible_conf_files_count(self, files):
        files('SP_A=1\n')
        for name in ('.hidden.conf', 'saved.conf.bak', 'README'):
            files('SP_A=2\n', name)
        (files('', 'x.conf').parent / 'directory.conf').mkdir()
        assert storpool_utils.get_conf()['SP_A'] == '1'

    @pytest.mark.parametrize('value', ['50%', '%%', '%(SP_B)s', 'a=b', 'a:b', '"a"', 'a#b;c'])
    def test_a_value_is_what_is_written(self, files, value):
        files(f'SP_A={value}\nSP_B=b\n')
        assert storpool_utils.get_conf()['SP_A'] == value

    def test_a_name_without_value_is_not_set(self, files):
        files('SP_API_HTTP_HOST\nSP_OURID\n')
        assert storpool_utils.get_conf() == storpool_utils.STORPOOL_CONF_DEFAULTS

    def test_no_file(self, files):
        with pytest.raises(exception.BrickException) as raised:
            storpool_utils.get_conf()
        assert str(raised.value) == (
            f'File {storpool_utils._CONF_FILE} does not exist or not a file')

    @pytest.mark.parametrize('octets, reason', [
        (f'SP_A=1\n={SECRET}\n'.encode(), 'ParsingError in line 2'),
        (b'SP_A=\xff' + SECRET.encode(), 'UnicodeDecodeError')])
    def test_an_error_shows_nothing_of_the_file(self, files, octets, reason):
        path = files('')
        path.write_bytes(octets)
        with pytest.raises(exception.BrickException) as raised:
            storpool_utils.get_conf()
        assert raised.value.args == (f'Cannot read {path}: {reason}',)
        assert raised.value.__suppress_context__

    def test_the_files_are_storpools(self):
        assert storpool_utils._CONF_FILE == pathlib.Path('/etc/storpool.conf')
        assert storpool_utils._CONF_DIRECTORY == pathlib.Path('/etc/storpool.conf.d')


def test_names():
    assert storpool_utils.os_to_sp_volume_name('os', '1-2') == 'os--volume-1-2'
    assert storpool_utils.os_to_sp_snapshot_name('os', 'snap', '1') == (
        'os--snap--none--snapshot-1')
    assert storpool_utils.os_to_sp_snapshot_name('p', 'group', '1', more='m') == (
        'p--group--m--snapshot-1')


class TestError:

    def test_what_it_tells(self):
        made = storpool_utils.StorPoolAPIError(
            409, {'error': {'name': 'busy', 'descr': 'in use', 'transient': True}})
        assert (made.status, made.name, made.desc, made.transient) == (409, 'busy', 'in use', True)
        assert str(made) == 'HTTP: 409, busy: in use'
        assert isinstance(made, exception.BrickException)

    @pytest.mark.parametrize('answer', [{'error': {}}, {}, {'error': 'text'}, ['a'], None])
    def test_an_answer_that_does_not_say_why(self, answer):
        made = storpool_utils.StorPoolAPIError('none', answer)
        assert (made.json, made.transient) == (answer, False)
        assert str(made) == ('HTTP: none, <Missing error name>: <Missing error description>')


@pytest.fixture
def storpool(tmp_path):
    made = storpool_api.StorPool(tmp_path)
    made.create('os--volume-1', 'abc.b.1', 10)
    yield made
    made.close()


@pytest.fixture
def waits(monkeypatch):
    made = []
    monkeypatch.setattr(storpool_utils.time, 'sleep', made.append)
    return made


@pytest.fixture
def api(storpool, waits):
    return storpool_utils.StorPoolAPI('127.0.0.1', str(storpool.port), storpool_api.TOKEN,
                                      timeout=20)


class TestApi:

    def test_an_answer(self, api, storpool, waits):
        assert api.volume('~abc.b.1') == [{'name': 'os--volume-1', 'globalId': 'abc.b.1',
                                           'size': 10}]
        assert storpool.requests == [('GET', '/ctrl/1.0/MultiCluster/Volume/~abc.b.1', None)]
        assert waits == []

    @pytest.mark.parametrize('call, args, request_', [
        ('disks_list', (), ('GET', 'DisksList', None)),
        ('volume_templates_list', (), ('GET', 'VolumeTemplatesList', None)),
        ('volumes_reassign', ([{'a': 1}],), ('POST', 'MultiCluster/VolumesReassign', [{'a': 1}])),
        ('volumes_reassign_wait', ({'a': 1},),
         ('POST', 'MultiCluster/VolumesReassignWait', {'a': 1})),
        ('volume', ('v',), ('GET', 'MultiCluster/Volume/v', None)),
        ('volume_create', ({'a': 1},), ('POST', 'MultiCluster/VolumeCreate', {'a': 1})),
        ('volume_get_info', ('v',), ('GET', 'MultiCluster/VolumeGetInfo/v', None)),
        ('volume_update', ('v', {'a': 1}), ('POST', 'MultiCluster/VolumeUpdate/v', {'a': 1})),
        ('volume_revert', ('v', {'a': 1}), ('POST', 'MultiCluster/VolumeRevert/v', {'a': 1})),
        ('volume_delete', ('v',), ('POST', 'MultiCluster/VolumeDelete/v', None)),
        ('volumes_list', (), ('GET', 'MultiCluster/VolumesList', None)),
        ('snapshot_create', ('v', {'a': 1}), ('POST', 'MultiCluster/VolumeSnapshot/v', {'a': 1})),
        ('snapshot_update', ('s', {'a': 1}), ('POST', 'SnapshotUpdate/s', {'a': 1})),
        ('snapshot_delete', ('s',), ('POST', 'MultiCluster/SnapshotDelete/s', None)),
        ('get_iscsi_config', (), ('GET', 'iSCSIConfig', None)),
        ('post_iscsi_config', ({'a': 1},), ('POST', 'iSCSIConfig', {'a': 1}))])
    def test_what_each_call_sends_and_returns(self, api, storpool, call, args, request_):
        storpool.next = [(200, {'data': [7]})]
        result = getattr(api, call)(*args)
        method, path, body = request_
        assert storpool.requests == [(method, f'/ctrl/1.0/{path}', body)]
        tells = method == 'GET' or call == 'post_iscsi_config'
        assert result == ([7] if tells else None)

    @pytest.mark.parametrize('trouble', [
        failure(503, 'busy', 'starting', transient=True),
        failure(200, 'busy', 'starting', transient=True), 'hang_up', 'reset'])
    def test_sp_07_what_passes_is_tried_again(self, api, storpool, waits, trouble):
        storpool.next = [trouble] * 5 + [(200, {'data': {}})]
        api.volume_update('v', {'size': 3, 'name': 'x'})
        assert waits == [1, 2, 4, 8, 16]
        # Every attempt sends the same, encoded once.
        assert storpool.bodies('VolumeUpdate/v') == [{'size': 3, 'name': 'x'}] * 6

    def test_sp_07_but_not_for_ever(self, api, storpool, waits):
        storpool.next = [failure(503, 'busy', 'starting', transient=True)] * 9
        with pytest.raises(storpool_utils.StorPoolAPIError) as raised:
            api.volumes_list()
        assert str(raised.value) == 'HTTP: 503, busy: starting'
        assert (waits, len(storpool.requests)) == ([1, 2, 4, 8, 16], 6)

    def test_sp_07_nobody_listens(self, waits):
        with socket.socket() as taken:
            taken.bind(('127.0.0.1', 0))
            api = storpool_utils.StorPoolAPI('127.0.0.1', taken.getsockname()[1], 'x',
                                             transient_retries=2)
            with pytest.raises(ConnectionRefusedError):
                api.disks_list()
        assert waits == [1, 2]

    @pytest.mark.parametrize('answer', [failure(404, 'objectDoesNotExist', 'no volume'),
                                        failure(500, 'x', 'y', transient=False),
                                        (403, {'data': []}), (500, ['a'])])
    def test_sp_07_other_errors_are_raised_at_once(self, api, storpool, waits, answer):
        storpool.next = [answer]
        with pytest.raises(storpool_utils.StorPoolAPIError) as raised:
            api.volumes_list()
        assert (raised.value.status, raised.value.json) == answer
        assert waits == []

    def test_a_wrong_token(self, storpool, waits):
        api = storpool_utils.StorPoolAPI('127.0.0.1', storpool.port, SECRET)
        with pytest.raises(storpool_utils.StorPoolAPIError) as raised:
            api.volumes_list()
        assert str(raised.value) == 'HTTP: 401, unauthorized: Bad token'

    def test_a_page_instead_of_an_answer(self, api, storpool, waits):
        storpool.next = [(502, b'<html>hunter2')]
        with pytest.raises(json.JSONDecodeError, match=(
                r"^the StorPool API's answer to GET /ctrl/1.0/DisksList \(HTTP 502\) is no JSON")):
            api.disks_list()
        assert waits == []

    def test_an_answer_without_data(self, api, storpool, waits):
        storpool.next = [(200, {})]
        with pytest.raises(KeyError, match=(
                r"the StorPool API's answer to GET /ctrl/1.0/DisksList \(HTTP 200\) has no data")):
            api.disks_list()

    def test_no_answer_in_time(self, storpool, waits):
        storpool.next = ['be_silent']
        api = storpool_utils.StorPoolAPI('127.0.0.1', storpool.port, storpool_api.TOKEN,
                                         timeout=0.3)
        with pytest.raises(TimeoutError):
            api.disks_list()
        assert waits == []

    @pytest.mark.parametrize('host, port, volume', [('127.0.0.1', 'x', 'v'),
                                                    ('127.0.0.1', '1', 'a b'),
                                                    ('127.0.0.1', '1', 'a\r\nx: y')])
    def test_what_cannot_be_sent_is_not_tried_again(self, waits, host, port, volume):
        with pytest.raises(http.client.InvalidURL):
            storpool_utils.StorPoolAPI(host, port, 'x').volume(volume)
        assert waits == []

    @pytest.mark.parametrize('token', [SECRET + '\n', SECRET + '\r\nx: y', 'é' + SECRET])
    def test_a_token_that_cannot_be_sent_is_not_shown(self, token):
        with pytest.raises(exception.BrickException) as raised:
            storpool_utils.StorPoolAPI('127.0.0.1', 1, token)
        assert str(raised.value) == 'SP_AUTH_TOKEN has characters that no HTTP header may have'

    def test_no_token_in_any_log(self, api, storpool, debug_log):
        storpool.next = [failure(503, 'busy', 'starting', transient=True)]
        assert len(api.volume('os--volume-1')) == 1
        assert ('GET /ctrl/1.0/MultiCluster/Volume/os--volume-1 failed, next attempt in 1s: '
                'HTTP: 503, busy: starting') in debug_log.text
        assert storpool_api.TOKEN not in debug_log.text + repr(api)

    def test_how_long_is_waited_by_default(self):
        made = storpool_utils.StorPoolAPI('sp', 81, 'x')
        assert (made.url, made.timeout, made.transient_retries) == ('sp:81', 300, 5)


class TestForConsumers:

    def test_the_configuration_cinders_tests_take(self):
        assert test_storpool_utils.SP_CONF == {
            'SP_API_HTTP_HOST': '127.0.100.1', 'SP_API_HTTP_PORT': '8080',
            'SP_AUTH_TOKEN': '1234567890123456789', 'SP_OURID': '1'}

    def test_it_needs_no_library_of_tests(self):
        top = pathlib.Path(storpool_utils.__file__).parents[2]
        run = subprocess.run(
            [sys.executable, '-c',
             'import sys\n'
             'for name in ("pytest", "testtools", "ddt", "fixtures", "oslotest", "mock"):\n'
             '    sys.modules[name] = None\n'
             'import os_brick.tests.initiator.test_storpool_utils as found\n'
             'print(found.SP_CONF["SP_OURID"])'],
            env={**os.environ, 'PYTHONPATH': str(top)}, capture_output=True, text=True, check=True)
        assert run.stdout == '1\n'
