# SPDX-License-Identifier: Apache-2.0
"""What is attached to the host, whatever the protocol, and what of it is nobody's any more.

Everything is read from files below `root`; only `orphans` with `live` asks the disks, which
needs root and ends within about a minute however dead they are.
"""

__all__ = ["read", "orphans"]

from typing import Any

def read(root: str = "/", open_counts: bool = False) -> dict[str, Any]: ...
def orphans(root: str = "/", live: bool = False) -> dict[str, Any]: ...
