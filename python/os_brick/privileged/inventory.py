# SPDX-License-Identifier: Apache-2.0
"""What only root can find out about the attached volumes.  Nothing on the host is changed."""

from typing import Any

from os_brick import _engine
from os_brick import _native
from os_brick import privileged


@privileged.default.entrypoint
def read() -> dict[str, Any]:
    """Return the inventory with the open counts; see `os_brick.initiator.inventory.read`."""
    return _native.call(_engine.inventory.read, '/', True)


@privileged.default.entrypoint
def find_orphans() -> dict[str, Any]:
    """Return the findings after asking every disk that is up for its identity.

    See `os_brick.initiator.inventory.find_orphans`; disks that did not answer are in
    `silent`.  Takes about a minute at most.
    """
    return _native.call(_engine.inventory.orphans, '/', True)
