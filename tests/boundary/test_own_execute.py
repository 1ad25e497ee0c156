# SPDX-License-Identifier: Apache-2.0
"""A caller's own `execute=`: what the engine calls it with, and what becomes of its answers and exceptions.

The engine runs in this process, as it does for such a caller; nothing on the host is touched.
"""

import subprocess

import pytest
from oslo_concurrency import processutils

from os_brick import exception
from os_brick._engine import test_support
from os_brick.initiator.connectors import iscsi
from os_brick.initiator import lock_files

SECRET = 'not-to-be-seen'
PROPERTIES = {'target_portal': '127.0.0.1:1', 'target_iqn': 'iqn.2024-01.org.example:nobody', 'target_lun': 1,
              'auth_method': 'CHAP', 'auth_username': 'user', 'auth_password': SECRET}
NODE = ('iscsiadm', '-m', 'node', '-T', 'iqn.2024-01.org.example:nobody', '-p', '127.0.0.1:1')


class Callable:
    """Notes its calls; answers with what it was made with, or raises it."""

    def __init__(self, answer=('', '')):
        self.calls, self.answer = [], answer

    def __call__(self, *words, **keywords):
        self.calls.append((words, keywords))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def failed(code, **texts):
    return processutils.ProcessExecutionError(exit_code=code, cmd=f'iscsiadm -v {SECRET}', **texts)


def test_px_10_the_keywords_of_a_command():
    execute = Callable(('out', 'err'))
    assert test_support.run(execute, SECRET) == ('out', 'err')
    assert execute.calls == [(('iscsiadm', '-v', SECRET),
                              {'run_as_root': True, 'check_exit_code': [0, 21], 'timeout': 7})]


def test_px_10_a_write_is_tee_with_its_input():
    execute = Callable()
    test_support.write(execute, '/sys/class/scsi_host/host2/scan', '0 0 1')
    assert execute.calls == [(('tee', '-a', '/sys/class/scsi_host/host2/scan'),
                              {'run_as_root': True, 'check_exit_code': [0], 'timeout': 60, 'process_input': '0 0 1'})]


@pytest.mark.parametrize('answer, outputs', [
    (None, ('', '')), ((b'out\xff', None), ('out\ufffd', '')), (['out', 'err'], ('out', 'err'))])
def test_what_callables_answer(answer, outputs):
    assert test_support.run(Callable(answer), SECRET) == outputs


def test_se_07_a_failed_command_keeps_its_code_and_loses_its_secret():
    error = failed(24, stdout=f'out {SECRET}', stderr=f'err {SECRET}')
    with pytest.raises(processutils.ProcessExecutionError) as caught:
        test_support.run(Callable(error), SECRET)
    raised = caught.value
    assert (raised.exit_code, raised.cmd, raised.stdout, raised.stderr) == (
        24, 'iscsiadm -v ***', 'out ***', 'err ***')
    assert SECRET not in str(raised) + repr(raised.args)


@pytest.mark.parametrize('error', [
    exception.ExecutionTimeout(cmd='iscsiadm'), subprocess.TimeoutExpired(['iscsiadm', '-v', SECRET], 7)])
def test_px_03_a_callable_that_gave_up_is_a_timeout(error):
    with pytest.raises(exception.ExecutionTimeout) as caught:
        test_support.run(Callable(error), SECRET)
    assert SECRET not in str(caught.value)


def test_another_exception_is_the_callers_own():
    error = KeyError('of the caller')
    with pytest.raises(KeyError) as caught:
        test_support.run(Callable(error), SECRET)
    assert caught.value is error


@pytest.fixture
def locks(tmp_path, monkeypatch):
    monkeypatch.setattr(lock_files, 'lock_path', lambda: str(tmp_path))


def test_px_10_an_attach_gives_every_command_to_the_callable(locks):
    """And takes back what it made, when the login fails."""
    class Host(Callable):
        def __call__(self, *words, **keywords):
            super().__call__(*words, **keywords)
            if words[-1] == '--login':
                raise failed(8, stderr='iscsiadm: connection timed out')
            return '', ''

    execute = Host()
    connector = iscsi.ISCSIConnector('sudo-of-the-caller', execute=execute)
    with pytest.raises(exception.VolumeDeviceNotFound, match='connection timed out') as caught:
        connector.connect_volume(PROPERTIES)
    assert [words for words, _ in execute.calls] == [
        NODE, (*NODE, '--interface', 'default', '--op', 'new'),
        (*NODE, '--op', 'update', '-n', 'node.session.scan', '-v', 'manual', '-n', 'node.startup', '-v', 'automatic',
         '-n', 'node.session.auth.authmethod', '-v', 'CHAP', '-n', 'node.session.auth.username', '-v', 'user',
         '-n', 'node.session.auth.password', '-v', SECRET),
        (*NODE, '--login'), (*NODE, '--op', 'delete')]
    for _, keywords in execute.calls:
        assert keywords['run_as_root'] is True
        assert keywords['root_helper'] == 'sudo-of-the-caller'
        assert keywords['timeout'] >= 1
        assert isinstance(keywords['check_exit_code'], list)
    assert SECRET not in str(caught.value)


def test_se_05_a_callable_that_tells_the_command_line_puts_no_secret_in_the_log(locks, caplog):
    class Talkative(Callable):
        def __call__(self, *words, **keywords):
            if SECRET in words:
                raise RuntimeError(f'{words} failed')
            return '', ''

    caplog.set_level('DEBUG')
    connector = iscsi.ISCSIConnector(None, execute=Talkative())
    with pytest.raises(RuntimeError):
        connector.connect_volume(PROPERTIES)
    of_engine = [record.getMessage() for record in caplog.records if record.name.startswith('os_brick.engine')]
    assert any('node.session.auth.password' in text for text in of_engine)
    assert SECRET not in ' '.join(of_engine)
