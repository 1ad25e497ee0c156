# SPDX-License-Identifier: Apache-2.0
"""Whether attaches and detaches are written down, and where.

The engine writes the records, as root and under the volume's locks.
"""

from typing import Optional

from oslo_config import cfg

CONF = cfg.CONF


def path() -> Optional[str]:
    """Return the directory as configured now, None for no records."""
    return CONF.os_brick.attachment_record_path or None


def settings() -> dict[str, str]:
    """Return what the engine needs to know, nothing when there are no records."""
    directory = path()
    return {'attachment_record_path': directory} if directory else {}
