# SPDX-License-Identifier: Apache-2.0
"""`os-brick attach` and `detach`, as programs: results, exit codes, secrets, signals."""

import contextlib
import json
import os
import pathlib
import pty
import re
import signal
import subprocess
import sys

import pytest

PROGRAM = pathlib.Path(__file__).with_name('os_brick_as.py')
SECRET = 'pa55w0rd'
VOLUME = {'driver_volume_type': 'lightos', 'data': {'uuid': 'v1', 'auth_password': SECRET}}


@pytest.fixture
def host(tmp_path):
    (tmp_path / 'attached').mkdir()
    (tmp_path / 'volume.json').write_text(json.dumps(VOLUME))
    return tmp_path


def argv(host, *arguments, user=0):
    return [sys.executable, '-W', 'ignore', PROGRAM, str(user), host, *arguments]


def environment():
    """No configuration of whoever runs the tests."""
    return {**os.environ, 'HOME': '/nonexistent', 'PYTHONPATH': os.pathsep.join(filter(None, sys.path))}


def run(host, *arguments, user=0, text=''):
    done = subprocess.run(argv(host, *arguments, user=user), input=text, capture_output=True, text=True,
                          env=environment(), timeout=60)
    assert SECRET not in done.stdout + done.stderr
    return done.returncode, done.stdout, done.stderr


def words(text):
    """The lines of progress without their times."""
    return [re.sub(r'^ *\d+\.\d s  ', '', line) for line in text.splitlines()]


def attached(host):
    return sorted(os.listdir(host / 'attached'))


def test_an_attach_says_what_it_does_and_which_device_it_is(host):
    code, out, err = run(host, 'attach', '--multipath', str(host / 'volume.json'))
    assert (code, words(err)) == (0, ['attaching lightos volume v1', 'login with the password ***'])
    assert out.splitlines() == ['PROPERTY   VALUE', 'multipath  True', f'path       {host}/attached/v1', 'type       block']
    assert attached(host) == ['v1']


def test_json_is_alone_on_stdout_and_is_what_a_detach_takes(host):
    code, out, err = run(host, 'attach', '--json', '-', text=json.dumps(VOLUME))
    assert (code, json.loads(out)) == (0, {'type': 'block', 'path': f'{host}/attached/v1', 'multipath': False})
    assert words(err)[0] == 'attaching lightos volume v1'
    (host / 'device.json').write_text(out)
    code, out, err = run(host, 'detach', '--json', '--device-info', str(host / 'device.json'), str(host / 'volume.json'))
    assert (code, json.loads(out)) == (0, {'volume': 'lightos volume v1', 'paths': []})
    assert words(err) == ['detaching lightos volume v1', f'force False, path {host}/attached/v1']
    assert attached(host) == []


def test_a_second_attach_and_a_second_detach_succeed(host):
    file = str(host / 'volume.json')
    assert run(host, 'attach', file)[0] == 0
    code, _, err = run(host, 'attach', file)
    assert (code, words(err)[1]) == (0, f'it is here already: {host}/attached/v1')
    for _ in range(2):
        code, out, err = run(host, 'detach', '--force', file)
        assert (code, out) == (0, 'lightos volume v1 is detached\n')
        assert words(err) == ['detaching lightos volume v1', 'force True, path None']


def test_the_flat_form_of_the_attachments_api_is_the_same(host):
    flat = {'driver_volume_type': 'LightOS', **VOLUME['data'], 'attachment_id': 'a'}
    assert run(host, 'attach', '-', text=json.dumps(flat))[0] == 0
    assert attached(host) == ['v1']


def test_a_file_of_the_host_is_attached_by_the_real_connector(host):
    file = host / 'disk.img'
    file.touch()
    code, out, _ = run(host, 'attach', '--json', '-', text=json.dumps(
        {'driver_volume_type': 'local', 'data': {'device_path': str(file)}}))
    assert (code, json.loads(out)) == (0, {'type': 'local', 'path': str(file)})


def test_a_failed_attach_is_exit_code_1_without_the_secret(host):
    (host / 'fail').touch()
    code, out, err = run(host, 'attach', str(host / 'volume.json'))
    assert (code, out, words(err)[-1]) == (1, '', 'os-brick: not attached: refused: ***')
    assert attached(host) == []


def test_a_failed_detach_is_exit_code_1_and_4_when_forced(host):
    (host / 'stuck').touch()
    (host / 'attached/v1').touch()
    code, out, err = run(host, 'detach', str(host / 'volume.json'))
    assert (code, out, words(err)[-1]) == (1, '', 'os-brick: not detached: the file is held')
    assert run(host, 'detach', '--force', str(host / 'volume.json'))[0] == 4
    assert attached(host) == ['v1']


@pytest.mark.parametrize('command', ['attach', 'detach'])
def test_others_than_root_are_told_what_to_do(host, command):
    code, out, err = run(host, command, str(host / 'volume.json'), user=1000)
    assert (code, out) == (1, '')
    assert err == (f'os-brick: {command} changes the host and needs root: use sudo, or a --config-file with '
                   'helper_command in [privsep_osbrick]\n')


