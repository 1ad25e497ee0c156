# SPDX-License-Identifier: Apache-2.0
"""The way to root: whether a service could start the privileged helper.  Nothing is started to find out."""

import os
import re
import shlex
import sys
from typing import Any, Optional

from os_brick import privileged
from os_brick.cli.doctor import services
from os_brick.cli.doctor import verdict
from os_brick.cli.doctor.host import Host
from os_brick.cli.doctor.host import Unreadable
from os_brick.cli.doctor.services import Service

_CONTEXT = privileged.default.pypath
#: Where services in virtual environments have their programs.
_ENVIRONMENTS = ('/var/lib/kolla/venv/bin', '/var/lib/openstack/bin', '/openstack/venvs', '/opt/stack/data/venv/bin')


def _none() -> dict[str, Any]:
    return verdict.skipped(f'no configuration of a service was found ({", ".join(services.KNOWN)})')


def _program(host: Host, name: str, more: tuple[str, ...] = ()) -> Optional[str]:
    if name.startswith('/'):
        return host.program(os.path.basename(name), (os.path.dirname(name),))
    own = (os.path.dirname(sys.executable),) if host.is_this else ()
    return host.program(name) or host.program(name, more + own + _ENVIRONMENTS)


def _command(service: Service) -> list[str]:
    """Return the words before privsep-helper's own options.

    :raises ValueError: a quote is not closed
    """
    if service.helper_command:
        return shlex.split(service.helper_command)
    if service.name == 'os-brick':
        return []
    # What the services make of their root helper.
    configuration = service.value('DEFAULT', 'rootwrap_config') or f'/etc/{service.name}/rootwrap.conf'
    return ['sudo', f'{service.name}-rootwrap', configuration, 'privsep-helper', '--config-file', service.file]


def helper(host: Host) -> dict[str, Any]:
    """Check that the programs of the command are there and that sudo lets the service use them."""
    found = [_helper_of(host, service) for service in services.of(host)]
    return verdict.worst(found) if found else _none()


def _helper_of(host: Host, service: Service) -> dict[str, Any]:
    if service.fault:
        return verdict.skipped(service.fault)
    try:
        words = _command(service)
    except ValueError as exc:
        return verdict.error(f'{service.file}: helper_command: {exc}', 'correct [privsep_osbrick] helper_command')
    if not words:
        return verdict.skipped(f'{service.file}: no helper_command, so os-brick attaches as root only')
    if not any(os.path.basename(word) == 'privsep-helper' for word in words):
        return verdict.error(f'{service.file}: helper_command does not start privsep-helper: {shlex.join(words)}',
                             'correct [privsep_osbrick] helper_command')
    commands, directories = _started(host, words)
    missing = [name for name in commands if not _program(host, name, directories)]
    if missing:
        return verdict.error(f'{service.file}: {shlex.join(words)}: not found: {", ".join(missing)}',
                             'install it, or correct [privsep_osbrick] helper_command')
    absent = [word for word in words if word.endswith('.conf') and not host.is_file(word)]
    if absent:
        return verdict.error(f'{service.file}: {shlex.join(words)}: there is no {", ".join(absent)}',
                             'install it, or correct [privsep_osbrick] helper_command')
    if os.path.basename(words[0]) != 'sudo':
        return verdict.ok(f'{service.file}: {shlex.join(words)}')
    return _sudo(host, service, words, commands[1])


def _started(host: Host, words: list[str]) -> tuple[list[str], tuple[str, ...]]:
    """Return the programs of a command, and where rootwrap looks for the last of them."""
    found, directories = [], ()
    for before, word in zip(['', *words], words):
        # sudo's options and their values.
        if word.startswith('-') or before in ('-u', '-g', '--user', '--group'):
            continue
        if not found or os.path.basename(found[-1]) == 'sudo':
            found.append(word)
        elif word.endswith('rootwrap.conf'):
            directories = tuple(_list(_defaults(host, word).get('exec_dirs', '')))
        elif os.path.basename(word) == 'privsep-helper':
            found.append(word)
        if os.path.basename(word) == 'privsep-helper':
            break
    return found, directories


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.split(',') if part.strip()]


