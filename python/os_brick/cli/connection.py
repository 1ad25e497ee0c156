# SPDX-License-Identifier: Apache-2.0
"""Connection information, as Cinder gives it: read, checked, and kept from being shown.

Nothing here touches the host.  An error names the field and never a value that may be a secret.
"""

import argparse
from collections.abc import Mapping
import dataclasses
import json
import os
import sys
from typing import Any, Optional

from oslo_utils import strutils

from os_brick import exception
from os_brick import initiator
from os_brick.cli import ending
from os_brick.initiator import connector

#: Protocols that mount a share somewhere.
MOUNTED = (initiator.NFS, initiator.GLUSTERFS, initiator.SCALITY, initiator.QUOBYTE, initiator.VZSTORAGE)

_ISCSI = (('target_portal', 'target_portals'), ('target_iqn', 'target_iqns'))
_SHARE = (('export',), ('name',))
#: What each protocol cannot do without: one name of each group.  The connectors check the rest.
_NEEDED: dict[str, tuple[tuple[str, ...], ...]] = {
    initiator.ISCSI: _ISCSI,
    initiator.ISER: _ISCSI,
    initiator.FIBRE_CHANNEL: (('target_wwn', 'target_wwns'),),
    initiator.NVMEOF: (('target_nqn', 'nqn', 'volume_replicas'),),
    initiator.NVME: (('target_nqn', 'nqn', 'volume_replicas'),),
    initiator.RBD: (('name',), ('hosts',), ('ports',), ('cluster_name',), ('auth_username',)),
    initiator.LOCAL: (('device_path',),),
    initiator.GPFS: (('device_path',),),
    initiator.SCALEIO: (('scaleIO_volume_id', 'scaleIO_volname'),),
    initiator.STORPOOL: (('client_id',), ('volume',), ('access_mode',)),
    initiator.LIGHTOS: (('uuid',),),
    initiator.VMDK: (('volume_id',), ('volume',), ('vmdk_path',), ('config',)),
    initiator.HUAWEISDSHYPERVISOR: (('volume_id',),),
    **{protocol: _SHARE for protocol in MOUNTED},
}
#: More of them, that follow from the form the properties have: the first that is there counts.
_NEEDED_WITH: dict[str, dict[str, tuple[str, ...]]] = {
    **dict.fromkeys((initiator.ISCSI, initiator.ISER), {'auth_method': ('auth_username', 'auth_password')}),
    **dict.fromkeys((initiator.NVMEOF, initiator.NVME), {
        'volume_replicas': (), 'target_nqn': ('portals',), 'nqn': ('target_portal', 'transport_type')}),
}
#: Those among them that connectors take empty.
_MAY_BE_EMPTY = ('auth_username',)
#: Protocols whose connector looks for the paths of a volume without changing anything.
_LOOKED_FOR = (initiator.ISCSI, initiator.ISER, initiator.FIBRE_CHANNEL, initiator.NVMEOF, initiator.NVME,
               initiator.LIGHTOS, initiator.SCALEIO, initiator.STORPOOL, initiator.HUAWEISDSHYPERVISOR)
#: What names a volume, the first that is there.
_NAMES = ('target_iqn', 'target_iqns', 'target_wwn', 'target_wwns', 'target_nqn', 'nqn', 'alias', 'name', 'export',
          'scaleIO_volname', 'scaleIO_volume_id', 'volume_id', 'volume', 'uuid', 'device_path')


def load(name: str) -> Any:
    """Read JSON from a file, or from stdin when it is called `-`.

    :raises ValueError: it is not JSON
    """
    if name == '-':
        text = sys.stdin.read()
    else:
        with open(name, encoding='utf-8') as file:
            text = file.read()
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError(f'{name} is nested too deeply') from None
    except ValueError as exc:
        # The text may hold a password: only the place of the mistake is shown.
        raise ValueError(f'{name} is not JSON: {exc}') from None


def properties(found: Any, name: str) -> dict[str, Any]:
    """Return the connection properties in what was read, with or without what Cinder puts around them.

    :raises ValueError: there are none
    """
    if isinstance(found, dict) and isinstance(found.get('data'), dict):
        found = found['data']
    if not isinstance(found, dict):
        raise ValueError(f'{name} holds no connection properties')
    return found


def _secret(key: Any) -> bool:
    if not isinstance(key, str):
        return False
    return 'keyring' in key.lower() or strutils.mask_dict_password({key: ''})[key] != ''


def _secrets(value: Any, known: bool = False) -> set[str]:
    """Return the texts below keys that name secrets."""
    if isinstance(value, Mapping):
        return set().union(*(_secrets(item, known or _secret(key)) for key, item in value.items()))
    if isinstance(value, (list, tuple)):
        return set().union(*(_secrets(item, known) for item in value))
    return {value} if known and isinstance(value, str) and value else set()


