# SPDX-License-Identifier: Apache-2.0
"""`os-brick clean`: takes away what is left behind and proven unused; only looks unless it is told to act."""

import argparse
from collections.abc import Iterator
import os
from typing import Any, Callable

from os_brick import privileged
from os_brick.cli import ending
from os_brick.cli import output
from os_brick.privileged import inventory as priv_inventory

_FATES = {
    'removed': 'removed',
    'would_remove': 'unused, would be removed',
    'left': 'left alone',
    'gone': 'gone meanwhile',
    'failed': 'NOT REMOVED',
}


_EXAMPLES = """\
  sudo os-brick clean                                 what would go
  sudo os-brick clean --yes --lock-path /var/lib/nova/tmp
  sudo os-brick clean --json | jq '.outcomes[] | select(.fate == "left")'
"""


def add(verb: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = verb('clean', 'what is left behind and proven unused; removes it with --yes', run, show, _EXAMPLES, code)
    parser.add_argument('--yes', '--apply', dest='apply', action='store_true',
                        help='remove what is proven unused; nothing is changed without')
    parser.add_argument('--lock-path', metavar='DIR',
                        help='lock_path of the services of this host, needed by --yes: it keeps attaches out meanwhile')
    parser.add_argument('--records', metavar='DIR',
                        help="the services' attachment_record_path, to see also what is half done")


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Look, and remove what is proven unused when that is asked for.

    :raises Ended: this is not root, or an option is missing or names no directory
    """
    if os.geteuid() != 0:
        raise ending.Ended(ending.FAILED, 'clean needs root, also to look: nobody else sees who has a map open')
    if arguments.apply and not arguments.lock_path:
        raise ending.refused('--yes needs --lock-path, the lock_path of the services of this host')
    directories = {}
    for option in ('lock_path', 'records'):
        directory = getattr(arguments, option)
        if directory is not None and not os.path.isdir(directory):
            raise ending.refused(f'--{option.replace("_", "-")}: {directory} is no directory')
        directories[option] = directory and os.path.abspath(directory)
    privileged.default.set_client_mode(False)
    return dict(priv_inventory.clean(bool(arguments.apply), **directories))


def code(found: dict[str, Any]) -> int:
    """Return the exit code of a result."""
    fates = {one['fate'] for one in found['outcomes']}
    if 'failed' in fates:
        return ending.FAILED
    return ending.OK if fates <= {'removed', 'gone'} else ending.FOUND


def show(found: dict[str, Any]) -> Iterator[str]:
    """Give each leftover with what became of it, and what an operator would type for those that stay."""
    for one in found['outcomes']:
        yield output.printable(f"{one['kind'].replace('_', ' ')}: {one['subject']}")
        reason = f": {one['reason']}" if one['reason'] else ''
        yield output.printable(f"  {_FATES[one['fate']]}{reason}")
        if one['fate'] in ('left', 'failed'):
            for command in one['commands']:
                yield output.printable(f'    # {command}')
    if found['outcomes']:
        yield ''
    yield _summary(found)


def _summary(found: dict[str, Any]) -> str:
    fates = [one['fate'] for one in found['outcomes']]
    if not fates:
        return 'Nothing is left behind.'
    if not found['applied']:
        unused = fates.count('would_remove')
        return (f'{unused} of {len(fates)} would be removed. Nothing was changed; --yes removes.' if unused
                else f'None of {len(fates)} is proven unused. Nothing was changed.')
    removed, failed = fates.count('removed'), fates.count('failed')
    return f'{removed} of {len(fates)} removed.' + (f' {failed} could not be removed.' if failed else '')
