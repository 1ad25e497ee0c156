# SPDX-License-Identifier: Apache-2.0
import os
import signal
import time
import types

import pytest

from oslo_concurrency import processutils as putils

from os_brick import exception
from os_brick.privileged import rootwrap


@pytest.fixture
def sleeps(monkeypatch):
    """The waits between attempts, which do not happen."""
    waits = []
    monkeypatch.setattr(rootwrap, 'time', types.SimpleNamespace(sleep=waits.append))
    return waits


def test_output_and_input():
    assert rootwrap.custom_execute('sh', '-c', 'cat; echo err >&2', process_input='in') == (
        'in', 'err\n')


def test_a_bad_exit_code_raises():
    with pytest.raises(putils.ProcessExecutionError) as caught:
        rootwrap.custom_execute('sh', '-c', 'echo no; exit 3')
    assert (caught.value.exit_code, caught.value.stdout) == (3, 'no\n')
    assert rootwrap.custom_execute('sh', '-c', 'exit 3', check_exit_code=[0, 3]) == ('', '')


class TestTimeout:
    """PX-03."""

    def test_it_raises(self):
        start = time.monotonic()
        with pytest.raises(exception.ExecutionTimeout) as caught:
            rootwrap.custom_execute('sleep', '30', timeout=0.2)
        assert time.monotonic() - start < 5
        assert caught.value.stdout == ''
        assert caught.value.cmd == 'sleep 30'
        assert caught.value.stderr.startswith('Time out on proc ')
        assert caught.value.stderr.endswith('0.2 seconds when running sleep 30')

    @pytest.mark.parametrize('kwargs', [
        {'check_exit_code': False}, {'raise_timeout': False},
        {'check_exit_code': [0], 'raise_timeout': False}])
    def test_it_can_be_told_instead(self, kwargs):
        out, err = rootwrap.custom_execute('sleep', '30', timeout=0.2, **kwargs)
        assert out == ''
        assert err.startswith('Time out on proc ')

    def test_an_accepted_exit_code_of_0_still_raises(self):
        with pytest.raises(exception.ExecutionTimeout):
            rootwrap.custom_execute('sleep', '30', timeout=0.2, check_exit_code=0)

    def test_what_ignores_the_signal_is_killed(self, monkeypatch):
        monkeypatch.setattr(rootwrap, 'KILL_AFTER', 0.2)
        with pytest.raises(exception.ExecutionTimeout):
            rootwrap.custom_execute('python3', '-c',
                                    'import signal, time\n'
                                    'signal.signal(signal.SIGTERM, signal.SIG_IGN)\n'
                                    'time.sleep(30)', timeout=1)

    def test_the_signal_is_the_callers(self, tmp_path):
        script = f'trap "echo usr1 > {tmp_path}/got; exit 9" USR1; sleep 0.1; ' \
                 'while :; do sleep 0.05; done'
        with pytest.raises(exception.ExecutionTimeout):
            rootwrap.custom_execute('sh', '-c', script, timeout=0.5, signal=signal.SIGUSR1)
        assert (tmp_path / 'got').read_text() == 'usr1\n'

    def test_a_retry_that_succeeds_is_a_success(self, tmp_path, sleeps):
        script = f'test -e {tmp_path}/x && echo done && exit; : > {tmp_path}/x; exec sleep 30'
        assert rootwrap.custom_execute('sh', '-c', script, timeout=0.4, attempts=2) == (
            'done\n', '')
        assert sleeps == [2]

    def test_se_07_secrets_stay_out(self, debug_log):
        with pytest.raises(exception.ExecutionTimeout) as caught:
            rootwrap.custom_execute('sh', '-c', 'exec sleep 30', '--password', 'hunter2',
                                    timeout=0.2)
        assert '--password' in str(caught.value)
        assert 'hunter2' not in str(caught.value) + repr(caught.value) + debug_log.text


def test_px_04_ten_minutes_by_default(monkeypatch):
    seconds = []

    class Timer:
        def __init__(self, interval, function, args):
            seconds.append(interval)

        def start(self):
            pass

        cancel = start

    monkeypatch.setattr(rootwrap.threading, 'Timer', Timer)
    rootwrap.custom_execute('true')
    rootwrap.custom_execute('true', timeout=0)
    rootwrap.custom_execute('true', timeout=7)
    assert seconds == [600, 7]


