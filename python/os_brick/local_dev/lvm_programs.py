# SPDX-License-Identifier: Apache-2.0
"""What is special about LVM's programs: names, crashes, races, and how failures are told."""

from collections.abc import Iterator
import contextlib
import re
from typing import Any, Callable

from oslo_concurrency import processutils as putils
from oslo_log import log as logging

from os_brick import exception
from os_brick import utils
from os_brick.i18n import _

LOG = logging.getLogger(__name__)

# Removal races with udev's own look at the volume.
_RETRY_DEACTIVATION = 'activation { retry_deactivation = 1} '
# A removal that failed may leave a suspended device, and reading that blocks for ever.
_IGNORE_SUSPENDED = 'devices { ignore_suspended_devices = 1}'

_NAME = re.compile(r'[a-zA-Z0-9+_.][a-zA-Z0-9+_.-]*')

#: Calls a function again when a program crashed, which some versions of LVM do while others
#: change the metadata they read.  A segmentation fault is 139 if sudo or a shell tells it, and
#: a negative signal number if the program's own parent does.
retry_crash = utils.retry((139, -11), interval=0.5, backoff_rate=0.5,
                          retry=utils.retry_if_exit_code)


def check_name(kind: str, name: Any) -> None:
    """Refuse what LVM allows in no name, so that nothing is taken for an option or a path.

    :raises InvalidParameterValue: it is no name
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name in ('.', '..'):
        raise exception.InvalidParameterValue(
            err=_('%(kind)s %(name)r is no name for LVM') % {'kind': kind, 'name': name})


def says_not_found(exc: putils.ProcessExecutionError) -> bool:
    """Tell whether a program failed because what it was asked for is not there."""
    text = exc.stderr or ''
    return 'not found' in text or 'Failed to find' in text


@contextlib.contextmanager
def logged(text: str) -> Iterator[None]:
    """Log the failure of a program as an error, and let it go on."""
    try:
        yield
    except putils.ProcessExecutionError as exc:
        LOG.error('%(text)s: %(cmd)s exited with %(code)s: %(stdout)s %(stderr)s',
                  {'text': text, 'cmd': exc.cmd, 'code': exc.exit_code,
                   'stdout': exc.stdout or '', 'stderr': exc.stderr or exc.description or ''})
        raise


def remove_volume(run: Callable[..., Any], path: str) -> None:
    """Remove a volume, once more when udev is done if that fails.

    :param run: runs a program with its arguments
    :raises ProcessExecutionError: it could not be removed
    """
    try:
        run('lvremove', '--config', _RETRY_DEACTIVATION, '-f', path)
        return
    except putils.ProcessExecutionError as exc:
        LOG.debug('Trying %(cmd)s again when udev is done: %(error)s',
                  {'cmd': exc.cmd, 'error': exc.stderr})
        was_there = not says_not_found(exc)
    run('udevadm', 'settle', check_exit_code=False)
    try:
        run('lvremove', '--config', _RETRY_DEACTIVATION + _IGNORE_SUSPENDED, '-f', path)
    except putils.ProcessExecutionError as exc:
        # The first attempt did it, and failed in what comes after.
        if not (was_there and says_not_found(exc)):
            raise
