# SPDX-License-Identifier: Apache-2.0
"""What the NVMe-oF connector offers beside attaching: commands of mdadm, one at a time.

The engine mirrors replicas by itself.  These are here for callers that use them.
"""

import os
import time
from typing import Any, Callable, Optional, Sequence

from oslo_concurrency import processutils as putils
from oslo_log import log as logging

from os_brick import exception
from os_brick.i18n import _

LOG = logging.getLogger(__name__)

RAID_PATH = '/dev/md/'
_STOP_TRIES = 10
_ASSEMBLE_TRIES = 5
_SECONDS_FOR_NAME = 60

#: Runs a command as root: (*cmd, **kwargs) -> (stdout, stderr).
Run = Callable[..., Any]


def mdadm(run: Run, cmd: Sequence[str], raise_exception: bool = False) -> Optional[str]:
    """Run a command and return the first line it printed, or None if it failed."""
    try:
        out, _err = run(*cmd)
    except putils.ProcessExecutionError as exc:
        LOG.warning('%(cmd)s failed: %(error)s', {'cmd': ' '.join(cmd), 'error': exc})
        if raise_exception:
            raise
        return None
    return out.split('\n')[0]


def names_itself(run: Run, option: str, device: str) -> bool:
    """Tell whether mdadm prints the device's name first: it knows it then."""
    try:
        out, _err = run('mdadm', option, device)
    except putils.ProcessExecutionError:
        return False
    return out.split('\n')[0] == device + ':'


def link_target(path: str) -> str:
    """Return where a link points to, or an empty text."""
    try:
        return os.readlink(path)
    except OSError:
        return ''


def array_of(device_name: str) -> Optional[str]:
    """Return the md device that has a device such as `nvme0n1` as a leg, or None."""
    try:
        with open('/proc/mdstat') as stream:
            for line in stream:
                # md127 : active raid1 nvme1n1[1] nvme0n1[0](F)
                name, _colon, rest = line.partition(' : ')
                if device_name in [word.partition('[')[0] for word in rest.split()]:
                    return name.strip()
    except OSError as exc:
        LOG.debug('No md devices: %s', exc)
    return None


def create(run: Run, drives: list[str], raid_type: str, device_name: str, name: str,
           read_only: bool) -> None:
    """Make an array and wait for its name.

    :raises ProcessExecutionError: mdadm failed
    :raises NotFound: the name did not appear
    """
    cmd = ['mdadm', '-C'] + (['-o'] if read_only else []) + [device_name, '-R']
    cmd += ['-N', name] if name else []
    cmd += ['--level', raid_type, f'--raid-devices={len(drives)}', '--bitmap=internal',
            '--homehost=any', '--failfast', '--assume-clean', *drives]
    mdadm(run, cmd, raise_exception=True)
    for _second in range(_SECONDS_FOR_NAME):
        if os.path.exists(RAID_PATH + name):
            return
        time.sleep(1)
    raise exception.NotFound(message=_('md: /dev/md/%s not found.') % name)


def assemble(run: Run, drives: list[str], md_path: str, read_only: bool) -> bool:
    """Assemble an array from the legs that are there.

    :raises ProcessExecutionError: mdadm failed
    """
    cmd = ['mdadm', '--assemble', '--run', md_path] + (['-o'] if read_only else [])
    mdadm(run, cmd + list(drives), raise_exception=True)
    return True


def stop_and_assemble(connector: Any, drives: list[str], md_path: str,
                      read_only: bool) -> None:
    """Assemble an array under its name, unless udev has; one of another name is stopped.

    :raises ProcessExecutionError: it could not be assembled in several tries
    """
    for attempt in range(1, _ASSEMBLE_TRIES + 1):
        other = None
        for drive in drives:
            other = connector.get_md_name(os.path.basename(drive)) or other
            if other and other == os.path.basename(connector.ks_readlink(md_path)):
                return
            time.sleep(1)
        if other:
            connector.stop_raid(RAID_PATH.replace('md/', '') + other)
        try:
            connector.assemble_raid(drives, md_path, read_only)
            return
        except putils.ProcessExecutionError:
            if attempt == _ASSEMBLE_TRIES:
                raise


def end(connector: Any, device_path: str) -> None:
    """Stop an array, trying again while it is busy, and remove the node it may leave.

    :raises ProcessExecutionError: it stays busy
    """
    if not connector.is_raid_exists(device_path):
        return
    for attempt in range(1, _STOP_TRIES + 1):
        try:
            connector.stop_raid(device_path, True)
            break
        except putils.ProcessExecutionError:
            if attempt == _STOP_TRIES:
                raise
            time.sleep(1)
    if os.path.exists(device_path):
        connector.remove_raid(device_path)