def test_a_configured_helper_is_started_before_anything_is_touched(host):
    (host / 'os-brick.conf').write_text('[privsep_osbrick]\nhelper_command = false\n')
    code, out, err = run(host, 'attach', '--config-file', str(host / 'os-brick.conf'), str(host / 'volume.json'),
                         user=1000)
    assert (code, out) == (1, '')
    assert err.splitlines()[-1] == \
        'os-brick: the privileged helper does not start: privsep helper command exited non-zero (1)'
    assert attached(host) == []


@pytest.mark.parametrize('text, message', [
    (None, 'configuration: Failed to find some config files: {file}'),
    ('no section', 'configuration: Failed to parse {file}: at {file}:1, No \':\' or \'=\' found in assignment: '
                   '\'no section\''),
])
def test_a_bad_configuration_is_exit_code_2(host, text, message):
    file = host / 'os-brick.conf'
    if text:
        file.write_text(text)
    code, out, err = run(host, 'attach', '--config-file', str(file), str(host / 'volume.json'))
    assert (code, out, err) == (2, '', f'os-brick: {message.format(file=file)}\n')


@contextlib.contextmanager
def waiting(host):
    """An attach in a process group of its own, at the point where it waits for a program."""
    os.mkfifo(host / 'wait')
    with subprocess.Popen(argv(host, 'attach', str(host / 'volume.json')), text=True, process_group=0,
                          env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=1) as process:
        try:
            # Opens when the program has opened its end.
            yield process, open(host / 'wait', 'w')
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def line_with(process, text):
    for line in process.stderr:
        if text in line:
            return line
    raise AssertionError(f'it never said {text}')


@pytest.mark.parametrize('number, name', [
    (signal.SIGINT, 'Ctrl-C'), (signal.SIGTERM, 'SIGTERM'), (signal.SIGHUP, 'SIGHUP')])
def test_a_signal_during_an_attach_leaves_a_clean_host(host, number, name):
    with waiting(host) as (process, pipe):
        # A terminal sends SIGINT to the programs that were started, too; the others go to the process.
        (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
        line_with(process, f'{name}: stopping when the attach has come to its end, then detaching again')
        os.kill(process.pid, number)
        line_with(process, f'{name}: stopping')
        assert attached(host) == ['half']
        pipe.close()
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (128 + number, '')
    assert words(err) == [f'force True, path {host}/attached/v1',
                          f'os-brick: stopped by {name}; the volume is detached again']
    assert attached(host) == []


def test_a_signal_during_an_attach_that_fails(host):
    (host / 'fail').touch()
    with waiting(host) as (process, pipe):
        os.killpg(process.pid, signal.SIGINT)
        line_with(process, 'Ctrl-C: stopping')
        pipe.close()
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert words(err) == ['os-brick: stopped by Ctrl-C; the attach had failed: refused: ***']
    assert attached(host) == []


def test_a_volume_that_was_there_before_is_not_taken_from_its_user(host):
    (host / 'attached/v1').touch()
    with waiting(host) as (process, pipe):
        os.killpg(process.pid, signal.SIGINT)
        assert line_with(process, 'Ctrl-C').endswith('stopping when the attach has come to its end\n')
        pipe.close()
        _, err = process.communicate(timeout=60)
    assert process.returncode == 4
    assert words(err) == [f'os-brick: stopped by Ctrl-C; the volume was here before ({host}/attached/v1) and stays attached']
    assert attached(host) == ['v1']


def test_what_cannot_be_taken_back_is_said(host):
    (host / 'stuck').touch()
    with waiting(host) as (process, pipe):
        os.killpg(process.pid, signal.SIGINT)
        line_with(process, 'Ctrl-C: stopping')
        pipe.close()
        _, err = process.communicate(timeout=60)
    assert process.returncode == 4
    assert words(err)[-1] == \
        'os-brick: stopped by Ctrl-C, and the volume could not be detached again: the file is held'
    assert attached(host) == ['v1']


def test_on_a_terminal_the_progress_moves_and_the_result_is_plain(host):
    ours, its = pty.openpty()
    os.mkfifo(host / 'wait')
    with subprocess.Popen(argv(host, 'attach', str(host / 'volume.json')), text=True, stdout=subprocess.PIPE, stderr=its,
                          env={**environment(), 'TERM': 'xterm', 'COLUMNS': '100'}) as process:
        os.close(its)
        with open(host / 'wait', 'w'):
            seen = b''
            # Two states of the spinner: it is drawn again while the attach waits.
            while len(set(re.findall('[\u2800-\u28ff]', seen.decode('utf-8', 'ignore')))) < 2:
                seen += os.read(ours, 4096)
        out, _ = process.communicate(timeout=60)
        with contextlib.suppress(OSError):
            while more := os.read(ours, 4096):
                seen += more
    os.close(ours)
    shown = seen.decode()
    assert 'attaching lightos volume v1' in shown
    assert 'login with the password ***' in shown
    assert SECRET not in shown
    assert (process.returncode, out.splitlines()[0]) == (0, 'PROPERTY   VALUE')
