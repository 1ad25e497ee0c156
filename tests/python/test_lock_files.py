# SPDX-License-Identifier: Apache-2.0
"""The lock directory and its files (LK-01, LK-02)."""

import os
import stat
import threading

import pytest

from oslo_config import cfg

from os_brick import exception
from os_brick.initiator import lock_files
from os_brick.initiator.connectors import base


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


@pytest.fixture
def directory(tmp_path):
    return tmp_path / 'locks'


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_lk_01_files_are_made_writable_for_everyone_whatever_the_umask(directory, umask):
    assert lock_files.prepare() == str(directory)
    assert {name: oct(mode(directory / name)) for name in os.listdir(directory)} == {
        'os-brick-connect_volume': '0o666', 'os-brick-volumes': '0o666',
        'os-brick-sessions': '0o666'}


def test_existing_files_stay_what_they_are(directory):
    lock_files.prepare()
    before = [os.stat(directory / name).st_ino for name in lock_files.NAMES]
    lock_files.prepare()
    assert [os.stat(directory / name).st_ino for name in lock_files.NAMES] == before


def test_a_file_of_a_stock_os_brick_is_opened_up(directory):
    directory.mkdir()
    (directory / 'os-brick-connect_volume').touch(mode=0o644)
    lock_files.prepare()
    assert mode(directory / 'os-brick-connect_volume') == 0o666


def test_a_foreign_file_is_left_alone(directory, monkeypatch):
    directory.mkdir()
    (directory / 'os-brick-connect_volume').touch(mode=0o644)
    monkeypatch.setattr(os, 'geteuid', lambda: 4711)
    lock_files.prepare()
    assert mode(directory / 'os-brick-connect_volume') == 0o644


def test_many_at_once_make_each_file_once(directory):
    threads = [threading.Thread(target=lock_files.prepare) for _number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(os.listdir(directory)) == sorted(lock_files.NAMES)


def test_a_lost_race_keeps_the_winners_file(directory, monkeypatch):
    directory.mkdir()
    link = os.link

    def beaten(source, target):
        with open(target, 'w') as stream:
            stream.write('winner')
        link(source, target)

    monkeypatch.setattr(os, 'link', beaten)
    lock_files.prepare()
    assert (directory / 'os-brick-volumes').read_text() == 'winner'
    assert sorted(os.listdir(directory)) == sorted(lock_files.NAMES)


def test_no_regular_file_is_refused(directory, tmp_path):
    directory.mkdir()
    (directory / 'os-brick-volumes').symlink_to(tmp_path / 'elsewhere')
    with pytest.raises(exception.BrickException, match='os-brick-volumes is no regular file'):
        lock_files.prepare()
    assert not (tmp_path / 'elsewhere').exists()


class TestLockPath:
    """LK-02."""

    def test_own_option_first(self, configured):
        configured.set_override('lock_path', '/oslo', group='oslo_concurrency')
        configured.set_override('lock_path', '/own', group='os_brick')
        assert lock_files.lock_path() == '/own'

    def test_oslo_with_a_warning(self, configured, caplog):
        configured.set_override('lock_path', None, group='os_brick')
        configured.set_override('lock_path', '/oslo', group='oslo_concurrency')
        assert lock_files.lock_path() == '/oslo'
        assert 'has not called os_brick.setup()' in caplog.text

    def test_none_is_an_error(self, configured):
        configured.set_override('lock_path', None, group='os_brick')
        configured.set_override('lock_path', None, group='oslo_concurrency')
        with pytest.raises(cfg.RequiredOptError, match='lock_path'):
            lock_files.prepare()

    def test_relative_paths_become_absolute(self, configured, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        configured.set_override('lock_path', 'here', group='os_brick')
        assert lock_files.prepare() == str(tmp_path / 'here')


class TestSynchronized:
    """The decorator of connectors written in Python."""

    def test_the_file_is_upstreams(self, directory):
        @base.synchronized('connect_volume', external=True)
        def work(value):
            return value, sorted(os.listdir(directory))

        assert work(1) == (1, ['os-brick-connect_volume'])

    def test_the_path_is_found_at_the_call(self, configured, tmp_path):
        @base.synchronized('extend_volume', external=True)
        def work():
            return os.listdir(tmp_path / 'later')

        configured.set_override('lock_path', str(tmp_path / 'later'), group='os_brick')
        assert work() == ['os-brick-extend_volume']

    def test_it_excludes(self):
        order = []
        inside = threading.Event()
        go_on = threading.Event()

        @base.synchronized('name')
        def first():
            inside.set()
            go_on.wait(5)
            order.append('first')

        @base.synchronized('name')
        def second():
            order.append('second')

        threads = [threading.Thread(target=first), threading.Thread(target=second)]
        threads[0].start()
        inside.wait(5)
        threads[1].start()
        go_on.set()
        for thread in threads:
            thread.join()
        assert order == ['first', 'second']

    def test_not_blocking_gives_up(self):
        @base.synchronized('busy', blocking=False)
        def inner():
            return 'never'

        @base.synchronized('busy')
        def outer():
            return inner()

        assert outer() is None


@pytest.mark.parametrize('name, prefix, file', [
    ('volume_op', 'os-brick-', 'os-brick-volume_op'), ('a/b', 'scaleio', 'scaleio-a_b'),
    ('name', '', 'name'), ('name', None, 'name')])
def test_lk_01_the_file_of_a_lock_of_the_decorator_is_writable_for_everyone(
        directory, umask, name, prefix, file):
    @base.synchronized(name, prefix, external=True)
    def locked():
        return os.listdir(directory)

    assert locked() == [file]
    assert mode(directory / file) == 0o666