@pytest.mark.parametrize('kwargs, waits', [
    ({}, []), ({'attempts': 3}, [2, 4]), ({'attempts': 3, 'interval': 10}, [20, 40]),
    ({'attempts': 4, 'interval': 2, 'backoff_rate': 3}, [6, 18, 54]),
    ({'attempts': 2, 'interval': 0}, [0])])
def test_waits_grow_between_attempts(kwargs, waits, sleeps, tmp_path):
    with pytest.raises(putils.ProcessExecutionError):
        rootwrap.custom_execute('sh', '-c', f'echo x >> {tmp_path}/tries; exit 1', **kwargs)
    assert sleeps == waits
    assert len((tmp_path / 'tries').read_text().split()) == len(waits) + 1


def test_delay_on_retry_leaves_the_waits_to_oslo(sleeps):
    with pytest.raises(putils.ProcessExecutionError):
        rootwrap.custom_execute('false', attempts=2, delay_on_retry=False, interval=10)
    assert sleeps == []


def test_id_32_only_the_last_failure_is_an_error(sleeps, debug_log, tmp_path):
    script = f'echo x >> {tmp_path}/n; test $(wc -l < {tmp_path}/n) -ge 3'
    rootwrap.custom_execute('sh', '-c', script, attempts=3)
    assert [r for r in debug_log.records if r.levelname not in ('DEBUG', 'INFO')] == []


def test_the_callers_hooks_run_on_each_attempt(sleeps):
    seen = []
    with pytest.raises(putils.ProcessExecutionError):
        rootwrap.custom_execute('false', attempts=2,
                                on_execute=lambda proc: seen.append('start'),
                                on_completion=lambda proc: seen.append(proc.returncode))
    assert seen == ['start', 1, 'start', 1]


@pytest.mark.parametrize('as_root', [True, False])
def test_px_02_a_missing_program_is_a_process_execution_error(as_root):
    with pytest.raises(putils.ProcessExecutionError) as caught:
        rootwrap.execute('no-such-program', '--password', 'hunter2', run_as_root=as_root,
                         root_helper='sudo')
    assert 'No such file or directory' in caught.value.description
    assert 'hunter2' not in str(caught.value)


def test_execute_chooses_the_side(monkeypatch):
    calls = []
    monkeypatch.setattr(rootwrap, 'execute_root', lambda *c, **k: calls.append(('root', c, k)))
    monkeypatch.setattr(rootwrap, 'custom_execute', lambda *c, **k: calls.append(('me', c, k)))
    rootwrap.execute('a', run_as_root=True, root_helper='sudo', timeout=5)
    rootwrap.execute('b', root_helper='sudo')
    assert calls == [('root', ('a',), {'timeout': 5}), ('me', ('b',), {})]


class TestLinks:

    def test_link_replaces_and_makes_the_directory(self, tmp_path):
        link = tmp_path / 'by-id' / 'link'
        rootwrap.link_root('/dev/one', str(link))
        rootwrap.link_root('/dev/two', str(link))
        assert os.readlink(link) == '/dev/two'
        with pytest.raises(FileExistsError):
            rootwrap.link_root('/dev/three', str(link), force=False)
        assert os.readlink(link) == '/dev/two'

    def test_unlink_stops_at_the_first_error(self, tmp_path):
        (tmp_path / 'b').touch()
        with pytest.raises(FileNotFoundError):
            rootwrap.unlink_root(str(tmp_path / 'a'), str(tmp_path / 'b'))
        assert (tmp_path / 'b').exists()

    def test_unlink_without_errors(self, tmp_path):
        (tmp_path / 'b').touch()
        rootwrap.unlink_root(str(tmp_path / 'a'), str(tmp_path / 'b'), no_errors=True)
        assert not (tmp_path / 'b').exists()

    def test_unlink_that_raises_at_the_end(self, tmp_path):
        (tmp_path / 'b').touch()
        with pytest.raises(exception.ExceptionChainer) as caught:
            rootwrap.unlink_root(str(tmp_path / 'a'), str(tmp_path / 'b'), raise_at_end=True)
        assert not (tmp_path / 'b').exists()
        assert 'FileNotFoundError' in str(exception.ExceptionChainer(*caught.value.args))
