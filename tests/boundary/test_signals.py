# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C while the engine works: its records of the log are where Python runs the handlers of signals."""

import logging
import signal

import pytest
from oslo_concurrency import processutils

from os_brick import exception
from os_brick._engine import test_support


class OnRecord(logging.Handler):
    """Does something at every record of programs that are run."""

    def __init__(self, action):
        super().__init__(logging.DEBUG)
        self.action = action

    def emit(self, record):
        self.action()


@pytest.fixture
def on_record():
    logger, handlers = logging.getLogger('os_brick.engine.host'), []

    def add(action):
        handlers.append(OnRecord(action))
        logger.addHandler(handlers[0])

    level = logger.level
    logger.setLevel(logging.DEBUG)
    yield add
    logger.removeHandler(handlers[0])
    logger.setLevel(level)


def ctrl_c():
    signal.raise_signal(signal.SIGINT)


def answer(*words, **keywords):
    return 'out', 'err'


def test_the_work_comes_to_its_end_and_then_it_is_raised(on_record):
    calls = []
    on_record(ctrl_c)
    with pytest.raises(KeyboardInterrupt) as caught:
        test_support.run(lambda *words, **keywords: calls.append(words), 'secret')
    assert calls == [('iscsiadm', '-v', 'secret')]
    assert caught.value.__context__ is None


def test_it_is_raised_once(on_record):
    interrupts = [ctrl_c]
    on_record(lambda: interrupts.pop()() if interrupts else None)
    with pytest.raises(KeyboardInterrupt):
        test_support.run(answer, 'secret')
    assert test_support.run(answer, 'secret') == ('out', 'err')


def test_the_first_of_two_signals_is_raised(on_record):
    def terminate(number, frame):
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, terminate)
    signals = [signal.SIGINT, signal.SIGTERM]
    on_record(lambda: signal.raise_signal(signals.pop()))
    try:
        with pytest.raises(SystemExit) as caught:
            test_support.run(lambda *words, **keywords: test_support.run(answer, 'other'), 'secret')
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (caught.value.code, signals) == (143, [])


def test_what_failed_meanwhile_is_its_context(on_record):
    def fail(*words, **keywords):
        raise processutils.ProcessExecutionError(exit_code=8, stderr='no')

    on_record(ctrl_c)
    with pytest.raises(KeyboardInterrupt) as caught:
        test_support.run(fail, 'secret')
    assert isinstance(caught.value.__context__, processutils.ProcessExecutionError)
    assert caught.value.__context__.exit_code == 8


def test_it_comes_before_an_exception_of_the_callers_own(on_record):
    def fail(*words, **keywords):
        raise KeyError('of the caller')

    on_record(ctrl_c)
    with pytest.raises(KeyboardInterrupt) as caught:
        test_support.run(fail, 'secret')
    assert isinstance(caught.value.__context__, exception.BrickException)
