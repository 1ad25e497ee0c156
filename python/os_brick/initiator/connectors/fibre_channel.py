# SPDX-License-Identifier: Apache-2.0
"""The Fibre Channel connector: checks, one call to the engine, the answer in its known shape.

Decisions about ports, scans, devices and maps are the engine's.  No command is run and no
device looked for here.
"""

from typing import Any, Callable, Optional

from os_brick import _engine
from os_brick import _native
from os_brick import encrypted_link
from os_brick import initiator
from os_brick import utils
from os_brick.initiator import linuxfc
from os_brick.initiator.connectors import by_engine
from os_brick.privileged import fibre_channel as priv_fibre_channel


class FibreChannelConnector(by_engine.ScsiConnector):
    """Attaches and detaches Fibre Channel volumes, FCoE included."""

    _verbs = priv_fibre_channel

    def __init__(self, root_helper: Optional[str], driver: Any = None,
                 execute: Optional[Callable] = None, use_multipath: bool = False,
                 device_scan_attempts: int = initiator.DEVICE_SCAN_ATTEMPTS_DEFAULT,
                 *args: Any, **kwargs: Any) -> None:
        """Keep the choices of the caller; the host is not touched.

        :param use_multipath: attach all paths of a volume as one device
        :param device_scan_attempts: how often to scan for a device
        """
        self._linuxfc = linuxfc.LinuxFibreChannel(root_helper, execute)
        super().__init__(root_helper, driver, execute, *args,
                         device_scan_attempts=device_scan_attempts, **kwargs)
        self.use_multipath = use_multipath

    def set_execute(self, execute: Optional[Callable]) -> None:
        """Run every command of this object and its helpers with `execute`."""
        super().set_execute(execute)
        self._linuxfc.set_execute(execute)

    @staticmethod
    def get_connector_properties(root_helper: Optional[str], *args: Any,
                                 **kwargs: Any) -> dict[str, list[str]]:
        """Return the names of this host's ports that are online, and of their nodes.

        :returns: `wwpns` and `wwnns`; nothing if there are none
        """
        ports = linuxfc.LinuxFibreChannel(root_helper, execute=kwargs.get('execute'))
        names = {'wwpns': ports.get_fc_wwpns(), 'wwnns': ports.get_fc_wwnns()}
        return {key: value for key, value in names.items() if value}

    @utils.trace
    def connect_volume(self, connection_properties: dict) -> dict[str, str]:
        """Attach a volume to this host.

        :param connection_properties: `target_wwn` or `target_wwns` with `target_lun` or
            `target_luns`, `initiator_target_map` and the other keys of
            `os_brick.privileged.fibre_channel.PROPERTIES` as far as they apply
        :returns: `type` ('block'), `scsi_wwn`, `path` and, if a multipath device was
            made, `multipath_id`; the path is a link in /dev/disk/by-path or, of a
            multipath device, in /dev/disk/by-id; an encrypted volume has one of its own
        :raises InvalidParameterValue: the properties make no sense
        :raises VolumePathsNotFound: there is not one LUN for each port
        :raises NoFibreChannelHostsFound: this host has no Fibre Channel
        :raises NoFibreChannelVolumeDeviceFound: no scan brought the device
        :raises BrickException: anything else; the host is left as it was
        """
        return self._attach(connection_properties)

    @utils.trace
    def disconnect_volume(self, connection_properties: dict, device_info: Any,
                          force: bool = False, ignore_errors: bool = False) -> None:
        """Detach a volume from this host; it need not be attached any more.

        :param connection_properties: as for `connect_volume`
        :param device_info: what `connect_volume` returned; the properties are enough
            when it is None or carries no path
        :param force: go on after errors and leave a clean host, even if data is lost
        :param ignore_errors: under force, log the errors instead of raising them
        :raises ExceptionChainer: under force, all errors once everything was tried
        :raises BrickException: without force; the volume stays attached
        """
        self._detach(connection_properties, device_info, force, ignore_errors)

    @utils.trace
    def extend_volume(self, connection_properties: dict) -> Optional[int]:
        """Let the host see the new size of an attached volume.

        :param connection_properties: as for `connect_volume`
        :returns: the size in bytes that every path and the map now have
        :raises VolumePathsNotFound: the volume is not attached
        :raises BrickException: a path is down or did not grow
        """
        return self._extend(connection_properties)

    def get_volume_paths(self, connection_properties: dict) -> list[str]:
        """Return the /dev/disk/by-path names of a volume that exist; scans nothing.

        :raises InvalidParameterValue: the properties make no sense
        :raises VolumePathsNotFound: there is not one LUN for each port
        """
        properties = self._select(connection_properties)
        if 'device_path' in properties:
            properties['device_path'] = encrypted_link.device_path_of(properties['device_path'])
        return list(_native.call(_engine.fibre_channel.volume_paths, properties,
                                 self._settings()))
