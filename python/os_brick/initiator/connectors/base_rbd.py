# SPDX-License-Identifier: Apache-2.0
"""What connectors of RBD share on every operating system."""

from typing import Any, Optional

from os_brick import ceph


class RBDConnectorMixin:
    """Connection properties of RBD as arguments of its programs."""

    @staticmethod
    def _sanitize_mon_hosts(hosts: list[str]) -> list[str]:
        """Return the monitors' addresses, those of IPv6 in brackets."""
        return [ceph.bracketed(host) for host in hosts]

    @classmethod
    def _get_rbd_args(cls, connection_properties: dict[str, Any],
                      conf: Optional[str] = None) -> list[str]:
        """Return the arguments that tell `rbd` who asks whom.

        :param conf: a configuration file with the key
        """
        return ceph.access_arguments(connection_properties.get('auth_username'),
                                     connection_properties.get('hosts'),
                                     connection_properties.get('ports'), conf)
