# SPDX-License-Identifier: Apache-2.0
"""HuaweiStorHyperConnector with a pretended sds_cli: its command line and its answers."""

import os
import subprocess
import sys

import pytest

from oslo_concurrency import processutils as putils

from os_brick import exception
from os_brick.initiator import connector as factory
from os_brick.initiator.connectors import huawei

PROPS = {'volume_id': 'volume-1'}
DEVICE = '/dev/vdxxx'


class Tool:
    """sds_cli and the volumes it knows."""

    def __init__(self, path):
        self.path = str(path)
        path.touch()
        self.attached = set()
        self.ran = []
        self.answers = {}
        self.err = ''

    def execute(self, *cmd, **kwargs):
        program, _c, method, _v, volume = cmd
        assert (program, cmd[1], cmd[3]) == (self.path, '-c', '-v')
        assert kwargs == {'run_as_root': False, 'root_helper': 'sudo'}
        self.ran.append(method)
        answer = getattr(self, method)(volume)
        if method in self.answers:
            answer = self.answers[method]
        if isinstance(answer, Exception):
            raise answer
        return answer, self.err

    def attach(self, volume):
        code = 50151401 if volume in self.attached else 0
        self.attached.add(volume)
        return f'ret_code={code}\nret_desc=success\n'

    def detach(self, volume):
        code = 0 if volume in self.attached else 50155007
        self.attached.discard(volume)
        return f'ret_code={code}\nret_desc=success\n'

    def querydev(self, volume):
        if volume not in self.attached:
            return 'ret_code=50151601\nret_desc=not attached\n'
        return f'[header]\nret_code=0\nret_desc=a=b\ndev_addr={DEVICE}\nother=1\n'


@pytest.fixture
def tool(tmp_path, monkeypatch):
    tool = Tool(tmp_path / 'sds_cli')
    monkeypatch.setenv('HUAWEISDSHYPERVISORCLI_PATH', tool.path)
    return tool


@pytest.fixture
def connector(tool):
    return huawei.HuaweiStorHyperConnector('sudo', execute=tool.execute)


class TestConnect:

    def test_attach_and_ask(self, connector, tool):
        assert connector.connect_volume(PROPS) == {'type': 'block', 'path': DEVICE}
        assert tool.ran == ['attach', 'querydev']

    def test_again(self, connector, tool):
        connector.connect_volume(PROPS)
        assert connector.connect_volume(PROPS)['path'] == DEVICE

    @pytest.mark.parametrize('code', [0, 50151401, 50151405])
    def test_codes_that_mean_attached(self, connector, tool, code):
        tool.answers['attach'] = f'ret_code={code}'
        assert connector.connect_volume(PROPS)['path'] == DEVICE

    @pytest.mark.parametrize('out, code', [
        ('ret_code=50151400\n', '50151400'), ('', 'None'), ('segmentation fault', 'None'),
        ('ret_code=\n', ''), ('ret_code=what', 'what')])
    def test_any_other_answer_is_a_failure(self, connector, tool, out, code):
        tool.answers['attach'] = out
        with pytest.raises(exception.BrickException) as caught:
            connector.connect_volume(PROPS)
        assert str(caught.value) == f'Attach volume failed, error code is {code}'
        assert tool.ran == ['attach']

    @pytest.mark.parametrize('answer', [
        '', 'ret_code=5', 'ret_code=0', putils.ProcessExecutionError('crashed')])
    def test_without_a_device_the_attach_is_undone(self, connector, tool, answer):
        tool.answers['querydev'] = answer
        with pytest.raises(exception.BrickException) as caught:
            connector.connect_volume(PROPS)
        assert str(caught.value) == 'query attached volume failed or volume not attached.'
        assert (tool.ran, tool.attached) == (['attach', 'querydev', 'detach'], set())

    def test_what_was_attached_before_stays(self, connector, tool):
        tool.attached.add('volume-1')
        tool.answers['querydev'] = ''
        with pytest.raises(exception.BrickException):
            connector.connect_volume(PROPS)
        assert tool.attached == {'volume-1'}

    def test_the_first_error_is_raised(self, connector, tool):
        tool.answers = {'querydev': '', 'detach': putils.ProcessExecutionError('also')}
        with pytest.raises(exception.BrickException, match='^query attached volume failed'):
            connector.connect_volume(PROPS)

    def test_carriage_returns_are_no_part_of_the_device(self, connector, tool):
        tool.answers['querydev'] = f'ret_code=0\r\ndev_addr = {DEVICE} \r\n'
        assert connector.connect_volume(PROPS)['path'] == DEVICE

    def test_what_the_tool_logs_is_logged(self, connector, tool, caplog):
        tool.err = 'disk full'
        connector.connect_volume(PROPS)
        assert 'SDS CLI output some log: disk full.' in caplog.text

    @pytest.mark.parametrize('value', [None, '', 5])
    def test_the_volume_id_is_needed(self, connector, tool, value):
        for call in (connector.connect_volume, connector.get_volume_paths,
                     lambda props: connector.disconnect_volume(props, None)):
            with pytest.raises(exception.InvalidParameterValue) as caught:
                call({'volume_id': value})
            assert str(caught.value) == (
                f'connection_properties needs volume_id as a text, not {value!r}')
            with pytest.raises(exception.InvalidParameterValue):
                call(None)
        assert tool.ran == []


