# SPDX-License-Identifier: Apache-2.0
"""Commands and links, also as root.

`execute_root` lets the service run any command as root.  It exists for callers outside
os-brick that pass commands through `execute`; os-brick's own operations cross to root as
typed verbs in the other modules of this package.
"""

import os
import signal
import subprocess
import threading
import time
from typing import Any, Callable, Optional

from oslo_concurrency import processutils as putils
from oslo_log import log as logging
from oslo_utils import strutils

from os_brick import exception
from os_brick import privileged

LOG = logging.getLogger(__name__)

#: Seconds any command may run unless its caller says otherwise.
DEFAULT_TIMEOUT = 600
#: Seconds a command has to follow the signal that asks it to stop, before SIGKILL.
KILL_AFTER = 10


class _Clock:
    """Stops a command that runs too long.  One clock serves all attempts of a command."""

    def __init__(self, cmd: tuple[str, ...], kwargs: dict[str, Any]) -> None:
        """Take the keyword arguments that concern the clock out of `kwargs`."""
        self.cmd = _shown(cmd)
        self.timed_out_pid: Optional[int] = None
        self.timeout = kwargs.pop('timeout', DEFAULT_TIMEOUT)
        self._signal = kwargs.pop('signal', signal.SIGTERM)
        self._raise_timeout = kwargs.pop('raise_timeout',
                                         kwargs.get('check_exit_code', True) is not False)
        self._on_execute: Optional[Callable] = kwargs.pop('on_execute', None)
        self._on_completion: Optional[Callable] = kwargs.pop('on_completion', None)
        self._timers: list[threading.Timer] = []

    def started(self, process: subprocess.Popen) -> None:
        """Start the clock: an attempt has begun."""
        if self._on_execute:
            self._on_execute(process)
        self.timed_out_pid = None
        if self.timeout:
            self._start_timer(self.timeout, self._stop, process)

    def completed(self, process: subprocess.Popen) -> None:
        """Stop the clock: the attempt is over, whatever its outcome."""
        for timer in self._timers:
            timer.cancel()
        self._timers = []
        if process.returncode == 0:
            # It finished by itself at the last moment.
            self.timed_out_pid = None
        if self._on_completion:
            self._on_completion(process)

    def _start_timer(self, seconds: float, function: Callable, *args: Any) -> None:
        timer = threading.Timer(seconds, function, args)
        timer.daemon = True
        self._timers.append(timer)
        timer.start()

    def _stop(self, process: subprocess.Popen) -> None:
        LOG.warning('Stopping %(cmd)s with signal %(signal)s after %(time)ss.',
                    {'signal': self._signal, 'cmd': self.cmd, 'time': self.timeout})
        self.timed_out_pid = process.pid
        self._start_timer(KILL_AFTER, process.kill)
        process.send_signal(self._signal)

    def timeout_result(self) -> tuple[str, str]:
        """Say that the last attempt took too long, as the caller wants to hear it."""
        text = (f'Time out on proc {self.timed_out_pid} after waiting {self.timeout} '
                f'seconds when running {self.cmd}')
        LOG.debug(text)
        if self._raise_timeout:
            raise exception.ExecutionTimeout(stdout='', stderr=text, cmd=self.cmd)
        return '', text


def _shown(cmd: tuple[str, ...]) -> str:
    """Return the command as one line without its secrets."""
    return strutils.mask_password(' '.join(str(word) for word in cmd))


def _execute_with_backoff(cmd: tuple[str, ...], attempts: int, interval: float,
                          backoff_rate: float, kwargs: dict[str, Any]) -> tuple[str, str]:
    """Run a command until it succeeds, at most `attempts` times; see custom_execute."""
    for number in range(1, attempts):
        try:
            return putils.execute(*cmd, **kwargs)
        except (putils.ProcessExecutionError, OSError) as exc:
            wait = max(0, interval * backoff_rate ** number)
            LOG.debug('Attempt %(number)s of %(cmd)s failed, next in %(wait)ss: %(error)s',
                      {'number': number, 'cmd': _shown(cmd), 'wait': wait,
                       'error': strutils.mask_password(str(exc))})
            time.sleep(wait)
    return putils.execute(*cmd, **kwargs)


