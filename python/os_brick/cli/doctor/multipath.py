# SPDX-License-Identifier: Apache-2.0
"""Settings of multipath that attaches depend on, as multipathd has them, or else as its files have them."""

from typing import Any, Optional

from os_brick.cli.doctor import daemons
from os_brick.cli.doctor import verdict
from os_brick.cli.doctor.host import Host

_FILE = '/etc/multipath.conf'
_DIRECTORY = '/etc/multipath/conf.d'


def defaults_of(text: str) -> dict[str, str]:
    """Return the settings of the sections `defaults` of a configuration; the last of a name counts."""
    found: dict[str, str] = {}
    section: list[str] = []
    for line in text.splitlines():
        line = line.split('#')[0].split('!')[0].strip()
        # A section may begin and end on one line.
        for part in line.replace('{', '{\n').replace('}', '\n}\n').splitlines():
            part = part.strip()
            if part.endswith('{'):
                section.append(part[:-1].strip())
            elif part == '}':
                section = section[:-1]
            elif part and section == ['defaults']:
                name, _, value = part.partition(' ') if ' ' in part else part.partition('\t')
                found[name.strip()] = value.strip().strip('"')
    return found


def _settings(host: Host) -> Optional[tuple[str, dict[str, str]]]:
    """Return where the settings come from, and the settings; None without multipath."""
    if not host.program('multipathd') and not host.processes('multipathd'):
        return None
    if host.processes('multipathd'):
        try:
            return 'multipathd', defaults_of(daemons.ask_multipathd(host, 'show config local'))
        except OSError:
            # The check of multipathd says so.
            pass
    files = [_FILE, *(f'{_DIRECTORY}/{name}' for name in host.names(_DIRECTORY) if name.endswith('.conf'))]
    found: dict[str, str] = {}
    for file in files:
        found.update(defaults_of(host.text(file) or ''))
    return _FILE, found


def _value(host: Host, name: str, built_in: str) -> Optional[tuple[str, str]]:
    """Return the value of a setting and how that is known."""
    settings = _settings(host)
    if settings is None:
        return None
    place, found = settings
    if name in found:
        return found[name], f'{found[name]} ({place})'
    return built_in, f'{built_in}, the built-in default; {place} does not say'


_NO_MULTIPATH = verdict.skipped('multipath-tools is not installed')


def find_multipaths(host: Host) -> dict[str, Any]:
    """Check whether a first path is enough for a map."""
    seen = _value(host, 'find_multipaths', 'strict')
    if seen is None:
        return _NO_MULTIPATH
    value, evidence = seen
    if value in ('no', 'off', 'greedy'):
        return verdict.ok(evidence)
    return verdict.warning(
        [evidence, 'attaches tell multipathd the identity of each volume; a stock os-brick leaves volumes of one path '
                   'without a map'],
        f'find_multipaths no in {_FILE}, local disks in its blacklist; then multipathd reconfigure')


def friendly_names(host: Host) -> dict[str, Any]:
    """Check that maps are named after their volumes."""
    seen = _value(host, 'user_friendly_names', 'no')
    if seen is None:
        return _NO_MULTIPATH
    value, evidence = seen
    if value == 'no':
        return verdict.ok(evidence)
    return verdict.warning(
        [evidence, 'mpatha is another volume on each host, and after a lost bindings file also on this one'],
        f'user_friendly_names no in {_FILE}; maps that are there keep their names')


def skip_kpartx(host: Host) -> dict[str, Any]:
    """Check that nobody makes mappings for the partitions of guests."""
    seen = _value(host, 'skip_kpartx', 'no')
    if seen is None:
        return _NO_MULTIPATH
    value, evidence = seen
    if value == 'yes':
        return verdict.ok(evidence)
    return verdict.warning(
        [evidence, "partitions that a guest made become devices of the host, keep the map open and stand in a detach's way"],
        f'skip_kpartx yes in {_FILE}; then multipathd reconfigure')
