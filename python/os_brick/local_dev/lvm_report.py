# SPDX-License-Identifier: Apache-2.0
"""What lvs, vgs, pvs and lvdisplay are asked, and what their answers mean.

Each function gets the way to run the program, so that an object asks with its own settings.
"""

import re
from typing import Any, Callable, Optional

from oslo_concurrency import processutils as putils
from oslo_log import log as logging

from os_brick import exception
from os_brick.local_dev import lvm_programs

LOG = logging.getLogger(__name__)

#: Runs a program with its arguments and returns its (stdout, stderr).
Query = Callable[[list[str]], tuple[str, str]]

_VERSION = re.compile(r'LVM version:?\s+(\d+)\.(\d+)\.(\d+)')


def number(text: str) -> float:
    """Return a size of a report, which may carry its unit."""
    return float(text if text[-1].isdigit() else text[:-1])


def version(query: Query) -> tuple[int, ...]:
    """Return the version of LVM.

    :raises BrickException: it is not in the answer
    """
    out, _err = query(['vgs', '--version'])
    found = _VERSION.search(out or '')
    if not found:
        raise exception.BrickException('Cannot parse LVM version')
    return tuple(int(part) for part in found.groups())


def group_field(query: Query, field: str, vg_name: str) -> list[str]:
    """Return one field of a volume group; nothing if there is no such group."""
    try:
        out, _err = query(['vgs', '--noheadings', '-o', field, '--readonly', vg_name])
    except putils.ProcessExecutionError as exc:
        if not lvm_programs.says_not_found(exc):
            raise
        return []
    return (out or '').split()


def volume_groups(query: Query, vg_name: Optional[str] = None) -> list[dict[str, Any]]:
    """Return all volume groups or one.

    :raises ProcessExecutionError: the one asked for does not exist
    """
    command = ['vgs', '--noheadings', '--unit=g', '-o', 'name,size,free,lv_count,uuid',
               '--separator', ':', '--nosuffix', '--readonly']
    if vg_name is not None:
        lvm_programs.check_name('volume group', vg_name)
        command.append(vg_name)
    out, _err = query(command)
    return [{'name': name, 'size': number(size), 'available': number(free),
             'lv_count': int(count), 'uuid': uuid}
            for name, size, free, count, uuid in _rows(out, ':', 5)]


def physical_volumes(query: Query, vg_name: Optional[str] = None) -> list[dict[str, Any]]:
    """Return the physical volumes of all groups or one."""
    out, _err = query(['pvs', '--noheadings', '--unit=g', '-o', 'vg_name,name,size,free',
                       '--separator', '|', '--nosuffix'])
    return [{'vg': vg, 'name': name, 'size': number(size), 'available': number(free)}
            for vg, name, size, free in _rows(out, '|', 4) if vg_name in (None, vg)]


def logical_volumes(query: Query, vg_name: Optional[str] = None,
                    lv_name: Optional[str] = None) -> list[dict[str, Any]]:
    """Return all volumes, those of a group, or one; nothing if there are none."""
    command = ['lvs', '--noheadings', '--unit=g', '-o', 'vg_name,name,size', '--nosuffix',
               '--readonly']
    if vg_name is not None:
        lvm_programs.check_name('volume group', vg_name)
        command.append(vg_name if lv_name is None else f'{vg_name}/{lv_name}')
    try:
        out, _err = query(command)
    except putils.ProcessExecutionError as exc:
        if not lvm_programs.says_not_found(exc):
            raise
        LOG.info('There is no logical volume %(lv)s in %(vg)s', {'vg': vg_name, 'lv': lv_name})
        return []
    rows = (line.split() for line in (out or '').splitlines())
    return [dict(zip(('vg', 'name', 'size'), row)) for row in rows if len(row) == 3]


def attributes(query: Query, path: str, *options: str) -> str:
    """Return the characters lvs calls Attr of a volume."""
    out, _err = query(['lvdisplay', '--noheading', '-C', '-o', 'Attr', *options, path])
    return (out or '').strip()


def thin_pool_free_space(query: Query, vg_name: str, pool: str) -> float:
    """Return the free gibibytes of a thin pool; 0 if LVM does not know its use."""
    # Without --readonly, which does not look at the kernel's devices.
    out, _err = query(['lvs', '--noheadings', '--unit=g', '-o', 'size,data_percent',
                       '--separator', ':', '--nosuffix', f'/dev/{vg_name}/{pool}'])
    for size, percent in _rows(out, ':', 2):
        # Only an active pool has devices.
        if percent:
            return round(number(size) * (1 - number(percent) / 100), 2)
    return 0.0


def _rows(out: Optional[str], separator: str, columns: int) -> list[list[str]]:
    """Return the lines of an answer that have so many columns, cut into them."""
    rows = [line.strip().split(separator) for line in (out or '').splitlines()]
    return [row for row in rows if len(row) == columns]
