# SPDX-License-Identifier: Apache-2.0
"""The steps of the older workflow, one class each, for callers that compose their own.

A step that fails releases the volume. `legacy` undoes more, and does not use them.
"""

from typing import Any, Optional

from os_brick import exception
from os_brick.initiator import connector


class VolumeAction:
    """A step of an attach; a failure inside the `with` block unreserves the volume."""

    def __init__(self, volumes_client: Any, volume_id: str) -> None:
        """Take the client of Cinder and the volume."""
        self.volumes_client = volumes_client
        self.volume_id = volume_id

    def __enter__(self) -> Any:
        return self

    def __exit__(self, type: Any, value: Any, traceback: Any) -> bool:
        if type is None:
            return True
        self._release()
        return False

    def _release(self) -> None:
        self.volumes_client.volumes.unreserve(self.volume_id)


class Reserve(VolumeAction):
    def reserve(self) -> None:
        """Keep others from attaching the volume."""
        self.volumes_client.volumes.reserve(self.volume_id)


class InitializeConnection(VolumeAction):
    def initialize(self, brick_client: Any, multipath: bool, enforce_multipath: bool,
                   nic: Optional[str]) -> Any:
        """Let the backend export the volume to this host; return how to connect it."""
        properties = brick_client.get_connector(multipath, enforce_multipath, nic)
        return self.volumes_client.volumes.initialize_connection(self.volume_id, properties)


class VerifyProtocol(VolumeAction):
    #: Every protocol os-brick has a connector for on this machine.
    SUPPORTED_PROCOTOLS = sorted(connector.get_connector_mapping())

    def verify(self, protocol: str) -> None:
        """Refuse a protocol that no connector speaks.

        :raises ProtocolNotSupported: there is no connector
        """
        if protocol.upper() not in self.SUPPORTED_PROCOTOLS:
            raise exception.ProtocolNotSupported(protocol=protocol.upper())


class ConnectVolume(VolumeAction):
    def connect(self, brick_connector: Any, connection_data: dict, mountpoint: Optional[str],
                mode: str, hostname: str) -> Any:
        """Attach the volume to the host and tell Cinder."""
        device_info = brick_connector.connect_volume(connection_data)
        self.volumes_client.volumes.attach(
            self.volume_id, instance_uuid=None,
            mountpoint=device_info.get('path', mountpoint), mode=mode, host_name=hostname)
        return device_info


class VolumeDetachAction(VolumeAction):
    """A step of a detach; a failure inside the `with` block makes the volume in-use again."""

    def _release(self) -> None:
        self.volumes_client.volumes.roll_detaching(self.volume_id)


class BeginDetach(VolumeDetachAction):
    def reserve(self) -> None:
        """Keep others from detaching the volume."""
        self.volumes_client.volumes.begin_detaching(self.volume_id)


class InitializeConnectionForDetach(VolumeDetachAction, InitializeConnection):
    pass


class DisconnectVolume(VolumeDetachAction):
    def disconnect(self, brick_connector: Any, connection_data: dict,
                   device_info: Optional[dict]) -> None:
        """Detach the volume from the host."""
        brick_connector.disconnect_volume(connection_data, device_info or {})


class DetachVolume(VolumeDetachAction):
    def detach(self, brick_client: Any, attachment_uuid: Optional[str], multipath: bool,
               enforce_multipath: bool) -> None:
        """Let the backend end the export and Cinder forget the attachment."""
        properties = brick_client.get_connector(multipath, enforce_multipath)
        self.volumes_client.volumes.terminate_connection(self.volume_id, properties)
        self.volumes_client.volumes.detach(self.volume_id, attachment_uuid)
