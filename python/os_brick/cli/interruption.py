# SPDX-License-Identifier: Apache-2.0
"""Signals that arrive while the host is changed: they are remembered, and what is under way comes to its end.

An exception in the middle of an attach would leave half of it behind.  The operation runs on a thread of its own, with
SIGINT blocked: so do the programs it starts, which a terminal's Ctrl-C would end otherwise.
"""

import signal
import socket
import threading
from typing import Any, Callable, Optional

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: What the thread says when it has come to its end; no signal has this number.
_DONE = 0


class Interruption:
    """A `with` block in which signals are remembered instead of followed."""

    def __init__(self, told: Callable[[int], None]) -> None:
        """Take what to call when a signal has arrived, on the main thread."""
        self._number: Optional[int] = None
        self._told = told
        self._before: dict[int, Any] = {}
        # Numbers of signals, and _DONE.  Python runs its handlers when the main thread wakes up, and a signal that came
        # a moment before it fell asleep, or to another thread, does not wake it.  A byte in a socket does.
        self._numbers, self._arriving = socket.socketpair()
        self._arriving.setblocking(False)
        self._wakeup = -1

    def __enter__(self) -> 'Interruption':
        self._wakeup = signal.set_wakeup_fd(self._arriving.fileno(), warn_on_full_buffer=False)
        for number in _SIGNALS:
            # nohup means what it says.
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, lambda number, frame: None)
        return self

    def __exit__(self, *exc: Any) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        self._numbers.close()
        self._arriving.close()

    @property
    def number(self) -> Optional[int]:
        """The first signal that arrived."""
        try:
            # Those that came when the function had just ended.
            for number in self._numbers.recv(4096, socket.MSG_DONTWAIT):
                self._note(number)
        except BlockingIOError:
            pass
        return self._number

    def _note(self, number: int) -> None:
        # The host process may handle other signals as well.
        if number in self._before:
            self._number = self._number or number
            self._told(number)

    def finish(self, function: Callable[[], Any]) -> Any:
        """Call a function to its end, whatever arrives, and return its result."""
        outcome: list[Any] = []
        failure: list[BaseException] = []

        def body() -> None:
            try:
                outcome.append(function())
            except BaseException as exc:
                failure.append(exc)
            finally:
                self._arriving.send(bytes([_DONE]))

        thread = threading.Thread(target=body, name='os-brick')
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            thread.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        while (number := self._numbers.recv(1)[0]) != _DONE:
            self._note(number)
        thread.join()
        if failure:
            raise failure[0]
        return outcome[0]