def _sudo(host: Host, service: Service, words: list[str], program: str) -> dict[str, Any]:
    """Check sudo's rules; a line that names the program, or everything, without a password."""
    shown = f'{service.file}: {shlex.join(words)}'
    try:
        texts = [host.text('/etc/sudoers') or '']
        texts += [host.text(f'/etc/sudoers.d/{name}') or '' for name in host.names('/etc/sudoers.d')
                  if '.' not in name and not name.endswith('~')]
    except Unreadable:
        return verdict.ok([shown, 'whether sudo allows that was not seen: /etc/sudoers can be read by root only'])
    rules = [line.strip() for text in texts for line in text.replace('\\\n', ' ').splitlines()
             if 'NOPASSWD' in line and not line.strip().startswith('#')]
    name = os.path.basename(program)
    if any(re.search(rf'(^|[\s/,]){re.escape(name)}(\s|,|$)', rule) for rule in rules):
        return verdict.ok(shown)
    if any(re.search(r'NOPASSWD:\s*ALL\b', rule) and rule.split()[0] in (service.name, 'ALL') for rule in rules):
        return verdict.ok(shown)
    return verdict.error([shown, f'no rule of sudo allows {name} without a password'],
                         f'{service.name} ALL = (root) NOPASSWD: {program} ... in /etc/sudoers.d/{service.name}')


def _section(text: str, section: str) -> list[tuple[str, str]]:
    """Return the options of a section; names may repeat, and hold what other parsers refuse."""
    found, current = [], ''
    for line in text.splitlines():
        line = line.strip()
        if line.startswith('['):
            current = line.strip('[]')
        elif current == section and line and line[0] not in '#;':
            name, _, value = line.partition(':' if ':' in line.split('=')[0] else '=')
            found.append((name.strip(), value.strip()))
    return found


def _defaults(host: Host, file: str) -> dict[str, str]:
    try:
        return dict(_section(host.text(file) or '', 'DEFAULT'))
    except Unreadable:
        return {}


def filters(host: Host) -> dict[str, Any]:
    """Check what lets the helper of os-brick pass through rootwrap, and that only root can change it."""
    found = [_filters_of(host, service) for service in services.of(host) if not service.fault]
    found = [one for one in found if one]
    return verdict.worst(found) if found else verdict.skipped('no service starts the helper through rootwrap')


def _filters_of(host: Host, service: Service) -> Optional[dict[str, Any]]:
    try:
        words = _command(service)
    except ValueError:
        return None
    at = next((number for number, word in enumerate(words) if word.endswith('rootwrap.conf')), None)
    if at is None or not host.is_file(words[at]):
        return None
    file, argv = words[at], words[at + 1:]
    argv += ['--privsep_context', _CONTEXT, '--privsep_sock_path', '/tmp/tmpabcdefgh/privsep.sock']
    status = os.stat(host.path(file))
    if status.st_mode & 0o022 or (host.is_this and status.st_uid != 0):
        return verdict.error(f'{file}: others than root may change it, and with it what becomes root',
                             f'chown root {file}; chmod go-w {file}')
    directories = _list(_defaults(host, file).get('filters_path', ''))
    if not directories:
        return verdict.error(f'{file}: filters_path is not set', f'set filters_path in [DEFAULT] of {file}')
    for directory in directories:
        for name in host.names(directory):
            path = f'{directory}/{name}'
            if name.startswith('.') or not host.is_file(path):
                continue
            for key, value in _section(host.text(path) or '', 'Filters'):
                if _lets_pass(_list_of_filter(value), argv):
                    return verdict.ok(f'{path}: {key}')
    # Since its release 5.0; services want a later one.
    return verdict.ok([f'{file}: filters_path {", ".join(directories)}',
                       f'no filter names this, but oslo.rootwrap lets every privsep-helper pass: {shlex.join(argv)}'])


def _list_of_filter(value: str) -> list[str]:
    return [part.strip() for part in value.split(',')]


def _lets_pass(parts: list[str], argv: list[str]) -> bool:
    """Tell whether rootwrap would run a command by this filter: its class, program, user and arguments."""
    if len(parts) < 3 or os.path.basename(parts[1]) != 'privsep-helper':
        return False
    if parts[0] == 'CommandFilter':
        return True
    wanted = parts[3:]
    if parts[0] != 'RegExpFilter' or len(wanted) != len(argv):
        return False
    try:
        return all(re.match(f'{pattern}$', word) for pattern, word in zip(wanted, argv))
    except re.error:
        return False
