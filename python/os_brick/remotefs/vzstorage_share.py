# SPDX-License-Identifier: Apache-2.0
"""How shares of Virtuozzo Storage are written: [server,...:/]cluster[:password]."""

import re
from typing import Any, NamedTuple, Optional

from os_brick import exception
from os_brick.i18n import _

# A port belongs to the server; any other colon begins the password.
_SERVER = r'(?:\[[\da-fA-F:.]+\]|[^\s,:/\[\]-][^\s,:/\[\]]*)(?::\d+)?'
_SHARE = re.compile(
    rf'(?:(?P<servers>{_SERVER}(?:,{_SERVER})*):/)?'
    r'(?P<cluster>[a-zA-Z0-9_][a-zA-Z0-9_-]*)'
    r'(?::(?P<password>[^\s/]\S*))?')
# The value of an export in a text that shows connection properties.
_IN_TEXT = re.compile(r"""(?<='export': )(["'])((?:\\.|(?!\1).)*)\1""")


class Share(NamedTuple):
    """The parts of a share; its repr would show the password."""

    servers: list[str]
    cluster: str
    password: Optional[str]


def parse(share: str) -> Share:
    """Return the parts of a share.

    :raises BrickException: it is none; the password is not shown
    """
    found = _SHARE.fullmatch(share)
    if not found:
        raise exception.BrickException(
            _('Invalid Virtuozzo Storage share specification: %r. '
              'Must be: [MDS1[,MDS2],...:/]<CLUSTER NAME>[:PASSWORD].') % shown(share))
    servers = found['servers']
    return Share(servers.split(',') if servers else [], found['cluster'], found['password'])


def shown(share: Any) -> Any:
    """Return a share without its password, also if it is wrongly written."""
    if not isinstance(share, str):
        return share
    found = _SHARE.fullmatch(share)
    if found:
        return share if found['password'] is None else share[:found.start('password')] + '***'
    before, colon, _after = share.partition(':')
    return before + colon + ('***' if colon else '')


def hide_passwords(text: str) -> str:
    """Return a text that shows connection properties without the password of the export."""
    return _IN_TEXT.sub(lambda found: repr(shown(found[2])), text)
