# SPDX-License-Identifier: Apache-2.0
"""Questions about one block device that only root may ask."""

import os
from typing import Optional

from os_brick import privileged

#: Bytes that prove a device readable: one sector.
_SECTOR = 512


@privileged.default.entrypoint
def read_error(path: str) -> Optional[str]:
    """Read the first sector of a device and return why that failed, or None."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (OSError, ValueError) as exc:
        return str(exc)
    try:
        os.read(descriptor, _SECTOR)
    except OSError as exc:
        return str(exc)
    finally:
        os.close(descriptor)
    return None


@privileged.default.entrypoint
def size(path: str) -> int:
    """Return the size of a device in bytes.

    :raises OSError: it cannot be opened
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.lseek(descriptor, 0, os.SEEK_END)
    finally:
        os.close(descriptor)
