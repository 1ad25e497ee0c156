# SPDX-License-Identifier: Apache-2.0
"""Undoes the steps that were done when a later one fails or is interrupted."""

import logging
from typing import Any, Callable

from cinderclient import exceptions

LOG = logging.getLogger(__name__)


def refused(error: BaseException) -> bool:
    """Tell whether Cinder answered that it did not do what was asked.

    An interruption or a lost connection leaves open whether it did.
    """
    return isinstance(error, exceptions.ClientException) and error.code < 500


class Rollback:
    """A `with` block whose steps are undone, last first, when it ends with an exception.

    That exception is the one raised; what goes wrong while undoing is logged.
    """

    def __init__(self) -> None:
        """Begin with nothing to undo."""
        self._steps: list[tuple[str, Callable[[], Any], bool]] = []

    def add(self, what: str, undo: Callable[[], Any], host: bool = False) -> None:
        """Remember how to undo a step.

        :param what: completes "could not ..."
        :param host: without its success nothing before it is undone: a backend that ends an
            export may give its LUN to another volume, while this host still has the device
        """
        self._steps.append((what, undo, host))

    def drop(self) -> None:
        """Forget the step added last."""
        self._steps.pop()

    def __enter__(self) -> 'Rollback':
        return self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if kind is None:
            return
        while self._steps:
            what, undo, host = self._steps.pop()
            try:
                undo()
            except BaseException as failure:
                # Also a second Ctrl-C: it ends this step, not all of them.
                LOG.error('could not %s: %s', what, failure or type(failure).__name__)
                if host:
                    LOG.error('the attachment is kept; detach the volume when the host is ready')
                    return
