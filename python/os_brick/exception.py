# SPDX-License-Identifier: Apache-2.0
"""The exceptions os-brick raises.

Callers import them by name and the engine raises these very classes.  An exception that
comes back from the privileged process is rebuilt from its positional arguments, so the
finished text, and never a template, is what `args` holds.
"""

import traceback
from types import TracebackType
from typing import Any, Optional

from oslo_concurrency import processutils as putils
from oslo_log import log as logging

from os_brick.i18n import _

LOG = logging.getLogger(__name__)


class BrickException(Exception):
    """Base of os-brick's exceptions.

    A subclass sets `message` to a %-template that the keyword arguments fill in.  A text
    given by the caller, as `message` or as the keyword `msg`, wins over the template.

    :ivar msg: the finished text
    :ivar kwargs: the keyword arguments, with `code` added
    """

    message = _("An unknown exception occurred.")
    code = 500
    headers: dict = {}
    safe = False

    def __init__(self, message: Any = None, **kwargs: Any) -> None:
        self.kwargs = kwargs
        self.kwargs.setdefault('code', self.code)
        self.msg = message or kwargs.get('msg') or self._from_template()
        super().__init__(self.msg)

    def _from_template(self) -> str:
        try:
            return self.message % self.kwargs
        except Exception:
            # The reason for raising must not be lost because a field was misnamed.
            LOG.exception('The text of %(name)s needs other fields than %(fields)s',
                          {'name': type(self).__name__, 'fields': sorted(self.kwargs)})
            return self.message


class NotFound(BrickException):
    message = _("Resource could not be found.")
    code = 404
    safe = True


class Invalid(BrickException):
    message = _("Unacceptable parameters.")
    code = 400


class InvalidParameterValue(Invalid):
    message = _("%(err)s")


class NoFibreChannelHostsFound(BrickException):
    message = _("We are unable to locate any Fibre Channel devices.")


class NoFibreChannelVolumeDeviceFound(BrickException):
    message = _("Unable to find a Fibre Channel volume device.")


class VolumeNotDeactivated(BrickException):
    message = _("Volume %(name)s was not deactivated in time.")


class VolumeDeviceNotFound(BrickException):
    message = _("Volume device not found at %(device)s.")


class VolumePathsNotFound(BrickException):
    message = _("Could not find any paths for the volume.")


class VolumePathNotRemoved(BrickException):
    message = _("Volume path %(volume_path)s was not removed in time.")


class ProtocolNotSupported(BrickException):
    message = _("Connect to volume via protocol %(protocol)s not supported.")


class TargetPortalNotFound(BrickException):
    message = _("Unable to find target portal %(target_portal)s.")


class TargetPortalsNotFound(TargetPortalNotFound):
    message = _("Unable to find target portal in %(target_portals)s.")


class FailedISCSITargetPortalLogin(BrickException):
    message = _("Unable to login to iSCSI Target Portal")


class BlockDeviceReadOnly(BrickException):
    message = _("Block device %(device)s is Read-Only.")


class VolumeGroupNotFound(BrickException):
    message = _("Unable to find Volume Group: %(vg_name)s")


class VolumeGroupCreationFailed(BrickException):
    message = _("Failed to create Volume Group: %(vg_name)s")


class CommandExecutionFailed(BrickException):
    message = _("Failed to execute command %(cmd)s")


class VolumeDriverException(BrickException):
    message = _("An error occurred while IO to volume %(name)s.")


class InvalidIOHandleObject(BrickException):
    message = _("IO handle of %(protocol)s has wrong object type %(actual_type)s.")


class VolumeEncryptionNotSupported(Invalid):
    message = _("Volume encryption is not supported for %(volume_type)s volume %(volume_id)s.")


class VolumeLocalCacheNotSupported(Invalid):
    message = _("Volume local cache is not supported for %(volume_type)s volume %(volume_id)s.")


class InvalidConnectorProtocol(ValueError):
    """No connector serves this protocol on this architecture.

    A ValueError because that is what callers caught before this class existed.
    """


class MultipathdPathsNotRemoved(BrickException):
    message = _("The following devices %(devices)s are still not removed "
                "from multipathd monitoring")


class ExceptionChainer(BrickException):
    """The exceptions of several steps, to be raised together at the end.

    It is true as soon as it holds an exception, and shows all of them with their
    tracebacks.  `context` makes it a context manager around one step::

        exc = ExceptionChainer()
        with exc.context(force, 'Flushing %s failed', device):
            flush(device)
        if exc:
            raise exc
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._exceptions: list[tuple] = []
        self._repr: Optional[str] = None
        self._catch_exception = False
        self._exc_msg = ''
        self._exc_msg_args: list[Any] = []
        super().__init__(*args, **kwargs)
        # An empty chainer that crossed from the privileged process still has its text.
        self._own_text = str(self.msg) if args else ''

    def __repr__(self) -> str:
        if not self._exceptions:
            return self._own_text
        if self._repr is None:
            blocks = []
            for number, exc_info in enumerate(self._exceptions, start=1):
                trace = ''.join(traceback.format_exception(*exc_info))
                indented = trace.replace('\n', '\n\t')
                blocks.append(f'\nChained Exception #{number}\n\t{indented}')
            self._repr = '\n'.join(blocks)
        return self._repr

    __str__ = __repr__

    def __bool__(self) -> bool:
        return bool(self._exceptions)

    __nonzero__ = __bool__

    def add_exception(self, exc_type: Optional[type[BaseException]],
                      exc_val: Optional[BaseException],
                      exc_tb: Optional[TracebackType]) -> None:
        """Store one exception, given as `sys.exc_info()` gives it."""
        self._repr = None
        self._exceptions.append((exc_type, exc_val, exc_tb))

    def context(self, catch_exception: bool, msg: str = '',
                *msg_args: Any) -> 'ExceptionChainer':
        """Say how the next `with` block treats an exception; it is stored in any case.

        :param catch_exception: True swallows it, False lets it go on
        :param msg: logged as a warning when there is one, %-formatted with `msg_args`
        """
        self._catch_exception = catch_exception
        self._exc_msg = msg
        self._exc_msg_args = list(msg_args)
        return self

    def __enter__(self) -> 'ExceptionChainer':
        return self

    def __exit__(self, exc_type: Optional[type[BaseException]],
                 exc_val: Optional[BaseException],
                 exc_tb: Optional[TracebackType]) -> bool:
        if exc_type is None:
            return False
        self.add_exception(exc_type, exc_val, exc_tb)
        if self._exc_msg:
            LOG.warning(self._exc_msg, *self._exc_msg_args)
        return bool(self._catch_exception)


class ExecutionTimeout(putils.ProcessExecutionError):
    """A command was stopped because it ran longer than it was given."""
