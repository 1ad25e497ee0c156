# SPDX-License-Identifier: Apache-2.0
"""The directory of the lock files, and the files in it.

The engine takes the locks.  It often runs as a root without the capability to write other
users' files, so the service makes the files, and makes them writable for everyone: every
service of the host locks the same ones, each as its own user.
"""

import os
import stat
import tempfile

from oslo_concurrency import lockutils  # noqa: F401 registers its lock_path
from oslo_config import cfg
from oslo_log import log as logging

from os_brick import exception

LOG = logging.getLogger(__name__)
CONF = cfg.CONF

PREFIX = 'os-brick-'
#: The file upstream os-brick locks too, then those of the volumes and the sessions.
NAMES = (PREFIX + 'connect_volume', PREFIX + 'volumes', PREFIX + 'sessions')

_MODE = 0o666


def configured_path() -> str:
    """Return the directory as configured now, empty if it is not."""
    return CONF.os_brick.lock_path or CONF.oslo_concurrency.lock_path or ''


def lock_path() -> str:
    """Return the directory of the lock files as configured now.

    :raises oslo_config.cfg.RequiredOptError: neither [os_brick] nor [oslo_concurrency]
        has a lock_path
    """
    path = configured_path()
    if not path:
        raise cfg.RequiredOptError('lock_path', cfg.OptGroup('os_brick'))
    if CONF.os_brick.lock_path:
        return path
    LOG.warning('The service has not called os_brick.setup(); the lock files of os-brick '
                'are expected in the lock_path of [oslo_concurrency], %s', path)
    return path


def prepare() -> str:
    """Make the lock files that are missing and return their absolute directory.

    :raises oslo_config.cfg.RequiredOptError: see `lock_path`
    :raises OSError: a file cannot be made
    """
    directory = os.path.abspath(lock_path())
    for name in NAMES:
        ensure(directory, name)
    return directory


def prepare_file(name: str) -> str:
    """Make one lock file if it is missing and return its absolute directory.

    :raises oslo_config.cfg.RequiredOptError: see `lock_path`
    :raises OSError: the file cannot be made
    """
    directory = os.path.abspath(lock_path())
    ensure(directory, name)
    return directory


def name_of(lock: str, prefix: str) -> str:
    """Return the name oslo.concurrency gives the file of a lock."""
    separator = '-' if prefix and not prefix.endswith('-') else ''
    return f'{prefix or ""}{separator}{lock.replace(os.sep, "_")}'


def ensure(directory: str, name: str) -> None:
    """Make a lock file that every user can open, if it is missing.

    :raises OSError: it cannot be made
    """
    os.makedirs(directory, exist_ok=True)
    _ensure(directory, name)


def _ensure(directory: str, name: str) -> None:
    path = os.path.join(directory, name)
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        _create(directory, name, path)
        return
    if not stat.S_ISREG(status.st_mode):
        raise exception.BrickException(f'the lock file {path} is no regular file')
    if status.st_mode & _MODE != _MODE and os.geteuid() in (0, status.st_uid):
        # Made by a stock os-brick under the usual umask.
        os.chmod(path, _MODE)


def _create(directory: str, name: str, path: str) -> None:
    # The file gets its mode before it gets its name, so nobody ever meets it with the
    # mode the umask leaves.  It is closed before, too: closing any descriptor of a file
    # drops the POSIX locks other threads of this process hold on it.
    descriptor, temporary = tempfile.mkstemp(prefix=f'.{name}-', dir=directory)
    try:
        os.fchmod(descriptor, _MODE)
        os.close(descriptor)
        os.link(temporary, path)
    except FileExistsError:
        LOG.debug('Another process made the lock file %s', path)
    finally:
        os.unlink(temporary)
