"""The only waiting of the guest's code: probe until a deadline."""

import time


class Timeout(AssertionError):
    """What was waited for did not happen in time."""


def until(probe, seconds, what='', interval=0.02):
    """The first true answer of probe(); raises Timeout when the deadline passes without one."""
    deadline = time.monotonic() + seconds
    while True:
        answer = probe()
        if answer:
            return answer
        if time.monotonic() >= deadline:
            raise Timeout(f'not within {seconds} s: {what or probe}')
        time.sleep(interval)


def became_true(probe, seconds, interval=0.02):
    """True as soon as probe() is, False when the deadline passes first."""
    try:
        return bool(until(probe, seconds, interval=interval))
    except Timeout:
        return False
