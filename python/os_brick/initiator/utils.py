# SPDX-License-Identifier: Apache-2.0
"""The lock around attaches of volumes whose targets several volumes share."""

import contextlib
import functools
import os
from collections.abc import Iterator
from typing import Any

from oslo_concurrency import lockutils

_ISCSIADM = '/sbin/iscsiadm'
_MANUAL_SCAN = b'node.session.scan'


@functools.lru_cache(maxsize=1)
def _mentions_manual_scan(path: str, *identity: int) -> bool:
    with open(path, 'rb') as stream:
        return _MANUAL_SCAN in stream.read()


def check_manual_scan() -> bool:
    """Tell whether the installed iscsiadm can leave scanning for LUNs to us.

    The program is read again when it has been replaced, so an upgrade needs no restart.
    """
    try:
        status = os.stat(_ISCSIADM)
        return _mentions_manual_scan(_ISCSIADM, status.st_dev, status.st_ino,
                                     status.st_size, status.st_mtime_ns)
    except OSError:
        return False


def __getattr__(name: str) -> Any:
    # Worked out when asked for: importing must not read files.  Whoever assigns the
    # attribute decides; guard_connection looks at it first.
    if name == 'ISCSI_SUPPORTS_MANUAL_SCAN':
        return check_manual_scan()
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def _supports_manual_scan() -> bool:
    try:
        return globals()['ISCSI_SUPPORTS_MANUAL_SCAN']
    except KeyError:
        return check_manual_scan()


@contextlib.contextmanager
def guard_connection(device: Any) -> Iterator[None]:
    """Hold off other attaches to the same backend where scans could meet.

    A backend that shares targets between volumes offers all of their LUNs to a scan.

    :param device: the volume, a dictionary or an object with item access.  Its
        `shared_targets` decides: True locks unless iscsiadm scans for single LUNs only,
        None always locks, False or a missing one never does.  `service_uuid` names the
        lock, a file `os-brick-<service_uuid>` in oslo.concurrency's lock_path.
    """
    shared = device.get('shared_targets', False)
    if shared is None or (shared is not False and not _supports_manual_scan()):
        with lockutils.lock(device['service_uuid'], 'os-brick-', external=True):
            yield
    else:
        yield
