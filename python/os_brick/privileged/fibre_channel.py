# SPDX-License-Identifier: Apache-2.0
"""The verbs of Fibre Channel that need root.

The entrypoints run in the privileged process.  `connect`, `disconnect` and `extend` are
what they do there; a connector whose caller brought its own `execute` calls these in the
caller's process.  Here lives nothing but checks, the call and an encrypted volume's link.
"""

import os
from typing import Any, Callable, Optional

from oslo_log import log as logging

from os_brick import _engine
from os_brick import _native
from os_brick import encrypted_link
from os_brick import privileged
from os_brick.privileged import plain_data
from os_brick.privileged import rootwrap

LOG = logging.getLogger(__name__)

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


def select(properties: Any) -> dict[str, Any]:
    """Pick what Fibre Channel understands from the properties a caller passed.

    :raises InvalidParameterValue: see `plain_data.select`
    """
    return plain_data.select(properties, PROPERTIES, NESTED)


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
    if not properties.get('encrypted'):
        return result
    path = result['path']
    try:
        link = encrypted_link.name_for(path)
        rootwrap.link_root(encrypted_link.target_of(path), link, force=True)
    except Exception:
        LOG.warning('No link for the encrypted volume at %s, detaching it', path)
        _undo(properties, path, settings, execute)
        raise
    return {**result, 'path': link}


def _check(properties: dict[str, Any],
           settings: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return both as the engine is to get them, whoever sent them."""
    properties = plain_data.check_properties(properties, PROPERTIES, NESTED)
    if 'device_path' in properties:
        properties['device_path'] = encrypted_link.device_path_of(properties['device_path'])
    return properties, plain_data.check_settings(settings)


def _undo(properties: dict[str, Any], path: str, settings: dict[str, Any],
          execute: Execute) -> None:
    """Detach after a failed attach, keeping the error that caused it the only one."""
    try:
        errors = _native.call(_engine.fibre_channel.disconnect_volume, properties, path,
                              settings, True, execute)
    except Exception as exc:
        errors = [str(exc)]
    for error in errors:
        LOG.warning('Detaching %(path)s again: %(error)s', {'path': path, 'error': error})


def _links(properties: dict[str, Any], device_path: Optional[str],
           settings: dict[str, Any]) -> list[str]:
    """Return the links an encrypted volume was handed out under, as far as they exist.

    A caller that lost what the attach returned does not name the link.  Whatever name the
    volume's own devices may have been handed out under leads to it.
    """
    if encrypted_link.is_link_path(device_path):
        links = [device_path]
    elif properties.get('encrypted'):
        names = _native.call(_engine.fibre_channel.volume_devices, properties, settings)
        devices = {'/dev/' + name for name in names}
        links = [link for link in encrypted_link.existing()
                 if encrypted_link.target_of(encrypted_link.device_path_of(link)) in devices]
    else:
        links = []
    return [link for link in links if os.path.islink(link)]


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
    links = _links(properties, device_path, settings)
    errors = _native.call(_engine.fibre_channel.disconnect_volume, properties,
                          encrypted_link.device_path_of(device_path), settings, bool(force),
                          execute)
    for link in links:
        try:
            rootwrap.unlink_root(link)
        except Exception as exc:
            LOG.warning('The link %(link)s of the detached volume remains: %(error)s',
                        {'link': link, 'error': exc})
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