def masked(value: Any) -> Any:
    """Return plain data with the values of keys that name secrets replaced."""
    if isinstance(value, Mapping):
        return {key: '***' if _secret(key) and item else masked(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [masked(item) for item in value]
    if isinstance(value, bytes):
        return value.decode('utf-8', 'replace')
    return value if value is None or isinstance(value, (str, int, float)) else str(value)


@dataclasses.dataclass(frozen=True)
class Connection:
    """A volume as Cinder describes it to a host."""

    protocol: str
    properties: dict[str, Any] = dataclasses.field(repr=False)
    mount_point_base: Optional[str] = None

    @property
    def title(self) -> str:
        """What to call the volume in a message."""
        for key in _NAMES:
            value = self.properties.get(key)
            if isinstance(value, (list, tuple)) and value:
                value = value[0]
            if isinstance(value, str) and value:
                return self.hide(f'{self.protocol.lower()} volume {value}')
        return f'{self.protocol.lower()} volume'

    def hide(self, text: str) -> str:
        """Return a text, of whomever, without the secrets of this volume."""
        for secret in sorted(_secrets(self.properties), key=len, reverse=True):
            text = text.replace(secret, '***')
        return strutils.mask_password(text)

    def connector(self, multipath: bool) -> Any:
        """Make the connector of the protocol.

        :raises BrickException: its own configuration is missing
        """
        kwargs: dict[str, Any] = {'do_local_attach': True, 'use_multipath': multipath}
        if self.protocol in MOUNTED:
            kwargs['conn'] = {'mount_point_base': self.mount_point_base, 'data': self.properties}
        return connector.InitiatorConnector.factory(self.protocol, 'sudo', **kwargs)

    def paths_here(self, brick: Any) -> list[str]:
        """Return the devices the volume has on this host now; nothing is mounted or logged in to for that.

        :raises Ended: the connector refuses the properties
        """
        try:
            if self.protocol == initiator.RBD:
                found = [f"/dev/rbd/{self.properties['name']}"]
            elif self.protocol in _LOOKED_FOR:
                found = brick.get_volume_paths(self.properties)
            else:
                found = []
        except (exception.Invalid, exception.VolumePathsNotFound) as exc:
            raise ending.refused(self.hide(str(exc))) from None
        except exception.BrickException:
            # Of connectors that raise instead of finding nothing.
            found = []
        return sorted({path for path in found if os.path.exists(path)})


def _check(protocol: str, given: dict[str, Any], name: str) -> None:
    """Refuse properties without a field that the protocol cannot do without."""
    wanted = list(_NEEDED[protocol])
    forms = _NEEDED_WITH.get(protocol, {})
    wanted += [(key,) for key in next((keys for form, keys in forms.items() if given.get(form)), ())]
    for names in wanted:
        if not any(_is_there(given, key) for key in names):
            raise ending.refused(f'{name}: {" or ".join(names)} is missing, a volume of {protocol} needs it')


def _is_there(given: dict[str, Any], key: str) -> bool:
    value = given.get(key)
    return value not in (None, [], {}) and (value != '' or key in _MAY_BE_EMPTY)


def _parts(found: Any, name: str) -> tuple[Any, dict[str, Any]]:
    """Return the name of the protocol and the properties, of the nested form or the flat one."""
    if not isinstance(found, dict):
        raise ending.refused(f'{name}: connection information is a JSON object, not {type(found).__name__}')
    if 'data' in found:
        data = found['data']
        if not isinstance(data, dict):
            raise ending.refused(f'{name}: data is a JSON object, not {type(data).__name__}')
    else:
        data = {key: value for key, value in found.items()
                if key not in ('driver_volume_type', 'mount_point_base')}
    return found.get('driver_volume_type'), data


def read(arguments: argparse.Namespace) -> Connection:
    """Read the connection information that `FILE` names.

    :raises Ended: it cannot be used; the text names the field
    """
    name = 'stdin' if arguments.file == '-' else arguments.file
    try:
        found = load(arguments.file)
    except (OSError, ValueError) as exc:
        raise ending.refused(str(exc)) from None
    protocol, data = _parts(found, name)
    if not protocol:
        raise ending.refused(f'{name}: driver_volume_type is missing, it names the protocol')
    known = connector.get_connector_mapping()
    if not isinstance(protocol, str) or protocol.upper() not in known:
        raise ending.refused(f'{name}: driver_volume_type is {protocol!r}, known are '
                             f'{", ".join(sorted(known)).lower()}')
    protocol = protocol.upper()
    _check(protocol, data, name)
    base = found.get('mount_point_base') or data.get('mount_point_base')
    if protocol in MOUNTED and not (isinstance(base, str) and os.path.isabs(base)):
        raise ending.refused(f'{name}: mount_point_base is missing or no absolute path, '
                             f'a volume of {protocol} needs it')
    data = dict(data)
    if arguments.enforce_multipath:
        data['enforce_multipath'] = True
    return Connection(protocol, data, base)


def read_device_info(name: str) -> dict[str, Any]:
    """Read what an attach printed as JSON.

    :raises Ended: it cannot be used
    """
    try:
        found = load(name)
    except (OSError, ValueError) as exc:
        raise ending.refused(str(exc)) from None
    if not isinstance(found, dict):
        raise ending.refused(f'{name}: device information is a JSON object, not {type(found).__name__}')
    path = found.get('path')
    if not isinstance(path, str) or not os.path.isabs(path):
        raise ending.refused(f'{name}: path is missing or no absolute path, it names the device')
    return found
