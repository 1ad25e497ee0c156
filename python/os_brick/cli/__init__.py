# SPDX-License-Identifier: Apache-2.0
"""`os-brick`, the command: what is attached to this host, over what, used by whom, and what is left behind.

Only looks.  Exit codes: 0 all well, 1 it could not be found out, 2 wrong arguments, 3 `orphans` found something.
"""

import argparse
import json
import sys
from typing import Optional, Sequence

from os_brick import exception
from os_brick.cli import commands
from os_brick.cli import output

#: Nothing to complain of.
OK = 0
#: It could not be found out; the reason is on stderr.
FAILED = 1
#: `orphans` found something.
FOUND = 3

_EXAMPLES = """\
examples:
  os-brick volumes                     one line for each volume
  os-brick tree dm-0                   a volume with its paths and users
  os-brick volumes --json | jq '.[] | select(.paths | length < 2)'
  os-brick paths iscsi connection.json which devices a volume has here
  sudo os-brick orphans                what is left behind, asking the disks
  os-brick properties --ip 10.0.0.5    what this host tells Cinder

exit codes:
  0 all well    1 it could not be found out    2 wrong arguments    3 orphans found something
"""


class _Version(argparse.Action):
    """Prints the version, which takes a look at the installed packages that nobody else has to wait for."""

    def __init__(self, option_strings, dest, help=None) -> None:
        super().__init__(option_strings, dest, nargs=0, help=help)

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        from os_brick import version
        parser.exit(message=f'os-brick {version.__version__}\n')


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='os-brick', description='What is attached to this host. Changes nothing.',
        epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--version', action=_Version, help='print the version of the package')
    verbs = parser.add_subparsers(dest='command', metavar='COMMAND', required=True)

    def verb(name: str, text: str, run, show) -> argparse.ArgumentParser:
        sub = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + '.')
        sub.add_argument('--json', action='store_true', help='print JSON')
        sub.set_defaults(run=run, show=show)
        return sub

    properties = verb('properties', 'what this host tells Cinder before an attach',
                      commands.properties, output.properties)
    properties.add_argument('--ip', default='', metavar='ADDRESS',
                            help="this host's address in the storage network")
    properties.add_argument('--no-multipath', dest='multipath', action='store_false',
                            help='as a service that attaches single paths')
    verb('volumes', 'the volumes of this host, one line each', commands.volumes, output.volumes)
    tree = verb('tree', 'volumes with their paths and what is built on them',
                commands.tree, output.tree)
    tree.add_argument('device', nargs='*', metavar='DEVICE',
                      help='a device, map name or identity; all without')
    paths = verb('paths', 'the devices of one volume, found from its connection properties',
                 commands.paths, output.paths)
    paths.add_argument('protocol', metavar='PROTOCOL', help='iscsi, fibre_channel, nvmeof ...')
    paths.add_argument('file', nargs='?', default='-', metavar='FILE',
                       help='connection properties or connection info as JSON; - or none is stdin')
    verb('orphans', 'what is left behind or not what it seems; root also asks the disks',
         commands.orphans, output.orphans)
    return parser


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run one command and return its exit code."""
    arguments = _parser().parse_args(argv)
    try:
        result = arguments.run(arguments)
    except (exception.BrickException, OSError, ValueError, ImportError) as exc:
        print(f'os-brick: {output.printable(str(exc))}', file=sys.stderr)
        return FAILED
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
    return FOUND if arguments.command == 'orphans' and result['findings'] else OK
