# SPDX-License-Identifier: Apache-2.0
"""udev: whether it runs and has the rules whose links attaches wait for."""

import fnmatch
import os
from typing import Any, Optional

from os_brick.cli.doctor import verdict
from os_brick.cli.doctor.host import Host

#: A file of an earlier directory hides one of the same name in a later one.
_DIRECTORIES = ('/etc/udev/rules.d', '/run/udev/rules.d', '/usr/local/lib/udev/rules.d', '/usr/lib/udev/rules.d',
                '/lib/udev/rules.d')
#: Rules by the end of their names, which begin with a number of the distribution's choice, and what they make.
_LINKS = ('*-persistent-storage.rules', 'the links in /dev/disk/by-path and by-id')
_MAPS = (('*-multipath.rules', 'multipathd hears of new paths'), ('*-dm-mpath.rules', 'maps are announced when usable'))


def _find(host: Host, pattern: str) -> tuple[Optional[str], Optional[str]]:
    """Return the file of a rule and the reason why it does not count."""
    for directory in _DIRECTORIES:
        for name in host.names(directory):
            if fnmatch.fnmatch(name, pattern):
                path = f'{directory}/{name}'
                if os.path.islink(host.path(path)) and os.readlink(host.path(path)) == '/dev/null':
                    return path, 'switched off: it is a link to /dev/null'
                if not (host.text(path) or '').strip():
                    return path, 'switched off: it is empty'
                return path, None
    return None, None


def udev(host: Host) -> dict[str, Any]:
    """Check the daemon and the rules."""
    wanted = [_LINKS]
    if host.program('multipathd'):
        wanted += _MAPS
    found = []
    for pattern, purpose in wanted:
        file, reason = _find(host, pattern)
        if file is None:
            found.append(verdict.error(f'no {pattern}: {purpose}',
                                       'install the rules (udev, multipath-tools) on the host'))
        elif reason:
            found.append(verdict.error(f'{file}: {reason}; {purpose}', f'remove {file}'))
        else:
            found.append(verdict.ok(file))
    if not host.is_socket('/run/udev/control'):
        found.append(verdict.error('udevd does not run, or /run/udev is not shared with this container',
                                   'start systemd-udevd; share /run/udev and /dev'))
    return verdict.worst(found)
