# SPDX-License-Identifier: Apache-2.0
"""The manual page, made from the parser so that it says what the command does.

`python -m os_brick.cli.manual` prints it; the wheel installs packaging/data/data/share/man/man1/os-brick.1.
"""

import argparse
from collections.abc import Iterator
import re

from os_brick import cli
from os_brick.cli import ending
from os_brick.cli.doctor import services
from os_brick.cli.privileges import LOCK_PATH

_FILES = (
    ('/etc/os-brick/os-brick.conf', 'Configuration of attach and detach, unless --config-file names another: [os_brick], '
                                    '[oslo_concurrency] lock_path, [privsep_osbrick].'),
    (LOCK_PATH, 'The lock directory, unless the configuration or --lock-path names another.'),
    (', '.join(services.KNOWN), 'The configuration files that doctor looks for.'),
)


def _escaped(text: str) -> str:
    """Return a text in which roff sees no commands of its own."""
    text = text.replace('\\', '\\e').replace('-', '\\-')
    return re.sub(r"^([.'])", r'\\&\1', text, flags=re.M)


def _usage(action: argparse.Action) -> str:
    """Return an argument as it stands in a synopsis."""
    if not action.option_strings:
        name = str(action.metavar or action.dest)
        return {'*': f'[{name} ...]', '?': f'[{name}]'}.get(str(action.nargs), name)
    value = '' if action.nargs == 0 else f' {action.metavar or action.dest.upper()}'
    return f'[{action.option_strings[-1]}{value}]'


def _arguments(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Return the arguments of a command, options first, without those of all commands."""
    found = [action for action in parser._actions
             if not isinstance(action, (argparse._HelpAction, argparse._SubParsersAction)) and action.dest != 'json']
    return sorted(found, key=lambda action: not action.option_strings)


def _described(action: argparse.Action) -> Iterator[str]:
    value = '' if action.nargs == 0 or not action.option_strings else f' {action.metavar or action.dest.upper()}'
    name = ', '.join(action.option_strings) or str(action.metavar or action.dest)
    yield '.TP'
    yield f'.B {_escaped(name + value)}'
    yield _escaped(f'{action.help}.')


def _command(name: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    arguments = _arguments(parser)
    yield f'.SS {_escaped(" ".join(["os-brick", name, *map(_usage, arguments)]))}'
    yield _escaped(str(parser.description))
    for action in arguments:
        yield from _described(action)
    if parser.epilog:
        yield '.PP'
        yield 'Examples:'
        yield '.PP'
        yield '.nf'
        yield from (_escaped(line) for line in parser.epilog.splitlines()[1:])
        yield '.fi'


def page() -> Iterator[str]:
    """Give the lines of the page."""
    parser = cli.parser()
    commands = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction)).choices
    yield '.\\" Made by python -m os_brick.cli.manual; change the parser instead.'
    yield '.TH OS\\-BRICK 1 "" "os\\-brick" "User Commands"'
    yield '.SH NAME'
    yield 'os\\-brick \\- the volumes of this host: looked at, attached, detached'
    yield '.SH SYNOPSIS'
    yield '.B os\\-brick'
    yield '[\\-\\-version] COMMAND [\\-\\-json] [ARGUMENT ...]'
    yield '.SH DESCRIPTION'
    yield _escaped('Shows what is attached to a host, over what and for whom, finds what is left behind, examines whether '
                   'the host is set up as attaches need it, and attaches and detaches volumes from the connection '
                   'information that Cinder gives.')
    yield '.PP'
    yield _escaped('Every command takes --json and --help. What attach and detach have to say meanwhile goes to the '
                   'standard error, secrets masked; the result alone goes to the standard output.')
    yield '.SH COMMANDS'
    for name in sorted(commands):
        yield from _command(name, commands[name])
    yield '.SH EXIT STATUS'
    for code, meaning in ending.MEANINGS:
        yield '.TP'
        yield f'.B {_escaped(code)}'
        yield _escaped(f'{meaning[0].upper()}{meaning[1:]}.')
    yield '.SH FILES'
    for name, meaning in _FILES:
        yield '.TP'
        yield f'.I {_escaped(name)}'
        yield _escaped(meaning)
    yield '.SH SEE ALSO'
    yield from (f'.BR {name}' for name in ('lsblk (8),', 'multipath (8),', 'multipathd (8),', 'iscsiadm (8),', 'nvme (1)'))


if __name__ == '__main__':
    print('\n'.join(page()))
