# SPDX-License-Identifier: Apache-2.0
"""Chooses the connector for a protocol, and collects what all of them say of the host."""

import importlib
import platform
import socket
import sys
from typing import Any, Callable, Optional

from oslo_log import log as logging

from os_brick import exception
from os_brick import initiator
from os_brick import utils
from os_brick.i18n import _

LOG = logging.getLogger(__name__)

_CONNECTORS = 'os_brick.initiator.connectors.'
_ISCSI = _CONNECTORS + 'iscsi.ISCSIConnector'
_FIBRE_CHANNEL = _CONNECTORS + 'fibre_channel.FibreChannelConnector'
_FIBRE_CHANNEL_S390X = _CONNECTORS + 'fibre_channel_s390x.FibreChannelConnectorS390X'
_FIBRE_CHANNEL_PPC64 = _CONNECTORS + 'fibre_channel_ppc64.FibreChannelConnectorPPC64'
_REMOTEFS = _CONNECTORS + 'remotefs.RemoteFsConnector'
_RBD = _CONNECTORS + 'rbd.RBDConnector'
_LOCAL = _CONNECTORS + 'local.LocalConnector'
_GPFS = _CONNECTORS + 'gpfs.GPFSConnector'
_HUAWEI = _CONNECTORS + 'huawei.HuaweiStorHyperConnector'
_SCALEIO = _CONNECTORS + 'scaleio.ScaleIOConnector'
_VMDK = _CONNECTORS + 'vmware.VmdkConnector'
_STORPOOL = _CONNECTORS + 'storpool.StorPoolConnector'
_NVMEOF = _CONNECTORS + 'nvmeof.NVMeOFConnector'
_LIGHTOS = _CONNECTORS + 'lightos.LightOSConnector'

#: Every connector class; `get_connector_properties` asks them in this order.
unix_connector_list = [
    _CONNECTORS + 'base.BaseLinuxConnector',
    _ISCSI,
    _FIBRE_CHANNEL,
    _FIBRE_CHANNEL_S390X,
    _FIBRE_CHANNEL_PPC64,
    _REMOTEFS,
    _RBD,
    _LOCAL,
    _GPFS,
    _HUAWEI,
    _SCALEIO,
    _VMDK,
    _STORPOOL,
    _NVMEOF,
    _LIGHTOS,
]

# Protocols that mount a file system; the connector has to be told which one.
_MOUNTED = (initiator.NFS, initiator.GLUSTERFS, initiator.SCALITY, initiator.QUOBYTE,
            initiator.VZSTORAGE)

_connector_mapping_linux = {
    initiator.GLUSTERFS: _REMOTEFS,
    initiator.NFS: _REMOTEFS,
    initiator.SCALITY: _REMOTEFS,
    initiator.QUOBYTE: _REMOTEFS,
    initiator.VZSTORAGE: _REMOTEFS,
    initiator.ISCSI: _ISCSI,
    initiator.ISER: _ISCSI,
    initiator.FIBRE_CHANNEL: _FIBRE_CHANNEL,
    initiator.LOCAL: _LOCAL,
    initiator.HUAWEISDSHYPERVISOR: _HUAWEI,
    initiator.RBD: _RBD,
    initiator.SCALEIO: _SCALEIO,
    initiator.VMDK: _VMDK,
    initiator.GPFS: _GPFS,
    initiator.STORPOOL: _STORPOOL,
    # An older name for NVMe over Fabrics that callers still use.
    initiator.NVME: _NVMEOF,
    initiator.NVMEOF: _NVMEOF,
    initiator.LIGHTOS: _LIGHTOS,
}

_connector_mapping_linux_s390x = {
    initiator.FIBRE_CHANNEL: _FIBRE_CHANNEL_S390X,
    initiator.NFS: _REMOTEFS,
    initiator.ISCSI: _ISCSI,
    initiator.LOCAL: _LOCAL,
    initiator.RBD: _RBD,
    initiator.GPFS: _GPFS,
}

