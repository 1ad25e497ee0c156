# SPDX-License-Identifier: Apache-2.0
"""What connection properties of iSCSI say about targets."""

import copy
from collections.abc import Iterator
from typing import Any, Optional, Sequence, Union

from os_brick.initiator import initiator_connector

Lun = Union[int, str]


class BaseISCSIConnector(initiator_connector.InitiatorConnector):
    """Reads the targets of a volume, given singly or in parallel lists."""

    def _iterate_all_targets(self, connection_properties: dict) -> Iterator[dict[str, Any]]:
        """Yield one copy of the properties per target, with the singular keys only."""
        for portal, iqn, lun in self._get_all_targets(connection_properties):
            props = copy.deepcopy(connection_properties)
            for key in ('target_portals', 'target_iqns', 'target_luns'):
                props.pop(key, None)
            props.update(target_portal=portal, target_iqn=iqn, target_lun=lun)
            yield props

    @staticmethod
    def _get_luns(con_props: dict, iqns: Optional[Sequence[str]] = None) -> list[Lun]:
        """Return a LUN for each iqn: the listed ones, or the single one repeated."""
        luns = con_props.get('target_luns')
        if luns:
            return luns
        count = len(con_props['target_iqns'] if iqns is None else iqns)
        return [con_props['target_lun']] * count

    def _get_all_targets(self, connection_properties: dict) -> list[tuple[str, str, Lun]]:
        """Return (portal, iqn, lun) of every target; the lists win over the single one."""
        if 'target_portals' in connection_properties and 'target_iqns' in connection_properties:
            return list(zip(connection_properties['target_portals'],
                            connection_properties['target_iqns'],
                            self._get_luns(connection_properties)))
        return [(connection_properties['target_portal'],
                 connection_properties['target_iqn'],
                 connection_properties.get('target_lun', 0))]
