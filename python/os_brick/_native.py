# SPDX-License-Identifier: Apache-2.0
"""Calls into the engine from a process that may run under eventlet.

The engine blocks the operating system's thread it is called on.  In a service whose
threads are eventlet's that would stop the whole service, so there the call moves to a
native thread.  eventlet is looked up among the loaded modules and never brought in.
"""

import _thread
import importlib
import sys
from typing import Any, Callable


def _threads_are_green() -> bool:
    # The function tells the truth also in a privsep daemon forked from such a service:
    # it has put the native one back, while eventlet still believes in its own.
    if 'eventlet' not in sys.modules:
        return False
    return getattr(_thread.start_new_thread, '__module__', '').startswith('eventlet')


def call(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function of the engine and return its result, letting green threads run."""
    if _threads_are_green():
        return importlib.import_module('eventlet.tpool').execute(function, *args)
    return function(*args)
