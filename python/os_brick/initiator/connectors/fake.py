# SPDX-License-Identifier: Apache-2.0
"""Connectors that touch no host, for the tests of os-brick's callers."""

from typing import Any, Optional

from os_brick.initiator.connectors import base
from os_brick.initiator.connectors import base_iscsi


class FakeConnector(base.BaseLinuxConnector):
    """Attaches every volume to the same path, which does not exist."""

    #: The device of every volume.
    fake_path = '/dev/vdFAKE'

    def connect_volume(self, connection_properties: dict) -> dict[str, Any]:
        """Return the path of every volume."""
        return {'type': 'fake', 'path': self.fake_path}

    def disconnect_volume(self, connection_properties: dict, device_info: Any,
                          force: bool = False, ignore_errors: bool = False) -> None:
        """Do nothing."""

    def get_volume_paths(self, connection_properties: dict) -> list[str]:
        """Return the path of every volume."""
        return [self.fake_path]

    def get_search_path(self) -> str:
        """Return a directory that hosts have."""
        return '/dev/disk/by-path'

    def extend_volume(self, connection_properties: dict) -> None:
        """Return no size."""
        return None

    def get_all_available_volumes(self, connection_properties: Optional[dict] = None) -> list:
        """Return two paths that do not exist."""
        return ['/dev/disk/by-path/fake-volume-1', '/dev/disk/by-path/fake-volume-X']


class FakeBaseISCSIConnector(FakeConnector, base_iscsi.BaseISCSIConnector):
    """The same for code that asks for the targets of a volume."""
