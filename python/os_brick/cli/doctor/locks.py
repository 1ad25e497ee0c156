# SPDX-License-Identifier: Apache-2.0
"""The lock directory: one for all services of the host, local, and usable by every one of them."""

import os
import stat
from typing import Any

from os_brick.cli import privileges
from os_brick.cli.doctor import services
from os_brick.cli.doctor import verdict
from os_brick.cli.doctor.host import Host
from os_brick.initiator import lock_files

_ONE = 'the same lock_path in [os_brick] of all services'
#: File systems whose locks other hosts have too, or nobody.
_REMOTE = ('nfs', 'nfs4', 'cifs', 'smb3', 'ceph', 'glusterfs', 'fuse.glusterfs', 'fuse.sshfs', '9p', 'overlay')


def lock_directory(host: Host) -> dict[str, Any]:
    """Check the directories that the services name."""
    found: list[dict[str, Any]] = []
    places: dict[str, list[str]] = {}
    for service in services.of(host):
        if service.fault:
            found.append(verdict.skipped(service.fault))
        elif not service.lock_path:
            found.append(verdict.error(f'{service.file} has no lock_path, in [os_brick] or [oslo_concurrency]',
                                       f'set {_ONE}'))
        else:
            places.setdefault(os.path.normpath(service.lock_path), []).append(service.file)
    if len(places) > 1:
        found.append(verdict.error([f'{place}: {", ".join(files)}' for place, files in places.items()]
                                   + ['services that lock elsewhere do not exclude each other'], f'set {_ONE}'))
    if not places and not found and os.path.isdir(host.path(privileges.LOCK_PATH)):
        places[privileges.LOCK_PATH] = []
    found += [_directory(host, place, len(files)) for place, files in places.items()]
    return verdict.worst(found) if found else verdict.skipped(
        f'no configuration of a service was found ({", ".join(services.KNOWN)})')


def _file_system(host: Host, place: str) -> str:
    """Return the type of the file system that holds a directory."""
    found, longest = '', -1
    for line in (host.text('/proc/mounts') or '').splitlines():
        words = line.split()
        if len(words) < 3:
            continue
        point = words[1].rstrip('/')
        if (place == point or place.startswith(point + '/')) and len(point) >= longest:
            found, longest = words[2], len(point)
    return found


def _directory(host: Host, place: str, users: int) -> dict[str, Any]:
    if not place.startswith('/'):
        return verdict.error(f'{place} is no absolute path', f'set {_ONE}')
    # Before any look at it: a network file system may hang.
    kind = _file_system(host, place)
    if kind in _REMOTE:
        return verdict.error(f'{place} is on {kind}', 'a directory on a local file system, such as one in /run/lock')
    try:
        status = os.stat(host.path(place))
    except FileNotFoundError:
        return verdict.warning(f'{place} does not exist; the first service that attaches makes it, as its own',
                               f'install -d -m 1777 {place}, at every start if it is in /run')
    if not stat.S_ISDIR(status.st_mode):
        return verdict.error(f'{place} is no directory', f'set {_ONE}')
    for name in lock_files.NAMES:
        fault = _file(host, f'{place}/{name}')
        if fault:
            return fault
    missing = [name for name in lock_files.NAMES if not host.is_file(f'{place}/{name}')]
    evidence = f'{place}, mode {stat.S_IMODE(status.st_mode):04o}, owner {status.st_uid}:{status.st_gid}'
    if missing and users > 1 and not status.st_mode & 0o002:
        return verdict.warning([evidence, 'not every service may make the lock files: ' + ', '.join(missing)],
                               f'chmod 1777 {place}')
    if status.st_mode & 0o002 and not status.st_mode & stat.S_ISVTX:
        return verdict.warning([evidence, 'everybody may remove the lock files'], f'chmod 1777 {place}')
    return verdict.ok(evidence)


def _file(host: Host, path: str) -> Any:
    """Return what is wrong with a lock file, None when it is missing or well."""
    try:
        status = os.lstat(host.path(path))
    except OSError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return verdict.error(f'{path} is no regular file', f'rm {path}')
    if status.st_mode & 0o666 != 0o666:
        return verdict.error(f'{path} has mode {stat.S_IMODE(status.st_mode):04o}: other services cannot lock it',
                             f'chmod 0666 {path}')
    return None
