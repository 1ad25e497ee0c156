# SPDX-License-Identifier: Apache-2.0
"""Attach and detach with the actions of volumes, for Cinder before microversion 3.44."""

from typing import Any, Optional

from brick_cinderclient_ext import choice
from brick_cinderclient_ext import rollback as undo


def attach(client: Any, volume_id: str, hostname: str, mountpoint: Optional[str], mode: str,
           multipath: bool, enforce_multipath: bool, nic: Optional[str]) -> Any:
    """Reserve the volume, export it, connect it, and tell Cinder so."""
    volumes = client.volumes_client.volumes
    properties = client.get_connector(multipath, enforce_multipath, nic)
    with undo.Rollback() as rollback:
        _claim(rollback, volumes.reserve, volumes.unreserve, volume_id)
        rollback.add('end the export',
                     lambda: volumes.terminate_connection(volume_id, properties))
        connection = volumes.initialize_connection(volume_id, properties)
        brick = client.connector_for(connection, multipath)
        recorded: list[bool] = []
        # Undone after the host is clean, so it is added before the host is touched.
        rollback.add('mark the volume detached',
                     lambda: recorded and volumes.detach(volume_id, None))
        device_info = client.connect(brick, connection['data'], rollback)
        place = mountpoint or device_info.get('path')
        recorded.append(True)
        try:
            volumes.attach(volume_id, instance_uuid=None, mountpoint=place, mode=mode,
                           host_name=hostname)
        except BaseException as error:
            if undo.refused(error):
                recorded.clear()
            raise
    return device_info


def detach(client: Any, volume_id: str, attachment_uuid: Optional[str], multipath: bool,
           enforce_multipath: bool, device_info: Optional[dict], nic: Optional[str]) -> None:
    """Disconnect the volume, end the export, and tell Cinder so."""
    volumes = client.volumes_client.volumes
    if not attachment_uuid:
        choice.refuse_several(volumes.get(volume_id), volume_id)
    properties = client.get_connector(multipath, enforce_multipath, nic)
    with undo.Rollback() as rollback:
        _claim(rollback, volumes.begin_detaching, volumes.roll_detaching, volume_id)
        connection = volumes.initialize_connection(volume_id, properties)
        brick = client.connector_for(connection, multipath)
        brick.disconnect_volume(connection['data'], device_info or {})
        volumes.terminate_connection(volume_id, properties)
        volumes.detach(volume_id, attachment_uuid)


def _claim(rollback: undo.Rollback, take: Any, release: Any, volume_id: str) -> None:
    """Take the volume; a refusal means that somebody else has it, so it is not released."""
    rollback.add('release the volume', lambda: release(volume_id))
    try:
        take(volume_id)
    except BaseException as error:
        if undo.refused(error):
            rollback.drop()
        raise
