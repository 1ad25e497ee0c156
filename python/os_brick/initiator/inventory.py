# SPDX-License-Identifier: Apache-2.0
"""What is attached to this host, and what of it is nobody's any more, as everybody may read it.

With root's rights `os_brick.privileged.inventory` knows more: how often devices are open,
node records, and what the disks say of themselves now.
"""

from typing import Any

from os_brick import _engine
from os_brick import _native


def read(root: str = '/') -> dict[str, Any]:
    """Return `volumes`, iSCSI `sessions` and NVMe `controllers`, each a list of dictionaries.

    :param root: where the machine's files are; another directory is one that was captured
    """
    return _native.call(_engine.inventory.read, root)


def find_orphans(root: str = '/') -> dict[str, Any]:
    """Return `findings`, the worst first, without asking any disk.

    Each has `kind`, `subject`, `evidence` (`place` and `value`), `risk` and `commands`.

    :param root: as for `read`
    """
    return _native.call(_engine.inventory.orphans, root)
