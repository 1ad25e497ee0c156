# SPDX-License-Identifier: Apache-2.0
"""Subsystems and portals of NVMe-oF as callers of the connector's module know them.

They look at sysfs and change nothing; an attach itself is the engine's.
"""

import glob
import os
from typing import Any, Optional, Union
import uuid as uuid_lib

from oslo_log import log as logging

from os_brick import exception
from os_brick import utils

LOG = logging.getLogger(__name__)

DEV_SEARCH_PATH = '/dev/'
NVME_CTRL_SYSFS_PATH = '/sys/class/nvme-fabrics/ctl/'
BLK_SYSFS_PATH = '/sys/class/block/'

# Where callers import these from, which is what they are called in a traceback.
_HOME = 'os_brick.initiator.connectors.nvmeof'


def sysfs_property(prop_name: str, path_or_name: str) -> Optional[str]:
    """Return an attribute without surrounding blanks, or None if it cannot be read."""
    try:
        with open(os.path.join(path_or_name, prop_name)) as stream:
            return stream.read().strip()
    except OSError as exc:
        # Devices vanish while they are looked at.
        LOG.debug('No attribute %(name)s: %(error)s', {'name': prop_name, 'error': exc})
        return None


def ctrl_property(prop_name: str, ctrl_name: str) -> Optional[str]:
    """Return an attribute of a controller such as `nvme0`, or None."""
    return sysfs_property(prop_name, NVME_CTRL_SYSFS_PATH + ctrl_name)


def blk_property(prop_name: str, blk_name: str) -> Optional[str]:
    """Return an attribute of a block device such as `nvme0n1`, or None."""
    return sysfs_property(prop_name, BLK_SYSFS_PATH + blk_name)


def nvme_basename(path: str) -> str:
    """Return the name of the device behind a path: `nvme0c1n10` belongs to `nvme0n10`."""
    name = os.path.basename(path)
    subsystem, separator, rest = name.partition('c')
    return subsystem + rest[rest.index('n'):] if separator else name


for _function in (sysfs_property, ctrl_property, blk_property, nvme_basename):
    _function.__module__ = _HOME


class Portal:
    """A way to a subsystem, and the controller that uses it once there is one."""

    __module__ = _HOME

    LIVE = 'live'
    MISSING = None
    CONNECTING = 'connecting'
    #: Seconds between two tries of the kernel to reconnect, when it does not say.
    DEFAULT_RECONNECT_DELAY = 10
    controller: Optional[str] = None

    def __init__(self, parent_target: 'Target', address: str, port: Union[str, int],
                 transport: str) -> None:
        """Take the parts of a portal.

        :param transport: `rdma` and `RoCEv2` are RDMA, everything else is TCP
        """
        self.parent_target = parent_target
        self.address = address
        self.port = str(port)
        self.transport = 'rdma' if transport in ('RoCEv2', 'rdma') else 'tcp'

    def __str__(self) -> str:
        return (f'Portal {self.transport} at {self.address}:{self.port} '
                f'(ctrl: {self.controller})')

    __repr__ = __str__

    @property
    def is_live(self) -> bool:
        """Whether the known controller is connected."""
        return self.state == self.LIVE

    @property
    def state(self) -> Optional[str]:
        """What the kernel says of the known controller, or None."""
        return ctrl_property('state', self.controller) if self.controller else None

    @property
    def reconnect_delay(self) -> int:
        """Seconds between two tries of the kernel to reconnect."""
        shown = ctrl_property('reconnect_delay', self.controller) if self.controller else None
        return self.DEFAULT_RECONNECT_DELAY if shown is None else int(shown)

    def get_device(self) -> Optional[str]:
        """Return the path of the target's device on this portal, or None.

        The most trusted identity decides: uuid, then nguid, then the number.
        """
        target = self.parent_target
        for name, value in (('uuid', target.uuid), ('nguid', target.nguid),
                            ('nsid', target.ns_id)):
            if value:
                return self.get_device_by_property(name, value)
        LOG.warning('%s has no identity, taking what is new', target)
        return target.get_device_path_by_initial_devices()

    def get_all_namespaces_ctrl_paths(self) -> list[str]:
        """Return the sysfs paths of the namespaces behind the known controller.

        With native multipath their names have the controller in them: `nvme0c1n1`.
        """
        if not self.controller:
            return []
        return glob.glob(f'{NVME_CTRL_SYSFS_PATH}{self.controller}/nvme*')

    def get_device_by_property(self, prop_name: str, value: str) -> Optional[str]:
        """Return the path of the device with an attribute of this value, or None."""
        for path in self.get_all_namespaces_ctrl_paths():
            if sysfs_property(prop_name, path) == str(value):
                return DEV_SEARCH_PATH + nvme_basename(path)
        LOG.debug('No device with %(name)s %(value)s behind %(portal)s',
                  {'name': prop_name, 'value': value, 'portal': self})
        return None

    def can_disconnect(self) -> bool:
        """Tell whether the controller leads to nothing but, at most, this target's device."""
        if not self.controller:
            return False
        paths = self.get_all_namespaces_ctrl_paths()
        if len(paths) != 1:
            return not paths
        return os.path.basename(self.get_device() or '') == nvme_basename(paths[0])


