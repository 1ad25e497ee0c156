# SPDX-License-Identifier: Apache-2.0
"""Leftovers are taken away by the daemon, with its few capabilities, and under the locks of everybody on the host.

What is left behind here is the record of an attach that was cut off: it needs nothing of the kernel.
"""

import contextlib
import fcntl
import json
import os
import pathlib
import socket
import time

import pytest

CLEAN = 'os_brick.privileged.inventory:clean'
CONNECT = 'os_brick.privileged.iscsi:connect_volume'
FACTS = 'os_brick.privileged.probe:facts'
IQN = 'iqn.2010-10.org.openstack:silent'


@pytest.fixture
def silent():
    """A portal that takes no connection and refuses none: the kernel's queue for it is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(('127.0.0.1', 0), backlog=0))
        for _ in range(2):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        yield f'127.0.0.1:{listener.getsockname()[1]}'


@pytest.fixture
def records(service):
    return service.directory / f'records-{os.urandom(4).hex()}'


@pytest.fixture
def settings(service, records):
    return {'lock_path': str(service.lock_directory()), 'attachment_record_path': str(records), 'device_scan_attempts': 1}


def eventually(probe):
    end = time.monotonic() + 40
    while not (found := probe()):
        assert time.monotonic() < end, 'it did not come'
        time.sleep(0.01)
    return found


def texts(directory):
    return {path.name: path.read_text() for path in directory.glob('[!.]*')}


@pytest.fixture
def half_done(service, settings, records, silent):
    """The record as it was in the middle of an attach, which came to its end; the place of the record."""
    # The first call starts the daemon, which takes a while.
    service.call(FACTS)
    attach = service.start(CONNECT, {'target_portal': silent, 'target_iqn': IQN, 'target_lun': 1}, settings)
    (name, text), = eventually(lambda: texts(records) if records.exists() else {}).items()
    assert ours(clean(service, settings), records) == [], 'nothing is left behind while the attach is under way'
    assert attach.wait().error == 'os_brick.exception.VolumeDeviceNotFound'
    assert texts(records) == {}
    place = records / name
    place.write_text(text)
    place.chmod(0o600)
    assert json.loads(text)['state'] == 'attaching'
    yield place
    place.unlink(missing_ok=True)


def clean(service, settings, apply=False):
    return service.call(CLEAN, apply, settings['lock_path'], settings['attachment_record_path'])


def ours(answer, records):
    """The outcomes that are about the test's records: the machine may have leftovers of its own."""
    assert answer.error is None, answer
    return [{key: value for key, value in one.items() if key != 'commands'} for one in answer.value['outcomes']
            if one['subject'].startswith(str(records))]


def outcome(place, fate, reason=None):
    return [{'kind': 'half_done', 'subject': str(place), 'fate': fate, 'reason': reason}]


def test_the_daemon_removes_what_is_proven_unused_when_told_to(service, settings, records, half_done):
    looked = clean(service, settings)
    assert (looked.value['applied'], ours(looked, records)) == (False, outcome(half_done, 'would_remove'))
    (commands,) = [one['commands'] for one in looked.value['outcomes'] if one['subject'] == str(half_done)]
    assert commands == (f'rm {half_done}',)
    assert half_done.exists()
    done = clean(service, settings, apply=True)
    assert (done.value['applied'], ours(done, records)) == (True, outcome(half_done, 'removed'))
    assert not half_done.exists()
    assert f'cleaning up {half_done}: Removed, proven unused' in done.logged('os_brick.engine.host', 'INFO')
    assert ours(clean(service, settings, apply=True), records) == []


def open_files(pid):
    found = set()
    for link in pathlib.Path(f'/proc/{pid}/fd').iterdir():
        with contextlib.suppress(OSError):
            found.add(os.readlink(link))
    return found


def test_it_looks_again_when_a_stock_os_brick_lets_go_of_its_lock(service, settings, records, half_done):
    daemon = service.call(FACTS).value['pid']
    lock = os.path.join(settings['lock_path'], 'os-brick-connect_volume')
    with open(lock, 'r+') as file:
        # As oslo's lockutils do it.
        fcntl.lockf(file, fcntl.LOCK_EX)
        cleaning = service.start(CLEAN, True, settings['lock_path'], settings['attachment_record_path'])
        eventually(lambda: lock in open_files(daemon))
        assert half_done.exists()
        half_done.unlink()
    assert ours(cleaning.wait(), records) == outcome(half_done, 'gone', 'it is not as it was any more')


@pytest.mark.parametrize('lock_path', [None, '/nowhere'])
def test_without_the_services_locks_it_is_refused(service, settings, half_done, lock_path):
    answer = service.call(CLEAN, True, lock_path, settings['attachment_record_path'])
    assert (answer.error, answer.text) == (
        'os_brick.exception.InvalidParameterValue',
        'lock_path must be the lock directory of the services, and there is no os-brick-connect_volume in '
        f'{lock_path}')
    assert half_done.exists()


def test_so_is_a_directory_in_which_nobody_locked(service, settings, half_done):
    unused = str(service.lock_directory())
    answer = service.call(CLEAN, True, unused, settings['attachment_record_path'])
    assert answer.error == 'os_brick.exception.InvalidParameterValue'
    assert (os.listdir(unused), half_done.exists()) == ([], True)
