# SPDX-License-Identifier: Apache-2.0
"""The Fibre Channel connector of POWER.

Its virtual adapters stand on a bus udev has no name for; the engine knows what the links are
called there.
"""

from typing import Any, Callable, Optional

from os_brick import initiator
from os_brick.initiator.connectors import fibre_channel


class FibreChannelConnectorPPC64(fibre_channel.FibreChannelConnector):
    """Attaches and detaches Fibre Channel volumes on POWER."""

    platform = initiator.PLATFORM_PPC64

    def __init__(self, root_helper: Optional[str], driver: Any = None,
                 execute: Optional[Callable] = None, use_multipath: bool = False,
                 device_scan_attempts: int = initiator.DEVICE_SCAN_ATTEMPTS_DEFAULT,
                 *args: Any, **kwargs: Any) -> None:
        """Keep the choices of the caller; see FibreChannelConnector."""
        super().__init__(root_helper, driver, execute, use_multipath, device_scan_attempts,
                         *args, **kwargs)
