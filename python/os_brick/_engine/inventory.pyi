# SPDX-License-Identifier: Apache-2.0
"""What is attached to the host, whatever the protocol, and what of it is nobody's any more.

`read` and `orphans` change nothing.  Everything is read from files below `root`; only
`orphans` with `live` asks the disks, which
needs root and ends within about a minute however dead they are.  `records` is the directory
of the attachment records, [os_brick] attachment_record_path; None when none are kept.  `clean`
looks for what is left behind and proven unused, and takes it away with `apply`.
"""

__all__ = ["read", "orphans", "clean"]

from typing import Any

def read(root: str = "/", open_counts: bool = False,
         records: str | None = None) -> dict[str, Any]: ...
def orphans(root: str = "/", live: bool = False,
            records: str | None = None) -> dict[str, Any]: ...
def clean(lock_path: str, apply: bool = False, root: str = "/",
          records: str | None = None) -> dict[str, Any]: ...
