# SPDX-License-Identifier: Apache-2.0
"""The connector for volumes that are files of a GPFS file system of this host."""

from typing import Any

from os_brick import utils
from os_brick.initiator.connectors import local


class GPFSConnector(local.LocalConnector):
    """Hands out the path the storage driver names."""

    @utils.trace
    def connect_volume(self, connection_properties: dict) -> dict[str, Any]:
        """Return where a volume is.

        :param connection_properties: `device_path`
        :returns: `type` and `path`
        :raises ValueError: there is no `device_path`
        """
        return {'type': 'gpfs', 'path': self._device_path(connection_properties)}
