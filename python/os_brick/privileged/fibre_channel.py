# SPDX-License-Identifier: Apache-2.0
"""The verbs of Fibre Channel that need root.

The entrypoints run in the privileged process.  `connect`, `disconnect` and `extend` are
what they do there; a connector whose caller brought its own `execute` calls these in the
caller's process.  Here lives nothing but the calls.
"""

from typing import Any, Callable, Optional

from os_brick import _engine
from os_brick import _native
from os_brick import encrypted_link
from os_brick import privileged
from os_brick.privileged import encrypted_volume
from os_brick.privileged import plain_data

#: The connection properties Fibre Channel understands.
PROPERTIES = (
    'target_wwn', 'target_wwns', 'target_lun', 'target_luns',
    'initiator_target_map', 'initiator_target_lun_map', 'enable_wildcard_scan',
    'addressing_mode', 'volume_id', 'wwn', 'scsi_wwn', 'encrypted', 'access_mode',
    'enforce_multipath', 'device_path',
)
#: Those of them that are maps from the ports of this host.
NESTED = ('initiator_target_map', 'initiator_target_lun_map')

Execute = Optional[Callable[..., Any]]


def _check(properties: dict[str, Any],
           settings: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    return encrypted_volume.check(properties, settings, PROPERTIES, NESTED)


def connect(properties: dict[str, Any], settings: dict[str, Any],
            execute: Execute = None) -> dict[str, Any]:
    """Attach a volume in this process.

    :param properties: connection properties, keys of PROPERTIES only
    :param settings: see `_engine.fibre_channel.connect_volume`
    :param execute: runs every command; None for the engine's own runner
    :returns: type, scsi_wwn, path and, for a multipath device, multipath_id
    :raises BrickException: of the kind that tells what failed; nothing stays attached
    """
    properties, settings = _check(properties, settings)
    result = _native.call(_engine.fibre_channel.connect_volume, properties, settings, execute)
    return encrypted_volume.hand_out(properties, result, lambda path: _native.call(
        _engine.fibre_channel.disconnect_volume, properties, path, settings, True, execute))


def _links(properties: dict[str, Any], settings: dict[str, Any]) -> list[str]:
    """Return the links that lead to the volume, whatever name of it they were made of."""
    names = _native.call(_engine.fibre_channel.volume_devices, properties, settings)
    devices = {'/dev/' + name for name in names}
    return [link for link in encrypted_link.existing()
            if encrypted_link.target_of(encrypted_link.device_path_of(link)) in devices]


def disconnect(properties: dict[str, Any], device_path: Optional[str],
               settings: dict[str, Any], force: bool, execute: Execute = None) -> list[str]:
    """Detach a volume in this process, with the link of an encrypted one.

    :param device_path: the path the attach returned, or None when it is not known
    :param force: carry on after errors, even if data is lost
    :returns: the errors collected under force
    :raises BrickException: without force, the first error; the volume stays attached
    """
    properties, settings = _check(properties, settings)
    device_path = plain_data.check_path('device_path', device_path)
    links = encrypted_volume.links(properties, device_path, lambda: _links(properties, settings))
    errors = _native.call(_engine.fibre_channel.disconnect_volume, properties,
                          encrypted_link.device_path_of(device_path), settings, bool(force),
                          execute)
    encrypted_volume.remove_links(links)
    return list(errors)


def extend(properties: dict[str, Any], settings: dict[str, Any],
           execute: Execute = None) -> int:
    """Let the host see the new size of an attached volume, in this process.

    :returns: the new size in bytes
    :raises BrickException: the size did not reach every path and the map
    """
    properties, settings = _check(properties, settings)
    return _native.call(_engine.fibre_channel.extend_volume, properties, settings, execute)


@privileged.default.entrypoint
def connect_volume(properties: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Attach a volume as root; see `connect`."""
    return connect(properties, settings)


@privileged.default.entrypoint
def disconnect_volume(properties: dict[str, Any], device_path: Optional[str],
                      settings: dict[str, Any], force: bool) -> list[str]:
    """Detach a volume as root; see `disconnect`."""
    return disconnect(properties, device_path, settings, force)


@privileged.default.entrypoint
def extend_volume(properties: dict[str, Any], settings: dict[str, Any]) -> int:
    """Extend an attached volume as root; see `extend`."""
    return extend(properties, settings)
