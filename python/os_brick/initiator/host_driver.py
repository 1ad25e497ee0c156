# SPDX-License-Identifier: Apache-2.0
"""The default driver of connectors: which block devices the host has."""

import os

_BY_PATH = '/dev/disk/by-path'


class HostDriver:
    """Lists the block devices of this host."""

    def get_all_block_devices(self) -> list[str]:
        """Return the full paths in /dev/disk/by-path, nothing if it does not exist."""
        try:
            names = os.listdir(_BY_PATH)
        except FileNotFoundError:
            # udev removes the directory with the last link in it.
            return []
        return [f'{_BY_PATH}/{name}' for name in names]
