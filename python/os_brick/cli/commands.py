# SPDX-License-Identifier: Apache-2.0
"""The commands that look: what each finds out, as plain data."""

import argparse
import os
from typing import Any, Callable, Optional

from os_brick import privileged
from os_brick.cli import connection
from os_brick.cli import ending
from os_brick.cli import output
from os_brick.initiator import connector
from os_brick.initiator import inventory
from os_brick.privileged import inventory as priv_inventory


def add(verb: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the commands to the parser."""
    parser = verb('properties', 'what this host tells Cinder before an attach',
                  properties, output.properties, """\
  os-brick properties --ip 10.0.0.5
  sudo os-brick properties --json > connector.json
""")
    parser.add_argument('--ip', default='', metavar='ADDRESS',
                        help="this host's address in the storage network")
    parser.add_argument('--no-multipath', dest='multipath', action='store_false',
                        help='as a service that attaches single paths')
    _add_records(verb('volumes', 'the volumes of this host, one line each', volumes, output.volumes, """\
  os-brick volumes
  os-brick volumes --json | jq '.[] | select(.paths | length < 2)'
"""))
    parser = verb('tree', 'volumes with their paths and what is built on them', tree, output.tree, """\
  os-brick tree
  os-brick tree dm-0 /dev/sdc
""")
    parser.add_argument('device', nargs='*', metavar='DEVICE',
                        help='a device, map name or identity; all without')
    _add_records(parser)
    parser = verb('paths', 'the devices of one volume, found from its connection properties',
                  paths, output.paths, """\
  os-brick paths iscsi connection.json
  os-brick paths nvmeof < connection.json
""")
    parser.add_argument('protocol', metavar='PROTOCOL', help='iscsi, fibre_channel, nvmeof ...')
    parser.add_argument('file', nargs='?', default='-', metavar='FILE',
                        help='connection properties or connection info as JSON; - or none is stdin')
    _add_records(verb('orphans', 'what is left behind or not what it seems; root also asks the disks',
                      orphans, output.orphans, """\
  sudo os-brick orphans
  os-brick orphans --json | jq '.findings[].subject'
""", lambda result: ending.FOUND if result['findings'] else ending.OK))


def _add_records(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--records', metavar='DIR',
                        help="the service's attachment_record_path, to tell whose a volume is (root only)")


def _is_root() -> bool:
    """Tell whether this process is root, and let it do itself what else a daemon does."""
    if os.geteuid() != 0:
        return False
    privileged.default.set_client_mode(False)
    return True


def properties(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the connector properties of this host."""
    _is_root()
    return connector.get_connector_properties('sudo', arguments.ip, arguments.multipath, False)


def _records(arguments: argparse.Namespace) -> Optional[str]:
    """Return the directory of the attachment records, which root alone may read.

    :raises ValueError: somebody else asks for them
    """
    if arguments.records is None:
        return None
    if not _is_root():
        raise ValueError('--records needs root: nobody else may read attachment records')
    if not os.path.isdir(arguments.records):
        raise ValueError(f'--records: {arguments.records} is no directory')
    return os.path.abspath(arguments.records)


def _read(records: Optional[str] = None) -> dict[str, Any]:
    return priv_inventory.read(records) if _is_root() else inventory.read()


def volumes(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Return all volumes."""
    return list(_read(_records(arguments))['volumes'])


def _is(volume: dict[str, Any], wanted: str) -> bool:
    names = {volume['device'], volume['name'], volume['identity']}
    names.update(path['device'] for path in volume['paths'])
    return wanted in names or os.path.basename(os.path.realpath(wanted)) in names


def tree(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the volumes that are named, or all.

    :raises ValueError: a name fits no volume
    """
    found = volumes(arguments)
    if not arguments.device:
        return found
    for wanted in arguments.device:
        if not any(_is(volume, wanted) for volume in found):
            raise ValueError(f'no volume of this host is {wanted}')
    return [volume for volume in found
            if any(_is(volume, wanted) for wanted in arguments.device)]


def volumes_of(paths: list[str]) -> list[dict[str, Any]]:
    """Return the volumes that have one of these devices, as root sees them: a guest's disk is in use by its open count."""
    return [volume for volume in priv_inventory.read()['volumes'] if any(_is(volume, path) for path in paths)]


def paths(arguments: argparse.Namespace) -> list[str]:
    """Return the device paths a volume has on this host."""
    _is_root()
    found = connection.properties(connection.load(arguments.file), arguments.file)
    chosen = connector.InitiatorConnector.factory(arguments.protocol, 'sudo', use_multipath=True)
    return list(chosen.get_volume_paths(found))


def orphans(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the findings; the disks are asked when this is root."""
    records = _records(arguments)
    return priv_inventory.find_orphans(records) if _is_root() else inventory.find_orphans()
