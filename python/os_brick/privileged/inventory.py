# SPDX-License-Identifier: Apache-2.0
"""What only root can find out about the attached volumes.  Nothing on the host is changed."""

from typing import Any, Optional

from os_brick import _engine
from os_brick import _native
from os_brick import privileged
from os_brick.privileged import plain_data


@privileged.default.entrypoint
def read(records: Optional[str] = None) -> dict[str, Any]:
    """Return the inventory with the open counts; see `os_brick.initiator.inventory.read`.

    :param records: directory of the attachment records; then each volume's `record` says
        whose it is: `attached`, `half_done`, `under_way`, `stale` (from before the host was
        started) or `unknown`
    """
    return _native.call(_engine.inventory.read, '/', True,
                        plain_data.check_path('records', records))


@privileged.default.entrypoint
def find_orphans(records: Optional[str] = None) -> dict[str, Any]:
    """Return the findings after asking every disk that is up for its identity.

    See `os_brick.initiator.inventory.find_orphans`; disks that did not answer are in
    `silent`.  Takes about a minute at most.

    :param records: directory of the attachment records, which are findings too when nobody
        finished what they tell of or their volume is not here
    """
    return _native.call(_engine.inventory.orphans, '/', True,
                        plain_data.check_path('records', records))
