# SPDX-License-Identifier: Apache-2.0
"""The commands, through the program `cinder` in a process of its own."""

import importlib
import os
import pathlib
import re
import signal
import subprocess
import sys

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(__file__).with_name('cinder_as.py')


@pytest.fixture
def start(cinder, tmp_path):
    """Starts `cinder` against the small one."""
    def start(*arguments, user=0):
        environment = dict(os.environ, OSLO_LOCK_PATH=str(tmp_path / 'locks'), PYTHONWARNINGS='ignore',
                           PYTHONPATH=os.pathsep.join(path for path in sys.path if path))
        return subprocess.Popen(
            [sys.executable, PROGRAM, str(user), '--os-auth-type', 'noauth', '--os-endpoint', cinder.endpoint,
             '--os-project-id', 'project', *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, stdin=subprocess.DEVNULL,
            # Whoever runs the tests in the background of a shell has it ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    return start


def finish(process):
    """(status, output, errors)."""
    with process:
        output, errors = process.communicate(timeout=100)
    return process.returncode, output, errors


@pytest.fixture
def run(start):
    return lambda *arguments, user=0: finish(start(*arguments, user=user))


def test_attach_prints_a_table_and_detach_ends_it(run, cinder, volume):
    status, table, errors = run('local-attach', '--multipath', 'False', '--mode', 'ro', 'data')
    assert status == 0, errors
    assert re.findall(r'^\| (\w+) +\| (\S+) +\|$', table, re.M) == [
        ('Property', 'Value'), ('path', volume['path']), ('type', 'local')]
    attachment, = cinder.of(volume)
    assert attachment['connector']['multipath'] is False
    status, _, errors = run('local-detach', '--attachment-id', attachment['id'], '--device-info', '{"type": "local"}',
                            '--enforce_multipath', 'no', 'data')
    assert (status, volume['status'], cinder.of(volume)) == (0, 'available', []), errors


@pytest.mark.parametrize('number, status', [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize('step', ['create', 'update', 'complete'])
def test_a_signal_at_any_step_leaves_nothing(start, cinder, volume, step, number, status):
    cinder.reached[f'after {step}'] = lambda: process.send_signal(number)
    process = start('local-attach', 'data')
    ended, table, errors = finish(process)
    assert (ended, table, volume['status'], cinder.of(volume), cinder.exports) == (status, '', 'available', [], set()), \
        errors


@pytest.mark.parametrize('arguments, user, words', [
    (['local-attach', 'data'], 1000, 'This command requires root permissions.'),
    (['local-attach', '--multipath', 'perhaps', 'data'], 0, "multipath is True or False, not 'perhaps'"),
    (['local-detach', '--device_info', '[]', 'data'], 0, '--device-info is no JSON object'),
    (['local-attach', 'none'], 0, "No volume with a name or ID of 'none' exists."),
])
def test_what_is_refused(run, volume, arguments, user, words):
    status, _, errors = run(*arguments, user=user)
    assert status == 1
    assert f'ERROR: {words}' in errors
    assert volume['status'] == 'available'


def test_every_option_has_both_spellings():
    import brick_cinderclient_ext as commands
    names = {name for command in (commands.do_local_attach, commands.do_local_detach)
             for arguments, _ in command.arguments for name in arguments}
    assert names == {'identifier', '--hostname', '--mountpoint', '--mode', '--multipath', '--enforce-multipath',
                     '--enforce_multipath', '--nic', '--attachment-id', '--attachment_id', '--attachment-uuid',
                     '--attachment_uuid', '--device-info', '--device_info'}


def test_what_cinderclient_had_elsewhere_before_9_3(monkeypatch, capsys):
    from cinderclient import shell_utils
    from cinderclient import utils
    import brick_cinderclient_ext as commands
    with monkeypatch.context() as older:
        older.setattr(utils, 'print_dict', shell_utils.print_dict, raising=False)
        older.delattr(shell_utils, 'print_dict')
        importlib.reload(commands)
        commands._print_dict({'path': '/dev/sda'})
        assert '| path     | /dev/sda |' in capsys.readouterr().out
    importlib.reload(commands)
