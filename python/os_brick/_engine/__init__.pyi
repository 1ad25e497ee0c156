# SPDX-License-Identifier: Apache-2.0
"""The engine: one submodule per transport, plain data in and out.

Every function releases the GIL while it works.  A panic inside comes out as a
BrickException; errors come out as the classes of `os_brick.exception`.
"""

__all__ = ["fibre_channel", "inventory", "iscsi", "nvmeof", "scsi", "stop_background", "test_support"]

from . import fibre_channel as fibre_channel
from . import inventory as inventory
from . import iscsi as iscsi
from . import nvmeof as nvmeof
from . import scsi as scsi
from . import test_support as test_support

def stop_background() -> None: ...
