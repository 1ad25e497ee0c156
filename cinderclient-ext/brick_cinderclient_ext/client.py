# SPDX-License-Identifier: Apache-2.0
"""Attaches volumes to this host and detaches them, with the workflow that Cinder offers."""

import logging
from typing import Any, Callable, Optional

import cinderclient
from cinderclient import api_versions
from cinderclient import exceptions
from os_brick import exception
from os_brick.initiator import connector
from oslo_utils import strutils
from pbr import version as pbr_version

from brick_cinderclient_ext import attachments
from brick_cinderclient_ext import brick_utils
from brick_cinderclient_ext import legacy
from brick_cinderclient_ext import volume_actions
from brick_cinderclient_ext.rollback import Rollback

LOG = logging.getLogger(__name__)


def flag(name: str, value: Any) -> bool:
    """Read true or false from a bool or its usual spellings.

    :raises CommandError: it is neither
    """
    try:
        return strutils.bool_from_string(value, strict=True)
    except ValueError:
        raise exceptions.CommandError(f'{name} is True or False, not {value!r}.') from None


class Client:
    """Volumes of Cinder on this host."""

    version = '1.3.0'
    #: Whether Cinder is too old for the attachments API.
    _use_legacy_attach = True

    def __init__(self, volumes_client: Any = None) -> None:
        """Take a client of Cinder and see what both sides can do."""
        self.volumes_client = volumes_client
        installed = cinderclient.version_info.semantic_version()
        if volumes_client and installed >= pbr_version.SemanticVersion(major=2):
            wanted = api_versions.APIVersion('3.44')
            self._use_legacy_attach = not volumes_client.api_version.matches(wanted)

    def _brick_get_connector(self, protocol: str, driver: Any = None,
                             execute: Optional[Callable] = None, use_multipath: bool = False,
                             device_scan_attempts: int = 3, *args: Any, **kwargs: Any) -> Any:
        """Return os-brick's connector of a protocol."""
        return connector.InitiatorConnector.factory(
            protocol, brick_utils.get_root_helper(), *args, driver=driver, execute=execute,
            use_multipath=use_multipath, device_scan_attempts=device_scan_attempts, **kwargs)

    def connector_for(self, connection: dict, multipath: bool) -> Any:
        """Return the connector for what Cinder said.

        :raises ProtocolNotSupported: there is none
        """
        protocol = connection['driver_volume_type']
        volume_actions.VerifyProtocol(self.volumes_client, '').verify(protocol)
        kwargs: dict[str, Any] = {'do_local_attach': True, 'use_multipath': multipath}
        if connection.get('mount_point_base'):
            # Connectors that mount take the directory when they are made.
            kwargs['conn'] = connection
        return self._brick_get_connector(protocol, **kwargs)

    def connect(self, brick: Any, properties: dict, rollback: Rollback,
                shared: Callable[[], bool] = lambda: False) -> Any:
        """Connect the volume, and see to it that a later failure disconnects it.

        :param shared: tells whether somebody else uses the device it would have
        """
        device_info: dict[str, Any] = {}

        def disconnect() -> None:
            if not shared():
                brick.disconnect_volume(properties, device_info)

        # Before the call: Ctrl-C may arrive when the device is there already.
        rollback.add('disconnect the volume', disconnect, host=True)
        try:
            device_info = brick.connect_volume(properties)
        except exception.InvalidParameterValue:
            # Connectors look at the properties before they touch the host, and a disconnect
            # would refuse the same ones.
            rollback.drop()
            raise
        return device_info

    def get_connector(self, multipath: bool = False, enforce_multipath: bool = False,
                      nic: Optional[str] = None) -> dict:
        """Return what Cinder has to know of this host."""
        return connector.get_connector_properties(
            brick_utils.get_root_helper(), brick_utils.get_ip(nic),
            multipath=flag('multipath', multipath),
            enforce_multipath=flag('enforce_multipath', enforce_multipath), execute=None)

    def attach(self, volume_id: str, hostname: str, mountpoint: Optional[str] = None,
               mode: str = 'rw', multipath: bool = False, enforce_multipath: bool = False,
               nic: Optional[str] = None) -> Any:
        """Attach a volume to this host; if that fails, all is as before.

        :param hostname: what the older workflow records; the attachments API records the
            name in the connector
        :param mountpoint: what Cinder records; the path of the device by default
        :returns: what os-brick says of the device, at least `type` and `path`
        """
        if mode not in ('rw', 'ro'):
            raise exceptions.CommandError(f'mode is rw or ro, not {mode!r}.')
        multipath = flag('multipath', multipath)
        if self._use_legacy_attach:
            return legacy.attach(self, volume_id, hostname, mountpoint, mode, multipath,
                                 enforce_multipath, nic)
        return attachments.attach(self, volume_id, mountpoint, mode, multipath,
                                  enforce_multipath, nic)

    def detach(self, volume_id: str, attachment_uuid: Optional[str] = None,
               multipath: bool = False, enforce_multipath: bool = False,
               device_info: Optional[dict] = None, nic: Optional[str] = None) -> None:
        """Detach a volume from this host; can be repeated when it failed half-way.

        :param attachment_uuid: needed if the volume has several attachments
        """
        multipath = flag('multipath', multipath)
        if self._use_legacy_attach:
            legacy.detach(self, volume_id, attachment_uuid, multipath, enforce_multipath,
                          device_info, nic)
        else:
            attachments.detach(self, volume_id, attachment_uuid, multipath, device_info)

    def get_volume_paths(self, volume_id: str, use_multipath: bool = False) -> list:
        """Return the paths on this host of a volume, named by its ID or its name.

        :raises CommandError: there is no such volume
        """
        use_multipath = flag('multipath', use_multipath)
        properties = self.get_connector(multipath=use_multipath)
        for volume in self.volumes_client.volumes.list():
            if volume_id in (volume.id, volume.name):
                break
        else:
            raise exceptions.CommandError(f"No volume with a name or ID of '{volume_id}' exists.")
        if volume.status != 'in-use':
            return []
        connection = self.volumes_client.volumes.initialize_connection(volume.id, properties)
        brick = self._brick_get_connector(connection['driver_volume_type'],
                                          use_multipath=use_multipath)
        return brick.get_volume_paths(connection['data'])

    def get_all_volume_paths(self, protocol: str, use_multipath: bool = False) -> list:
        """Return the paths on this host of all volumes of a protocol."""
        brick = self._brick_get_connector(protocol, use_multipath=flag('multipath', use_multipath))
        return brick.get_all_available_volumes()
