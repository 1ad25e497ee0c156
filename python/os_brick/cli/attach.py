# SPDX-License-Identifier: Apache-2.0
"""`os-brick attach`: attaches a volume from connection information, without a service."""

import argparse
import signal
from typing import Any, Callable

from os_brick.cli import connection
from os_brick.cli import ending
from os_brick.cli import output
from os_brick.cli import privileges
from os_brick.cli import progress
from os_brick.cli.interruption import Interruption

_EXAMPLES = """\
  sudo os-brick attach connection.json
  sudo os-brick attach --multipath --json connection.json > device.json
  ssh controller cat connection.json | sudo os-brick attach -
"""


def add(verb: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = verb('attach', 'attach a volume to this host', run, output.properties, _EXAMPLES)
    add_options(parser)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what `attach` and `detach` share."""
    parser.add_argument('file', metavar='FILE',
                        help='connection information as JSON, as Cinder gives it: driver_volume_type, and the '
                             'properties beside it or in data; - is stdin')
    parser.add_argument('--multipath', action='store_true', help='use all paths of the volume')
    parser.add_argument('--enforce-multipath', action='store_true',
                        help='fail when multipath does not work here; implies --multipath')
    privileges.add_options(parser)


def signal_name(number: int) -> str:
    """Return what people call a signal."""
    return 'Ctrl-C' if number == signal.SIGINT else signal.Signals(number).name


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Attach the volume and return what the connector says of its device.

    :raises Ended: it is not attached, or was stopped; the text says what is left
    """
    volume = connection.read(arguments)
    privileges.prepare(arguments)
    brick = volume.connector(arguments.multipath or arguments.enforce_multipath)
    before = volume.paths_here(brick)
    with progress.shown(f'attaching {volume.title}', arguments.json, volume.hide) as say:
        if before:
            say(f'it is here already: {", ".join(before)}')

        def told(number: int) -> None:
            say(f'{signal_name(number)}: stopping when the attach has come to its end'
                + ('' if before else ', then detaching again'))

        with Interruption(told) as interruption:
            info = _attach(volume, brick, interruption)
            if interruption.number:
                _take_back(volume, brick, info, before, interruption)
    return connection.masked(info)


def _attach(volume: connection.Connection, brick: Any, interruption: Interruption) -> Any:
    try:
        return interruption.finish(lambda: brick.connect_volume(volume.properties))
    except Exception as exc:
        # Also a KeyError of a connector: whatever it is, people get one line without secrets.
        reason = volume.hide(str(exc) or type(exc).__name__)
        if interruption.number:
            raise ending.Ended(ending.STOPPED + interruption.number,
                               f'stopped by {signal_name(interruption.number)}; the attach had failed: {reason}') from exc
        raise ending.Ended(ending.FAILED, f'not attached: {reason}') from exc


def _take_back(volume: connection.Connection, brick: Any, info: Any, before: list[str],
               interruption: Interruption) -> None:
    """Detach what was attached after a signal had arrived, and end."""
    number = interruption.number or 0
    stopped = f'stopped by {signal_name(number)}'
    if before:
        # Whoever attached it may be using it.
        raise ending.Ended(ending.REMAINS,
                           f'{stopped}; the volume was here before ({", ".join(before)}) and stays attached')
    try:
        interruption.finish(lambda: brick.disconnect_volume(volume.properties, info, force=True, ignore_errors=False))
    except Exception as exc:
        raise ending.Ended(ending.REMAINS, f'{stopped}, and the volume could not be detached again: '
                                           f'{volume.hide(str(exc) or type(exc).__name__)}') from exc
    raise ending.Ended(ending.STOPPED + number, f'{stopped}; the volume is detached again')
