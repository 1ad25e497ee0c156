# SPDX-License-Identifier: Apache-2.0
"""The connection properties of NVMe-oF volumes, and their keys.

Old drivers name one portal in keys of its own::

    {'nqn': 'nqn.2014-08.org:v1', 'transport_type': 'tcp', 'target_portal': '10.0.0.1',
     'target_port': 4420, 'volume_nguid': ..., 'ns_id': ..., 'host_nqn': ...}

Newer ones list portals as address, port and transport, and name the namespace::

    {'target_nqn': 'nqn.2014-08.org:v1', 'vol_uuid': '...',
     'portals': [('10.0.0.1', 4420, 'tcp'), ('10.0.1.1', 4420, 'tcp')]}

A replicated volume is a list of these, its name, and how many there should be::

    {'vol_uuid': '...', 'alias': 'v1', 'replica_count': 2, 'volume_replicas': [...]}
"""

import functools
from typing import Any, Callable, Optional
import uuid as uuid_lib

from os_brick.initiator.connectors import nvmeof_target

OLD_NQN = 'nqn'
TRANSPORT = 'transport_type'
PORTAL = 'target_portal'
PORT = 'target_port'

NGUID = 'volume_nguid'
NSID = 'ns_id'
HOST_NQN = 'host_nqn'

UUID = 'vol_uuid'
NQN = 'target_nqn'
PORTALS = 'portals'
ALIAS = 'alias'
REPLICAS = 'volume_replicas'
REPLICA_COUNT = 'replica_count'


class NVMeOFConnProps:
    """One form for all formats of connection properties.

    :ivar is_replicated: True for a mirror, False for one namespace, None for a single
        replica, whose content decides
    :ivar targets: a Target for each namespace
    """

    __module__ = 'os_brick.initiator.connectors.nvmeof'

    RO = 'ro'
    RW = 'rw'
    replica_count = None
    cinder_volume_id: Optional[str] = None

    def __init__(self, conn_props: dict, find_controllers: bool = False) -> None:
        """Read the properties; the dictionary stays as it is.

        :param find_controllers: look for the controllers of all portals at once
        """
        self.qos_specs = conn_props.get('qos_specs')
        self.readonly = conn_props.get('access_mode', self.RW) == self.RO
        self.encrypted = conn_props.get('encrypted', False)
        self.cacheable = conn_props.get('cacheable', False)
        self.discard = conn_props.get('discard', False)
        self.enforce_multipath = conn_props.get('enforce_multipath', False)
        self.alias = conn_props.get(ALIAS)
        self.device_path = conn_props.get('device_path')
        self._conn_props = conn_props

        if REPLICAS in conn_props:
            replicas = conn_props[REPLICAS]
            self.replica_count = conn_props[REPLICA_COUNT] or len(replicas)
            self.is_replicated = True if self.replica_count > 1 else None
            self.cinder_volume_id = str(uuid_lib.UUID(conn_props[UUID]))
        else:
            self.is_replicated = False
            replicas = [self._in_new_format(conn_props)]
        self.targets = [
            nvmeof_target.Target.factory(source_conn_props=self,
                                         find_controllers=find_controllers, **replica)
            for replica in replicas]

    @staticmethod
    def _in_new_format(conn_props: dict) -> dict:
        if NQN in conn_props:
            return conn_props
        # The vol_uuid beside an old format is Cinder's, not the namespace's.
        return {**conn_props, UUID: None, NQN: conn_props[OLD_NQN],
                PORTALS: [(conn_props[PORTAL], conn_props[PORT], conn_props[TRANSPORT])]}

    def get_devices(self, only_live: bool = False) -> list[str]:
        """Return the devices of all targets that are on this host."""
        return [device for target in self.targets for device in target.get_devices(only_live)]

    @classmethod
    def from_dictionary_parameter(cls, func: Callable) -> Callable:
        """Make a method that takes an instance of this class take the dictionary."""
        @functools.wraps(func)
        def wrapper(self: Any, connection_properties: dict, *args: Any, **kwargs: Any) -> Any:
            conn_props = cls(connection_properties, find_controllers=True)
            return func(self, conn_props, *args, **kwargs)
        return wrapper