def custom_execute(*cmd: str, **kwargs: Any) -> tuple[str, str]:
    """Run a command with a time limit and exponential waits between its attempts.

    Everything `oslo_concurrency.processutils.execute` accepts is passed on, and:

    :param timeout: seconds one attempt may take, 600 by default; 0 or None for no limit
    :param signal: what a command that takes longer is sent, SIGTERM by default
    :param raise_timeout: True raises when the last attempt was stopped, False returns an
        empty stdout with the reason as stderr; by default it raises unless
        `check_exit_code` is False
    :param interval: seconds that scale the wait after attempt n, which lasts
        interval * backoff_rate ** n; 1 by default
    :param backoff_rate: see interval; 2 by default
    :param delay_on_retry: when given, oslo's short random waits are used instead
    :returns: stdout and stderr
    :raises ExecutionTimeout: see raise_timeout
    :raises ProcessExecutionError: the exit code is not an accepted one
    """
    clock = _Clock(cmd, kwargs)
    kwargs.update(on_execute=clock.started, on_completion=clock.completed)
    interval = kwargs.pop('interval', 1)
    backoff_rate = kwargs.pop('backoff_rate', 2)
    try:
        if 'delay_on_retry' in kwargs:
            result = putils.execute(*cmd, **kwargs)
        else:
            result = _execute_with_backoff(cmd, kwargs.pop('attempts', 1), interval or 0,
                                           backoff_rate, kwargs)
    except putils.ProcessExecutionError:
        if clock.timed_out_pid is None:
            raise
        return clock.timeout_result()
    if clock.timed_out_pid is not None:
        return clock.timeout_result()
    return result


def execute(*cmd: str, **kwargs: Any) -> tuple[str, str]:
    """Run a command, as root in the privileged process when `run_as_root` is true.

    The default `execute` of every connector.  Takes what `custom_execute` takes; a
    `root_helper` is accepted and not needed.

    :raises ProcessExecutionError: the command failed or could not be started
    """
    run_as_root = kwargs.pop('run_as_root', False)
    kwargs.pop('root_helper', None)
    try:
        return (execute_root if run_as_root else custom_execute)(*cmd, **kwargs)
    except OSError as exc:
        # Callers handle ProcessExecutionError only, whichever way the command was run.
        raise putils.ProcessExecutionError(cmd=_shown(cmd), description=str(exc))


@privileged.default.entrypoint
def execute_root(*cmd: str, **kwargs: Any) -> tuple[str, str]:
    """Run any command as root; see the head of this module."""
    return custom_execute(*cmd, shell=False, run_as_root=False, **kwargs)


@privileged.default.entrypoint
def unlink_root(*links: str, **kwargs: Any) -> None:
    """Remove links as root, stopping at the first error.

    :param no_errors: True removes what can be removed and raises nothing
    :param raise_at_end: True tries every link, then raises one ExceptionChainer
    """
    no_errors = kwargs.get('no_errors', False)
    raise_at_end = kwargs.get('raise_at_end', False)
    exc = exception.ExceptionChainer()
    LOG.debug('Unlinking %s', links)
    for link in links:
        with exc.context(no_errors or raise_at_end, 'Unlink failed for %s', link):
            os.unlink(link)
    if exc and raise_at_end and not no_errors:
        # Only args survive the way back to the caller.
        exc.args = (str(exc),)
        raise exc


@privileged.default.entrypoint
def link_root(target: str, link_name: str, force: bool = True) -> None:
    """Make a symbolic link as root, with its directory if that is missing.

    :param target: what the link points to
    :param link_name: the link's own path
    :param force: True replaces a file or link of that name
    :raises OSError: it could not be made
    """
    LOG.debug('Linking %s -> %s', link_name, target)
    # A host whose first disk this is may not have the directory yet.
    os.makedirs(os.path.dirname(link_name) or '.', mode=0o755, exist_ok=True)
    if force:
        try:
            os.remove(link_name)
        except FileNotFoundError:
            pass
    os.symlink(target, link_name)
