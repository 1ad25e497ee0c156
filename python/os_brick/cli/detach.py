# SPDX-License-Identifier: Apache-2.0
"""`os-brick detach`: detaches a volume from connection information, unless somebody uses it."""

import argparse
from collections.abc import Iterator
import time
from typing import Any, Callable

from os_brick.cli import attach
from os_brick.cli import commands
from os_brick.cli import connection
from os_brick.cli import ending
from os_brick.cli import output
from os_brick.cli import privileges
from os_brick.cli import progress
from os_brick.cli.interruption import Interruption

#: Seconds in which udev and blkid let go of a device they look at.
_PASSING = 2.0

_EXAMPLES = """\
  sudo os-brick detach connection.json
  sudo os-brick detach --multipath --device-info device.json connection.json
  sudo os-brick detach --force connection.json      even if data is lost
"""


def add(verb: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = verb('detach', 'detach a volume from this host', run, show, _EXAMPLES)
    attach.add_options(parser)
    parser.add_argument('--device-info', metavar='FILE', help='what attach printed with --json; - is stdin')
    parser.add_argument('--force', action='store_true',
                        help='also when the volume is in use, and past errors; data may be lost')


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Detach the volume.

    :returns: `volume`, and the paths it still has
    :raises Ended: it is not detached
    """
    if arguments.file == '-' == arguments.device_info:
        raise ending.refused('FILE and --device-info cannot both be stdin')
    volume = connection.read(arguments)
    info = connection.read_device_info(arguments.device_info) if arguments.device_info else {}
    privileges.prepare(arguments)
    brick = volume.connector(arguments.multipath or arguments.enforce_multipath)
    here = volume.paths_here(brick)
    if not arguments.force:
        _refuse_when_used(here + [info['path']] if info else here)
    with progress.shown(f'detaching {volume.title}', arguments.json, volume.hide) as say:
        def told(number: int) -> None:
            say(f'{attach.signal_name(number)}: a detach is not stopped half-way, it comes to its end')

        with Interruption(told) as interruption:
            try:
                interruption.finish(lambda: brick.disconnect_volume(
                    volume.properties, info, force=arguments.force, ignore_errors=False))
            except Exception as exc:
                code = ending.REMAINS if arguments.force else ending.FAILED
                raise ending.Ended(code, 'not detached: '
                                   f'{volume.hide(str(exc) or type(exc).__name__)}') from exc
    return {'volume': volume.title, 'paths': volume.paths_here(brick)}


def show(result: dict[str, Any]) -> Iterator[str]:
    """Give the lines of the result."""
    yield output.printable(f"{result['volume']} is detached")
    for path in result['paths']:
        # A namespace of a subsystem that other volumes use goes when the storage unmaps it.
        yield output.printable(f'still to be seen: {path}')


def _refuse_when_used(paths: list[str]) -> None:
    """Refuse to take a device from whoever uses it.

    :raises Ended: naming them
    """
    end = time.monotonic() + _PASSING
    while True:
        found = commands.volumes_of(paths)
        used = [f"{volume['device']}: {output.uses(volume)}" for volume in found if output.uses(volume)]
        if not used:
            return
        lasting = any(volume['mounts'] or volume['consumers'] for volume in found)
        if lasting or time.monotonic() > end:
            raise ending.Ended(ending.FAILED, f'the volume is in use ({"; ".join(used)}); nothing was touched. '
                                              'Let its users go first, or use --force and lose data')
        time.sleep(0.1)