class Target:
    """A namespace of a subsystem and the portals that lead to it."""

    __module__ = _HOME

    #: The devices there were before the attach, for a target without an identity.
    devices_on_start: Optional[list[str]] = None
    _device: Optional[str] = None

    @classmethod
    def factory(cls, source_conn_props: Any, target_nqn: str, portals: list,
                vol_uuid: Optional[str] = None, volume_nguid: Optional[str] = None,
                ns_id: Optional[str] = None, host_nqn: Optional[str] = None,
                find_controllers: bool = False, **ignore: Any) -> 'Target':
        """Make a target from the keys of connection properties; others are ignored."""
        return cls(source_conn_props, target_nqn, portals, vol_uuid, volume_nguid, ns_id,
                   host_nqn, find_controllers)

    def __init__(self, source_conn_props: Any, nqn: str, portals: list,
                 uuid: Optional[str] = None, nguid: Optional[str] = None,
                 ns_id: Optional[str] = None, host_nqn: Optional[str] = None,
                 find_controllers: bool = False) -> None:
        """Take the parts of a target.

        :param portals: address, port and transport of each
        :param uuid: in any spelling, as nguid
        :param find_controllers: look for the controllers of the portals at once
        """
        self.source_conn_props = source_conn_props
        self.nqn = nqn
        self.portals = [Portal(self, *portal) for portal in portals]
        self.uuid = uuid and str(uuid_lib.UUID(uuid))
        self.nguid = nguid and str(uuid_lib.UUID(nguid))
        self.ns_id = ns_id
        self.host_nqn = host_nqn
        if find_controllers:
            self.set_portals_controllers()
        if not (uuid or nguid or ns_id):
            self.devices_on_start = self._get_nvme_devices()

    def __str__(self) -> str:
        return f'Target {self.nqn} at {self.portals}'

    __repr__ = __str__

    @staticmethod
    def _get_nvme_devices() -> list[str]:
        return glob.glob('/dev/nvme*n*')

    @property
    def live_portals(self) -> list[Portal]:
        """The portals whose known controller is connected."""
        return [portal for portal in self.portals if portal.is_live]

    @property
    def present_portals(self) -> list[Portal]:
        """The portals that have a controller, in whatever state."""
        return [portal for portal in self.portals if portal.state is not None]

    def set_portals_controllers(self) -> None:
        """Look for the controller of every portal that has none yet."""
        missing = [portal for portal in self.portals if not portal.controller]
        if not missing:
            return
        taken = {portal.controller for portal in self.portals}
        hostnqn = self.host_nqn or utils.get_host_nqn()
        wanted = [(portal.address, portal.port, portal.transport, hostnqn)
                  for portal in missing]
        for path in glob.glob(NVME_CTRL_SYSFS_PATH + 'nvme*'):
            name = os.path.basename(path)
            if name in taken or sysfs_property('subsysnqn', path) != self.nqn:
                continue
            shown = self._portal_of(path)
            if shown in wanted:
                index = wanted.index(shown)
                missing[index].controller = name

    @staticmethod
    def _portal_of(path: str) -> tuple:
        """Return address, port, transport and host name of a controller.

        Newer kernels add more to the address; older ones do not show the host's name.
        """
        address = sysfs_property('address', path)
        if not address:
            LOG.error("Couldn't read address for %s", path)
            return ()
        parts = dict(part.partition('=')[::2] for part in address.split(','))
        hostnqn = sysfs_property('hostnqn', path)
        if not hostnqn:
            LOG.warning('The kernel does not show the host nqn of %s, a controller of '
                        'another host nqn may be taken for it', path)
        return (parts.get('traddr'), parts.get('trsvcid'),
                sysfs_property('transport', path), hostnqn or utils.ANY)

    def get_devices(self, only_live: bool = False, get_one: bool = False) -> list[str]:
        """Return the paths of the target's devices.

        :param only_live: pass over portals whose controller is not connected
        :param get_one: stop at the first
        """
        found: dict[str, None] = {}
        for portal in self.live_portals if only_live else self.present_portals:
            device = portal.get_device()
            if device:
                found[device] = None
                if get_one:
                    break
        return list(found)

    @utils.retry(exception.VolumeDeviceNotFound, retries=5)
    def find_device(self) -> str:
        """Return the path of the target's device on a connected controller.

        :raises VolumeDeviceNotFound: there is none after several looks
        """
        if not self._device:
            devices = self.get_devices(only_live=True, get_one=True)
            if not devices:
                raise exception.VolumeDeviceNotFound(device=self.nqn)
            self._device = devices[0]
        return self._device

    def get_device_path_by_initial_devices(self) -> Optional[str]:
        """Return the one device of our controllers that is new, or None.

        Several are accepted only if all are the same volume.
        """
        ours = set()
        for portal in self.portals:
            ours.update(DEV_SEARCH_PATH + nvme_basename(path)
                        for path in portal.get_all_namespaces_ctrl_paths())
        new = sorted(ours.intersection(self._get_nvme_devices())
                     - set(self.devices_on_start or ()))
        if len(new) > 1:
            uuids = {blk_property('uuid', os.path.basename(device)) for device in new}
            if len(uuids) > 1:
                LOG.error('Different volumes are new behind %(target)s: %(devices)s',
                          {'target': self, 'devices': new})
                return None
        return new[0] if new else None
