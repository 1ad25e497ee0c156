# SPDX-License-Identifier: Apache-2.0
"""How connectors run commands: os-brick's own way or a callable the caller brings.

Also a thread that keeps the caller's request context.
"""

import inspect
import threading
from typing import Any, Callable, Optional

from oslo_concurrency import processutils as putils
from oslo_context import context as context_utils

from os_brick.privileged import rootwrap as priv_rootwrap

Execute = Callable[..., tuple[str, str]]


def _takes(function: Execute, name: str) -> bool:
    """Tell whether a callable takes a keyword argument, as far as it can be seen."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    return any(parameter.kind is parameter.VAR_KEYWORD or parameter.name == name
               for parameter in parameters)


class Executor:
    """Holds the root helper and the callable that runs commands."""

    def __init__(self, root_helper: Optional[str], execute: Optional[Execute] = None,
                 *args: Any, **kwargs: Any) -> None:
        """Take the caller's choices; further arguments are ignored.

        :param root_helper: command prefix that gives root, for callables that want one
        :param execute: the caller's own callable, with the keyword arguments of
            `os_brick.privileged.rootwrap.execute`; None for that function itself
        """
        self.set_execute(execute)
        self.set_root_helper(root_helper)

    @staticmethod
    def safe_decode(string: Any) -> Any:
        """Turn command output into text, dropping what is not UTF-8.

        :param string: bytes, str or an empty value; anything else comes back unchanged
        """
        if isinstance(string, str):
            # processutils keeps foreign bytes as lone surrogates, which no log can print.
            string = string.encode('utf-8', errors='ignore')
        if isinstance(string, bytes):
            return string.decode('utf-8', errors='ignore')
        return string

    @classmethod
    def make_putils_error_safe(cls, exc: putils.ProcessExecutionError) -> None:
        """Make every text of `exc` printable, in place."""
        for field in ('stderr', 'stdout', 'cmd', 'description'):
            value = getattr(exc, field, None)
            if value:
                setattr(exc, field, cls.safe_decode(value))

    def _execute(self, *args: Any, **kwargs: Any) -> tuple[str, str]:
        """Run a command and return its decoded (stdout, stderr).

        :raises ProcessExecutionError: with printable texts
        """
        try:
            result = self.__execute(*args, **kwargs)
        except putils.ProcessExecutionError as exc:
            self.make_putils_error_safe(exc)
            raise
        if not result:
            return result
        return self.safe_decode(result[0]), self.safe_decode(result[1])

    def _injected_execute(self) -> Optional[Execute]:
        """Return what the engine must run commands with, or None for its own runner.

        It is set only when the caller brought a callable.  The engine knows no root
        helper, so the one of this object is added to every call.  It gives each command
        a timeout, which a callable that takes none is spared.
        """
        if self.__execute is priv_rootwrap.execute:
            return None
        takes_timeout = _takes(self.__execute, 'timeout')

        def execute(*cmd: str, **kwargs: Any) -> tuple[str, str]:
            kwargs.setdefault('root_helper', self._root_helper)
            if not takes_timeout:
                kwargs.pop('timeout', None)
            return self._execute(*cmd, **kwargs)

        return execute

    def set_execute(self, execute: Optional[Execute]) -> None:
        """Run commands with `execute` from now on; None brings back the default."""
        self.__execute = priv_rootwrap.execute if execute is None else execute

    def set_root_helper(self, helper: Optional[str]) -> None:
        """Set the command prefix passed to `execute` as `root_helper`."""
        self._root_helper = helper


class Thread(threading.Thread):
    """A thread whose log records carry the request context of the thread that made it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.__context__ = context_utils.get_current()
        super().__init__(*args, **kwargs)

    def run(self) -> None:
        """Make the remembered context current, then run the target."""
        if self.__context__:
            self.__context__.update_store()
        super().run()
