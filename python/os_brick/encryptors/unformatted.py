# SPDX-License-Identifier: Apache-2.0
"""The proof that a device was never used, which a LUKS format asks for.

The rule and its reasons: docs/decisions/0008-what-luks-may-format.md.
"""

from typing import Optional

from oslo_concurrency import processutils
from oslo_config import cfg

from os_brick import exception
from os_brick import executor
from os_brick import opts  # noqa: F401 registers the option
from os_brick import utils

CONF = cfg.CONF

_MIB = 1 << 20
#: What LVM fills with zeroes on every volume it makes.
_FRONT = 4096


def check(runner: 'executor.Executor', device: str) -> None:
    """Make sure that a device can be read and that nothing is on it.

    :param runner: runs the commands
    :raises BrickException: naming the device and what was found or what failed
    """
    try:
        found = _find_content(runner, device)
    except processutils.ProcessExecutionError as exc:
        found = f'it cannot be examined: {exc}'
    if found:
        raise exception.BrickException(
            f'{device} is not formatted as an encrypted volume because {found}')


def _find_content(runner: 'executor.Executor', device: str) -> Optional[str]:
    """Return what speaks against a format, or None."""
    size = utils.get_device_size(runner, device)
    if not size:
        return 'its size is not known'
    _read(runner, device, 0, 'count=1')
    _read(runner, device, max(0, size // _MIB - 1))
    signature = _find_signature(runner, device)
    if signature:
        return f'it holds {signature}'
    if CONF.os_brick.luks_format_stale_volumes or _begins_with_zeroes(runner, device):
        return None
    return ('it begins with data of an unknown format; if those are the remains of a '
            'deleted volume, overwrite the beginning with zeroes, or set [os_brick] '
            'luks_format_stale_volumes for storage whose new volumes are like that')


def _run(runner: 'executor.Executor', accepted: int, *cmd: str) -> tuple[int, str]:
    """Return exit code, 0 or the accepted one, and output of a command run as root."""
    try:
        out, _err = runner._execute(*cmd, run_as_root=True, root_helper=runner._root_helper)
    except processutils.ProcessExecutionError as exc:
        if exc.exit_code != accepted:
            raise
        return accepted, exc.stdout or ''
    return 0, out


def _read(runner: 'executor.Executor', device: str, mebibyte: int, *options: str) -> None:
    """Read from a mebibyte on, to the end unless the options say less.

    :raises ProcessExecutionError: a block could not be read
    """
    runner._execute('dd', f'if={device}', 'of=/dev/null', 'bs=1M', f'skip={mebibyte}',
                    *options, run_as_root=True, root_helper=runner._root_helper)


def _find_signature(runner: 'executor.Executor', device: str) -> Optional[str]:
    """Return the name of the file system, partition table or the like, or None."""
    code, out = _run(runner, 2, 'blkid', '-p', '-o', 'export', device)
    if code:
        return None
    fields = dict(line.partition('=')[::2] for line in out.splitlines())
    return fields.get('TYPE') or fields.get('PTTYPE') or 'something that blkid knows'


def _begins_with_zeroes(runner: 'executor.Executor', device: str) -> bool:
    code, _out = _run(runner, 1, 'cmp', f'--bytes={_FRONT}', device, '/dev/zero')
    return code == 0
