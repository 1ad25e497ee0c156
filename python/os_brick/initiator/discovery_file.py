# SPDX-License-Identifier: Apache-2.0
"""What a file for the discovery client of LightOS says of a volume.

The client refuses a whole file for one word it does not understand, and only its own log
tells, so everything that goes into a file is checked here.
"""

import re
from collections.abc import Mapping
from typing import Any

from os_brick import exception

# The name of a file, and a word of a line, as the client reads them.
_UUID = re.compile(r'[0-9A-Za-z][0-9A-Za-z._-]*')
_WORD = re.compile(r'[^\s=#]+')
_HIGHEST_PORT = 65535


def _invalid(text: str) -> exception.InvalidParameterValue:
    return exception.InvalidParameterValue(err=text)


def _checked(where: str, mapping: Any, key: str, pattern: re.Pattern = _WORD) -> str:
    """Return a value as text if the discovery client reads it as a single word."""
    value = mapping.get(key)
    if (not isinstance(value, (str, int)) or isinstance(value, bool)
            or not pattern.fullmatch(str(value))):
        raise _invalid(f'{where} needs {key} in one word, not {value!r}')
    return str(value)


def volume_uuid(properties: Any) -> str:
    """Return the uuid of a volume, which names its file.

    :raises InvalidParameterValue: there is none, or it is no file name
    """
    if not isinstance(properties, Mapping):
        raise _invalid('connection_properties must be a dictionary, '
                       f'not {type(properties).__name__}')
    return _checked('connection_properties', properties, 'uuid', _UUID)


def content(uuid: str, properties: Mapping, host_nqn: str) -> str:
    """Return the content of a volume's file.

    :param properties: the connection properties; see LightOSConnector.connect_volume
    :raises InvalidParameterValue: naming the property the client could not read
    """
    subsystem = _checked('connection_properties', properties, 'subsysnqn')
    nodes = properties.get('lightos_nodes')
    if not isinstance(nodes, Mapping) or not nodes:
        raise _invalid(f'connection_properties needs lightos_nodes, not {nodes!r}')
    lines = [f'# os_brick connector dsc file for LightOS volume: {uuid}']
    for name, node in nodes.items():
        where = f'lightos_nodes[{name!r}]'
        if not isinstance(node, Mapping):
            raise _invalid(f'{where} must be a dictionary, not {node!r}')
        transport = _checked(where, node, 'transport_type')
        # The kernel takes no brackets around an IPv6 address.
        address = _checked(where, node, 'target_portal').strip('[]')
        port = _checked(where, node, 'target_port')
        if not port.isdecimal() or not 0 < int(port) <= _HIGHEST_PORT:
            raise _invalid(f'{where} needs target_port as a number up to {_HIGHEST_PORT}, '
                           f'not {port!r}')
        lines.append(f'-t {transport} -a {address} -s {port} -q {host_nqn} -n {subsystem}')
    return ''.join(f'{line}\n' for line in lines)
