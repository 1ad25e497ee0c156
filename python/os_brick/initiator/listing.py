# SPDX-License-Identifier: Apache-2.0
"""The names in a directory of udev's, read again when it has changed.

A host with a thousand volumes has thousands of links in one directory, and reading it takes
the kernel a hundred times as long as telling when it changed.
"""

import os
import time

from os_brick import _engine
from os_brick import _native

#: Seconds after which a further change of a directory has another time: the kernel's clock
#: for files moves on every few milliseconds.
_SETTLED = 1.0

_known: dict[str, tuple[tuple[int, int, int, int], list[str]]] = {}


def entries(directory: str) -> list[str]:
    """Return the full paths of what is in a directory and not hidden, in no order.

    :param directory: it need not exist
    """
    try:
        status = os.stat(directory)
    except OSError:
        return []
    version = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)
    known = _known.get(directory)
    if known and known[0] == version:
        return list(known[1])
    # What appears from here on changes the directory's times, so the list may be newer than
    # its version and never older.
    paths = _native.call(_engine.scsi.entries, directory)
    if abs(time.time() - status.st_mtime) > _SETTLED:
        _known[directory] = (version, paths)
        return list(paths)
    return paths