class TestDisconnect:

    def test_detach_and_again(self, connector, tool):
        connector.connect_volume(PROPS)
        connector.disconnect_volume(PROPS, {'type': 'block', 'path': DEVICE})
        connector.disconnect_volume(PROPS, None)
        assert tool.attached == set()

    def test_a_service_in_an_odd_state_is_no_failure(self, connector, tool):
        tool.answers['detach'] = 'ret_code=50151209'
        connector.disconnect_volume(PROPS, None)

    @pytest.mark.parametrize('out, code', [('ret_code=7', '7'), ('', 'None')])
    def test_a_failure(self, connector, tool, out, code):
        tool.answers['detach'] = out
        with pytest.raises(exception.BrickException) as caught:
            connector.disconnect_volume(PROPS, None, force=True)
        assert str(caught.value) == f'Disconnect_volume failed, error code is {code}'
        connector.disconnect_volume(PROPS, None, force=True, ignore_errors=True)

    def test_cf_07_arguments(self, connector):
        connector.disconnect_volume(connection_properties=PROPS, device_info=None, force=False,
                                    ignore_errors=False)


class TestRest:

    def test_paths(self, connector, tool):
        with pytest.raises(exception.BrickException, match=r"^Couldn't find a volume\.$"):
            connector.get_volume_paths(PROPS)
        assert connector.is_volume_connected('volume-1') is False
        tool.attached.add('volume-1')
        assert connector.get_volume_paths(PROPS) == [DEVICE]
        assert connector.is_volume_connected('volume-1') is True
        tool.answers['querydev'] = ''
        assert connector.is_volume_connected('volume-1') is False

    def test_the_rest(self, connector):
        assert connector.get_all_available_volumes() == []
        assert connector.get_search_path() is None
        assert huawei.HuaweiStorHyperConnector.get_connector_properties('sudo', host='h') == {}
        with pytest.raises(NotImplementedError):
            connector.extend_volume(PROPS)

    def test_without_the_tool(self, tool, caplog):
        os.unlink(tool.path)
        made = huawei.HuaweiStorHyperConnector('sudo', execute=tool.execute)
        assert (made.iscliexist, huawei.HuaweiStorHyperConnector.iscliexist) == (False, True)
        for call in (made.connect_volume, lambda props: made.disconnect_volume(props, None)):
            with pytest.raises(exception.BrickException) as caught:
                call(PROPS)
            assert str(caught.value) == ("SDS command line doesn't exist, can't execute SDS "
                                         "command.")
        assert 'SDS CLI file not found' in caplog.text

    def test_where_the_tool_is(self, monkeypatch):
        monkeypatch.delenv('HUAWEISDSHYPERVISORCLI_PATH', raising=False)
        assert huawei.HuaweiStorHyperConnector(None).cli_path == '/usr/local/bin/sds/sds_cli'

    def test_lk_01_the_lock_of_all_attaches_is_held(self, connector, tool, tmp_path):
        """Its file is the one of every other transport, and of other services."""
        path, seen = tmp_path / 'locks/os-brick-connect_volume', []
        code = ('import fcntl, sys\n'
                'with open(sys.argv[1], "a") as stream:\n'
                '    fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)\n')
        attach = tool.attach

        def watched(volume):
            seen.append(subprocess.run([sys.executable, '-c', code, str(path)],
                                       stderr=subprocess.DEVNULL).returncode)
            return attach(volume)
        tool.attach = watched
        connector.connect_volume(PROPS)
        assert seen == [1]
        assert path.stat().st_mode & 0o777 == 0o666

    def test_the_factory(self, tool):
        made = factory.InitiatorConnector.factory('HUAWEISDSHYPERVISOR', 'sudo',
                                                  execute=tool.execute)
        assert made.connect_volume(PROPS)['path'] == DEVICE
