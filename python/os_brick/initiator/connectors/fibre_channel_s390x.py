# SPDX-License-Identifier: Apache-2.0
"""The Fibre Channel connector of IBM Z.

Its LUNs are made units of the zfcp adapter and taken away again; the engine sees from the
adapter that it has to.
"""

from typing import Any, Callable, Optional

from os_brick import initiator
from os_brick.initiator import linuxfc
from os_brick.initiator.connectors import fibre_channel


class FibreChannelConnectorS390X(fibre_channel.FibreChannelConnector):
    """Attaches and detaches Fibre Channel volumes on IBM Z."""

    platform = initiator.PLATFORM_S390

    def __init__(self, root_helper: Optional[str], driver: Any = None,
                 execute: Optional[Callable] = None, use_multipath: bool = False,
                 device_scan_attempts: int = initiator.DEVICE_SCAN_ATTEMPTS_DEFAULT,
                 *args: Any, **kwargs: Any) -> None:
        """Keep the choices of the caller; see FibreChannelConnector."""
        super().__init__(root_helper, driver, execute, use_multipath, device_scan_attempts,
                         *args, **kwargs)
        self._linuxfc = linuxfc.LinuxFibreChannelS390X(root_helper, execute)