_connector_mapping_linux_ppc64 = {
    initiator.FIBRE_CHANNEL: _FIBRE_CHANNEL_PPC64,
    initiator.NFS: _REMOTEFS,
    initiator.ISCSI: _ISCSI,
    initiator.LOCAL: _LOCAL,
    initiator.RBD: _RBD,
    initiator.GPFS: _GPFS,
    initiator.VZSTORAGE: _REMOTEFS,
    initiator.ISER: _ISCSI,
}


def _get_connector_list() -> list[str]:
    return unix_connector_list


def _find_class(path: str) -> Optional[Any]:
    """Return a connector class by its dotted path, or None if its module is not here.

    :raises ImportError: the module is here and needs one that is not
    """
    module_name, _dot, class_name = path.rpartition('.')
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as exc:
        if exc.name != module_name:
            raise
        LOG.debug('There is no connector %s', path)
        return None
    return getattr(module, class_name)


def _set_aliases() -> None:
    """Make every connector class an attribute of this module, where callers look."""
    for path in _get_connector_list():
        found = _find_class(path)
        if found is not None:
            globals()[path.rpartition('.')[2]] = found


_set_aliases()


@utils.trace
def get_connector_properties(root_helper: Optional[str], my_ip: Optional[str], multipath: bool,
                             enforce_multipath: bool, host: Optional[str] = None,
                             execute: Optional[Callable] = None) -> dict[str, Any]:
    """Return what storage backends have to know to export a volume to this host.

    :param root_helper: see `os_brick.executor.Executor`
    :param my_ip: the address of this host
    :param multipath: whether the host wants to use several paths
    :param enforce_multipath: whether an attach must fail when it cannot
    :param host: the name of this host, found out when empty
    :param execute: see `os_brick.executor.Executor`
    :returns: plain data that can be stored as JSON
    """
    props: dict[str, Any] = {
        'platform': platform.machine(),
        'os_type': sys.platform,
        'ip': my_ip,
        'host': host or socket.gethostname(),
    }
    for path in _get_connector_list():
        connector = _find_class(path)
        if connector is None:
            continue
        if (utils.platform_matches(props['platform'], connector.platform)
                and utils.os_matches(props['os_type'], connector.os_type)):
            props = utils.merge_dict(props, connector.get_connector_properties(
                root_helper, host=host, multipath=multipath,
                enforce_multipath=enforce_multipath, execute=execute))
    return props


def get_connector_mapping(arch: Optional[str] = None) -> dict[str, str]:
    """Return the dotted class path of the connector for each protocol.

    :param arch: the machine architecture, that of this host by default
    """
    if arch is None:
        arch = platform.machine()
    if arch in (initiator.S390, initiator.S390X):
        return _connector_mapping_linux_s390x
    if arch in (initiator.PPC64, initiator.PPC64LE):
        return _connector_mapping_linux_ppc64
    return _connector_mapping_linux


class InitiatorConnector:
    """Where services get their connectors from."""

    @staticmethod
    def factory(protocol: str, root_helper: Optional[str], driver: Any = None,
                use_multipath: bool = False,
                device_scan_attempts: int = initiator.DEVICE_SCAN_ATTEMPTS_DEFAULT,
                arch: Optional[str] = None, *args: Any, **kwargs: Any) -> Any:
        """Make the connector for a protocol.

        :param protocol: one of the protocols of `os_brick.initiator`, in any case
        :param arch: the machine architecture, that of this host by default
        :param kwargs: passed to the connector, like the arguments before
        :raises InvalidConnectorProtocol: there is none for it on this architecture
        """
        mapping = get_connector_mapping(arch)
        LOG.debug('Factory for %(protocol)s on %(arch)s', {'protocol': protocol, 'arch': arch})
        protocol = protocol.upper()
        path = mapping.get(protocol)
        connector = _find_class(path) if path else None
        if connector is None:
            raise exception.InvalidConnectorProtocol(
                _('Invalid InitiatorConnector protocol specified %(protocol)s')
                % {'protocol': protocol})

        if protocol in _MOUNTED:
            kwargs['mount_type'] = protocol.lower()
        elif protocol == initiator.ISER:
            kwargs['transport'] = 'iser'
        kwargs.update(root_helper=root_helper, driver=driver, use_multipath=use_multipath,
                      device_scan_attempts=device_scan_attempts)
        return connector(*args, **kwargs)
