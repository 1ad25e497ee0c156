# SPDX-License-Identifier: Apache-2.0
"""Sizes as LVM's programs take them, and what mirrors need."""

from collections.abc import Iterable
import math
import re
from typing import Any

from os_brick import exception
from os_brick.i18n import _

_SIZE = re.compile(r'\+?(\d+(?:\.\d+)?)([bskmgtpe]?)', re.IGNORECASE)
# Without a unit LVM takes megabytes; the case of a unit does not matter.
_IN_GIB = {'b': 1 / 1024 ** 3, 's': 512 / 1024 ** 3, 'k': 1 / 1024 ** 2, 'm': 1 / 1024,
           '': 1 / 1024, 'g': 1, 't': 1024, 'p': 1024 ** 2, 'e': 1024 ** 3}
# Regions of the default size are too many for the log of a larger mirror.
_LARGE_MIRROR_TIB = 1.5


def gibibytes(size: Any) -> float:
    """Return a size given as a number with a unit.

    :raises InvalidParameterValue: it is none
    """
    found = _SIZE.fullmatch(size) if isinstance(size, str) else None
    if not found:
        raise exception.InvalidParameterValue(err=_('size %r is no size for LVM') % (size,))
    return float(found[1]) * _IN_GIB[found[2].lower()]


def mirror_options(size: str, mirror_count: int) -> list[str]:
    """Return what lvcreate needs to keep so many copies beside a volume."""
    tebibytes = gibibytes(size) / 1024
    options = ['-m', str(mirror_count), '--nosync', '--mirrorlog', 'mirrored']
    if tebibytes >= _LARGE_MIRROR_TIB:
        options += ['-R', str(2 ** math.ceil(math.log2(tebibytes)))]
    return options


def mirror_free_space(available: Iterable[float], mirror_count: int) -> float:
    """Return what volumes with so many copies can take, each copy on a disk of its own.

    :param available: the free space of each disk
    """
    free = 0.0
    disks = list(available)
    while True:
        disks = sorted((disk for disk in disks if disk > 0.0), reverse=True)
        if len(disks) <= mirror_count:
            return free
        # What the smallest disk has is mirrored on the largest.
        smallest = disks.pop()
        for index in range(mirror_count):
            disks[index] -= smallest
        free += smallest
