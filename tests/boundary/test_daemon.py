# SPDX-License-Identifier: Apache-2.0
"""What holds in the privileged process, and what comes out of it."""

import os
import stat

import pytest

CONNECT = 'os_brick.privileged.iscsi:connect_volume'
DISCONNECT = 'os_brick.privileged.iscsi:disconnect_volume'
PROBE = 'os_brick.privileged.probe'

SYS_ADMIN, DAC_READ_SEARCH = 21, 2


@pytest.fixture
def facts(service):
    return service.call(f'{PROBE}:facts').value


def test_the_daemon_is_another_process_and_root(service, facts):
    assert facts['pid'] != service.process.pid
    assert facts['uid'] == 0


def test_the_service_is_not_root(service):
    if service.method != 'sudo':
        pytest.skip('root may not mount here (CAP_SYS_ADMIN), so the daemon was forked from root')
    assert service.call('os:geteuid').value == 64123


def test_the_daemon_has_two_capabilities_and_its_programs_have_all(service, facts):
    """Why a system call in place of a command can lose a permission."""
    assert facts['capabilities'] == 1 << SYS_ADMIN | 1 << DAC_READ_SEARCH
    out, _ = service.call('os_brick.privileged.rootwrap:execute_root', 'cat', '/proc/self/status').value
    status = dict(line.split(':\t', 1) for line in out.splitlines() if ':\t' in line)
    assert status['CapEff'] == status['CapBnd']
    assert int(status['CapEff'], 16) > facts['capabilities']


def test_the_daemon_has_no_umask_and_no_directory(facts):
    assert (facts['umask'], facts['cwd']) == (0, '/')


def test_files_the_engine_makes_have_the_modes_it_says(service, settings, refused):
    """LK-01: two services with different users share the lock files, whatever the umask."""
    service.call(CONNECT, refused, settings)
    modes = {entry.name: oct(stat.S_IMODE(entry.stat().st_mode)) for entry in os.scandir(settings['lock_path'])}
    assert modes == {'os-brick-connect_volume': '0o666', 'os-brick-volumes': '0o666'}


def test_px_05_more_calls_than_processors_run_at_once(service, facts):
    assert facts['threads'] == 32
    count = os.cpu_count() + 4
    calls = [service.start(f'{PROBE}:meet', name, count) for name in range(count)]
    assert {call.wait().value for call in calls} == {count}


def test_the_gil_is_free_while_the_engine_waits(service, settings, refused):
    answer = service.call(f'{PROBE}:works_beside_the_engine', refused, settings)
    assert answer.value == {'was_waiting': True, 'went_on': True}


def test_px_08_records_of_the_engine_reach_the_services_log(service, settings, refused):
    answer = service.call(CONNECT, refused, settings)
    warnings = answer.logged('os_brick.engine.iscsi', 'WARNING')
    assert any('127.0.0.1:1' in text and 'connection refused' in text for text in warnings), answer.log


def test_se_05_no_record_holds_the_secret(service, settings, refused):
    answer = service.call(CONNECT, refused, settings)
    assert answer.log
    assert 'not-to-be-seen' not in repr(answer)


def test_an_exception_of_the_engine_arrives_with_its_class_and_text(service, settings, refused):
    answer = service.call(CONNECT, refused, settings)
    assert answer.error == 'os_brick.exception.VolumeDeviceNotFound'
    assert 'BrickException' in answer.ancestors
    assert answer.text.startswith('Volume device not found at . 127.0.0.1:1 iqn.2024-01.org.example:nobody LUN 1: ')
    assert 'connection refused' in answer.text


def test_a_failed_command_arrives_with_all_its_fields(service):
    answer = service.call('os_brick.privileged.rootwrap:execute_root', 'sh', '-c', 'echo out; echo err >&2; exit 3')
    assert answer.error == 'oslo_concurrency.processutils.ProcessExecutionError'
    assert {name: answer.fields[name] for name in ('exit_code', 'stdout', 'stderr')} == {
        'exit_code': '3', 'stdout': "'out\\n'", 'stderr': "'err\\n'"}


def test_a_panic_becomes_an_exception_and_the_caller_goes_on(service):
    """oslo.privsep's worker catches Exception only; PyO3's panic is a BaseException and would be no answer at all."""
    answer = service.call(f'{PROBE}:panics', 'on purpose')
    assert answer.error == 'os_brick.exception.BrickException'
    assert 'on purpose' in answer.text
    assert service.call(f'{PROBE}:facts').value['uid'] == 0


def test_the_privileged_side_checks_again(service, settings, refused):
    """Whoever talks to the daemon past the connectors gets no further than they."""
    answers = {
        'unknown key': service.call(CONNECT, {**refused, 'shell': 'x'}, settings),
        'bad iqn': service.call(CONNECT, {**refused, 'target_iqn': 'iqn.x; reboot'}, settings),
        'bad lock path': service.call(CONNECT, refused, {'lock_path': 'relative'}),
        'bad device': service.call(DISCONNECT, refused, 'sda', settings, False),
    }
    assert {name: answer.error for name, answer in answers.items()} == dict.fromkeys(
        answers, 'os_brick.exception.InvalidParameterValue')
