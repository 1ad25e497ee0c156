# SPDX-License-Identifier: Apache-2.0
"""The link that stands for the device of an encrypted volume.

Encryptors replace the path they are given by a link to the decrypted device.  So an
encrypted volume is handed out under a link of its own, whose name holds the real path:
`/dev/dm-0` becomes `/dev/disk/by-id/os-brick+dev+dm-0`.
"""

import glob
import os
import re
from typing import Any

PREFIX = '/dev/disk/by-id/os-brick'

# A slash becomes '+'.  A '+' that was there becomes '=2B' and an '=' is written as '=3D'
# only where it would read as one of these two.  All are characters that device-mapper
# allows in a name, and encryptors make names of this.
_AMBIGUOUS = re.compile('=(?=2B|3D)')
_ESCAPED = re.compile('=(2B|3D)')
_CHARACTER = {'2B': '+', '3D': '='}


def name_for(device_path: str) -> str:
    """Return the path of the link for a device path."""
    escaped = _AMBIGUOUS.sub('=3D', device_path).replace('+', '=2B')
    return PREFIX + escaped.replace('/', '+')


def device_path_of(path: Any) -> Any:
    """Return the device path a link's path holds; anything else comes back unchanged."""
    if not is_link_path(path):
        return path
    escaped = path[len(PREFIX):].replace('+', '/')
    return _ESCAPED.sub(lambda match: _CHARACTER[match.group(1)], escaped)


def is_link_path(path: Any) -> bool:
    """Tell whether this is the path of such a link, and nothing outside its directory."""
    if not isinstance(path, str) or not path.startswith(PREFIX + '+'):
        return False
    return '/' not in path[len(PREFIX):] and '\0' not in path


def existing() -> list[str]:
    """Return the paths of all such links on this host, sorted."""
    paths = sorted(glob.glob(PREFIX + '+*'))
    return [path for path in paths if is_link_path(path)]


def target_of(device_path: str) -> str:
    """Return what the link has to point to: the device without links of udev's."""
    return os.path.realpath(device_path)
