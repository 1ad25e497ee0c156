# SPDX-License-Identifier: Apache-2.0
"""Attach and detach with the attachments API, from microversion 3.44."""

import logging
from typing import Any, Optional

from cinderclient import exceptions

from brick_cinderclient_ext import choice
from brick_cinderclient_ext import rollback as undo

LOG = logging.getLogger(__name__)


def attach(client: Any, volume_id: str, mountpoint: Optional[str], mode: str,
           multipath: bool, enforce_multipath: bool, nic: Optional[str]) -> Any:
    """Reserve an attachment, export the volume, connect it, and complete the attachment.

    It is reserved first and by itself, because then its name is known when the export fails.
    """
    cinder = client.volumes_client
    properties = dict(client.get_connector(multipath, enforce_multipath, nic), mode=mode)
    if mountpoint:
        properties['mountpoint'] = mountpoint
    with undo.Rollback() as rollback:
        name = _reserve(cinder, volume_id, mode, rollback)
        connection = cinder.attachments.update(name, properties).connection_info
        brick = client.connector_for(connection, multipath)
        device_info = client.connect(brick, connection, rollback,
                                     lambda: choice.shares_device(cinder, volume_id, name))
        cinder.attachments.complete(name)
    return device_info


def detach(client: Any, volume_id: str, attachment_uuid: Optional[str], multipath: bool,
           device_info: Optional[dict]) -> None:
    """Disconnect the volume and delete its attachment, which may be one that was never completed."""
    cinder = client.volumes_client
    found = choice.attachment(cinder, volume_id, attachment_uuid)
    connection = found.connection_info
    if not connection:
        LOG.debug('Attachment %s was never connected', found.id)
    elif choice.shares_device(cinder, volume_id, found.id):
        LOG.warning('another attachment of volume %s is on this host, the device stays', volume_id)
    else:
        brick = client.connector_for(connection, multipath)
        brick.disconnect_volume(connection, device_info or {})
    _delete(cinder, found.id)


def _reserve(cinder: Any, volume_id: str, mode: str, rollback: undo.Rollback) -> str:
    """Make an attachment without a connection and return its name.

    It is not made for an instance: Cinder asks Nova before it deletes the attachment of one.
    """
    before = _names(cinder, volume_id)
    made: list[str] = []

    def forget() -> None:
        # Without a name the answer was lost; a volume has one reservation at a time.
        for name in made or _names(cinder, volume_id, reserved=True) - before:
            _delete(cinder, name)

    rollback.add('delete the attachment', forget)
    try:
        made.append(cinder.attachments.create(volume_id, None, mode=mode)['id'])
    except BaseException as error:
        if undo.refused(error):
            rollback.drop()
        raise
    return made[0]


def _names(cinder: Any, volume_id: str, reserved: bool = False) -> set[str]:
    return {entry.id for entry in cinder.attachments.list(search_opts={'volume_id': volume_id})
            if not reserved or (entry.status == 'reserved' and not entry.instance)}


def _delete(cinder: Any, name: str) -> None:
    try:
        cinder.attachments.delete(name)
    except exceptions.NotFound:
        LOG.debug('Attachment %s is gone already', name)
