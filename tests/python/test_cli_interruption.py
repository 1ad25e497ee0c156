# SPDX-License-Identifier: Apache-2.0
"""Signals that arrive while `os-brick` changes the host."""

import os
import signal
import threading
import time

import pytest

from os_brick.cli.interruption import Interruption


@pytest.fixture(autouse=True)
def followed():
    """Signals are not ignored, also when the tests run in the background."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def main_thread_sleeps():
    """Wait until the main thread has not run for a while."""
    before = None
    while True:
        with open(f'/proc/self/task/{os.getpid()}/status') as file:
            now = [line for line in file if line.startswith(('State', 'voluntary_ctxt'))]
        if now == before and 'S (sleeping)' in now[0]:
            return
        before = now
        time.sleep(0.1)


def test_a_signal_to_another_thread_wakes_the_main_one():
    """The kernel chooses the thread; Python's handlers run on the main one, when it wakes up."""
    told = threading.Event()
    seen = []

    def hear(number):
        seen.append(number)
        told.set()

    def function():
        main_thread_sleeps()
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        assert told.wait(60)
        return 'done'
    with Interruption(hear) as interruption:
        assert interruption.finish(function) == 'done'
        assert interruption.number == signal.SIGTERM
    assert seen == [signal.SIGTERM]


def test_the_first_signal_counts_and_all_are_told():
    seen = []
    with Interruption(seen.append) as interruption:
        assert interruption.number is None
        interruption.finish(lambda: os.kill(os.getpid(), signal.SIGHUP))
        # After the end, before anybody asks.
        os.kill(os.getpid(), signal.SIGTERM)
        assert interruption.number == signal.SIGHUP
    assert seen == [signal.SIGHUP, signal.SIGTERM]


def test_programs_of_the_thread_do_not_see_ctrl_c():
    with Interruption(lambda number: None) as interruption:
        assert signal.SIGINT in interruption.finish(lambda: signal.pthread_sigmask(signal.SIG_BLOCK, set()))
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, set())


def test_an_ignored_signal_stays_ignored():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with Interruption(lambda number: None) as interruption:
        os.kill(os.getpid(), signal.SIGHUP)
        assert interruption.number is None
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_what_was_there_before_comes_back():
    handler, wakeup = signal.getsignal(signal.SIGTERM), signal.set_wakeup_fd(-1)
    with pytest.raises(KeyError), Interruption(lambda number: None) as interruption:
        interruption.finish(lambda: {}['missing'])
    assert signal.getsignal(signal.SIGTERM) is handler
    assert signal.set_wakeup_fd(wakeup) == -1
