# SPDX-License-Identifier: Apache-2.0
"""The verbs of LightOS that need root: the files its discovery client reads.

The client reads a file at the moment it appears and never again, so a file must appear
with all of its content.
"""

import os
import stat
import tempfile

from oslo_log import log as logging

from os_brick import exception
from os_brick import privileged

LOG = logging.getLogger(__name__)

# The client passes over files whose names begin with this.
_TEMPORARY = 'tmp.dc.'
_SUFFIX = '.conf'


def _check(path: str) -> None:
    if not isinstance(path, str) or not os.path.isabs(path) or not path.endswith(_SUFFIX):
        raise exception.InvalidParameterValue(
            err=f'a discovery file must be an absolute path that ends in {_SUFFIX}, not {path!r}')


def _read(path: str) -> bytes:
    """Return the content of a regular file that is no link, whoever owns it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, 'rb') as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise exception.InvalidParameterValue(err=f'{path} is no regular file')
        return stream.read()


@privileged.default.entrypoint
def delete_dsc_file(file_name: str) -> None:
    """Remove a discovery file; one that is not there is fine."""
    _check(file_name)
    try:
        os.unlink(file_name)
    except FileNotFoundError:
        LOG.debug('The discovery file %s is not there', file_name)


@privileged.default.entrypoint
def move_dsc_file(src: str, dst: str) -> str:
    """Put a file of the service where the discovery client finds it, whole or not at all.

    :param src: removed afterwards if that is allowed; in a directory such as /tmp only
        its owner may
    :param dst: replaced if it is there
    :returns: dst
    """
    _check(dst)
    content = _read(src)
    descriptor, temporary = tempfile.mkstemp(prefix=_TEMPORARY, dir=os.path.dirname(dst))
    try:
        with os.fdopen(descriptor, 'wb') as stream:
            stream.write(content)
            stream.flush()
            # An empty file after a power failure would pass for an attached volume.
            os.fsync(descriptor)
        os.rename(temporary, dst)
    except BaseException:
        os.unlink(temporary)
        raise
    try:
        os.unlink(src)
    except OSError as exc:
        LOG.debug('%(src)s is left to its owner: %(error)s', {'src': src, 'error': exc})
    return dst
