# SPDX-License-Identifier: Apache-2.0
"""The connector for volumes that are on this host already."""

import os
from typing import Any, Optional

from os_brick import utils
from os_brick.i18n import _
from os_brick.initiator.connectors import base


class LocalConnector(base.BaseLinuxConnector):
    """Hands out the path the storage driver names."""

    def __init__(self, root_helper: Optional[str], driver: Any = None,
                 *args: Any, **kwargs: Any) -> None:
        """Take the caller's choices; see InitiatorConnector."""
        super().__init__(root_helper, driver, *args, **kwargs)

    @staticmethod
    def get_connector_properties(root_helper: Optional[str], *args: Any,
                                 **kwargs: Any) -> dict[str, Any]:
        """Return nothing: there is no server that would have to know this host."""
        return {}

    @staticmethod
    def _device_path(connection_properties: dict) -> str:
        if 'device_path' not in connection_properties:
            raise ValueError(_('Invalid connection_properties specified '
                               'no device_path attribute'))
        path = connection_properties['device_path']
        if not isinstance(path, str) or not path or '\0' in path:
            raise ValueError(_('Invalid connection_properties specified: '
                               'device_path %r is no path') % (path,))
        return path

    def get_volume_paths(self, connection_properties: dict) -> list[str]:
        """Return the path of a volume.

        :raises ValueError: there is no `device_path`
        """
        return [self._device_path(connection_properties)]

    def get_search_path(self) -> None:
        """Return nothing: volumes may be anywhere."""
        return None

    def get_all_available_volumes(self, connection_properties: Optional[dict] = None) -> list:
        """Return nothing: no directory holds the volumes."""
        return []

    @utils.trace
    def connect_volume(self, connection_properties: dict) -> dict[str, Any]:
        """Return where a volume is.

        :param connection_properties: `device_path`
        :returns: `type` and `path`
        :raises ValueError: there is no `device_path`
        """
        return {'type': 'local', 'path': self._device_path(connection_properties)}

    @utils.trace
    def disconnect_volume(self, connection_properties: dict, device_info: Any,
                          force: bool = False, ignore_errors: bool = False) -> None:
        """Do nothing: the volume was here before."""

    @utils.trace
    def extend_volume(self, connection_properties: dict) -> Optional[int]:
        """Return the size in bytes that a volume has now.

        :raises ValueError: there is no `device_path`
        :raises ProcessExecutionError: the volume cannot be opened
        """
        path = self._device_path(connection_properties)
        if os.path.isfile(path):
            # blockdev, which callers with an own executor run, takes devices only.
            return os.path.getsize(path)
        return utils.get_device_size(self, path)
