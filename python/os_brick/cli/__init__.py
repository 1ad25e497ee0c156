# SPDX-License-Identifier: Apache-2.0
"""`os-brick`, the command: what is attached to this host, what is left behind, and attaching by hand.

A command is added by a module of this package with a function `add`; `_MODULES` lists them.
"""

import argparse
import json
import signal
import sys
from typing import Any, Callable, Optional, Sequence, Union

from os_brick import exception
from os_brick.cli import attach
from os_brick.cli import clean
from os_brick.cli import commands
from os_brick.cli import completion
from os_brick.cli import detach
from os_brick.cli import doctor
from os_brick.cli import ending
from os_brick.cli import output
from os_brick.cli import verify

#: Alphabetical, one a line.
_MODULES = (
    attach,
    clean,
    commands,
    completion,
    detach,
    doctor,
    verify,
)

_EXAMPLES = """\
examples:
  os-brick volumes                     one line for each volume
  os-brick tree dm-0                   a volume with its paths and users
  sudo os-brick orphans                what is left behind, asking the disks
  sudo os-brick clean                  what of it is proven unused, and goes with --yes
  os-brick COMMAND --help              options and examples of a command
"""


class _Version(argparse.Action):
    """Prints the version, which takes a look at the installed packages that nobody else has to wait for."""

    def __init__(self, option_strings, dest, help=None) -> None:
        super().__init__(option_strings, dest, nargs=0, help=help)

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        from os_brick import version
        parser.exit(message=f'os-brick {version.__version__}\n')


def _exit_codes() -> str:
    return 'exit codes:\n' + ''.join(f'  {code:<9}{text}\n' for code, text in ending.MEANINGS)


def parser() -> argparse.ArgumentParser:
    """Make the parser of all commands."""
    made = argparse.ArgumentParser(
        prog='os-brick', description='The volumes of this host: looked at, attached, detached.',
        epilog=f'{_EXAMPLES}\n{_exit_codes()}', formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument('--version', action=_Version, help='print the version of the package')
    verbs = made.add_subparsers(dest='command', metavar='COMMAND', required=True)

    def verb(name: str, text: str, run: Callable[[argparse.Namespace], Any],
             show: Callable[[Any], Any], examples: str = '',
             code: Callable[[Any], int] = lambda result: ending.OK) -> argparse.ArgumentParser:
        """Add a command.

        :param text: what it does, in half a sentence
        :param run: gives the result, as plain data
        :param show: gives the lines of text of a result
        :param examples: lines for its help
        :param code: gives the exit code of a result
        """
        sub = verbs.add_parser(
            name, help=text, description=text[0].upper() + text[1:] + '.',
            epilog=f'examples:\n{examples}' if examples else None,
            formatter_class=argparse.RawDescriptionHelpFormatter)
        sub.add_argument('--json', action='store_true', help='print JSON')
        sub.set_defaults(run=run, show=show, code=code)
        return sub

    for module in _MODULES:
        module.add(verb)
    return made


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run one command and return its exit code."""
    arguments = parser().parse_args(argv)
    try:
        result = arguments.run(arguments)
    except ending.Ended as exc:
        return _complain(exc, exc.code)
    except (exception.BrickException, OSError, ValueError, ImportError) as exc:
        return _complain(exc, ending.FAILED)
    except KeyboardInterrupt:
        # A command that changes the host defers it while it does.
        return _complain('stopped by Ctrl-C', ending.STOPPED + signal.SIGINT)
    try:
        if arguments.json:
            print(json.dumps(result, indent=2))
        else:
            for line in arguments.show(result):
                print(line)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader had enough; nothing more can be written, not even at the end of the process.
        sys.stdout = None
    return arguments.code(result)


def _complain(exc: Union[Exception, str], code: int) -> int:
    print(f'os-brick: {output.printable(str(exc))}', file=sys.stderr)
    return code
