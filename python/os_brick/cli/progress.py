# SPDX-License-Identifier: Apache-2.0
"""What is seen while an operation runs, on stderr: a moving line on a terminal, plain lines elsewhere.

What the operation logs is what there is to see; it takes the way of the log, also out of the privileged process.
"""

import contextlib
import logging
import sys
import time
from typing import Callable, Iterator

from os_brick.cli import output

Say = Callable[[str], None]


class _Listener(logging.Handler):
    """Hands what os-brick logs to `say`."""

    def __init__(self, say: Say) -> None:
        super().__init__(logging.INFO)
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(Exception):
            self._say(record.getMessage())


def _plain(start: float) -> Say:
    def say(text: str) -> None:
        # The terminal may be gone; what is under way goes on.
        with contextlib.suppress(OSError, ValueError):
            print(f'{time.monotonic() - start:6.1f} s  {output.printable(text)}', file=sys.stderr, flush=True)
    return say


@contextlib.contextmanager
def _moving(title: str) -> Iterator[Say]:
    """Show a spinner with the time and the last words, and the words above it.

    :raises ImportError: rich is not installed
    """
    from rich import console
    from rich import progress
    start = time.monotonic()
    screen = console.Console(stderr=True, highlight=False, markup=False, emoji=False)
    columns = (progress.SpinnerColumn(), progress.TextColumn('{task.description}', markup=False),
               progress.TimeElapsedColumn())
    with progress.Progress(*columns, console=screen, transient=True) as bar:
        bar.add_task(output.printable(title), total=None)

        def say(text: str) -> None:
            with contextlib.suppress(OSError, ValueError):
                bar.console.print(f'{time.monotonic() - start:6.1f} s  {output.printable(text)}', soft_wrap=True)
        yield say


@contextlib.contextmanager
def shown(title: str, plain: bool, hide: Callable[[str], str]) -> Iterator[Say]:
    """Show what happens until the end of the block.

    :param title: what is under way
    :param plain: no moving line, not even on a terminal
    :param hide: takes secrets out of a text
    :returns: says a line
    """
    with contextlib.ExitStack() as stack:
        say = None
        if not plain and sys.stderr.isatty():
            with contextlib.suppress(ImportError):
                say = stack.enter_context(_moving(title))
        if say is None:
            say = _plain(time.monotonic())
            say(title)
        words = say
        listener = _Listener(lambda text: words(hide(text)))
        logger = logging.getLogger('os_brick')
        level, propagate = logger.level, logger.propagate
        logger.addHandler(listener)
        logger.setLevel(min(logging.INFO, logger.level or logging.INFO))
        # Without a handler above, Python would print warnings a second time.
        logger.propagate = bool(logging.getLogger().handlers)
        try:
            yield lambda text: words(hide(text))
        finally:
            logger.removeHandler(listener)
            logger.setLevel(level)
            logger.propagate = propagate
