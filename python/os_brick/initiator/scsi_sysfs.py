# SPDX-License-Identifier: Apache-2.0
"""What sysfs and the links of udev say about SCSI devices.  Nothing here changes the host."""

import glob
import os
from collections.abc import Iterable, Sequence
from typing import Any, Optional, Union

from oslo_log import log as logging

from os_brick import _engine
from os_brick import _native
from os_brick import constants
from os_brick import exception
from os_brick import executor

LOG = logging.getLogger(__name__)

_SYS = '/sys'
#: Below which the engine looks for /sys and /dev.
_ROOT = '/'
#: What flat space addressing sets in the number of a LUN.
_FLAT_SPACE = 0x4000


def _read(path: str) -> str:
    """Return the text of an attribute, empty if it is absent or unreadable."""
    try:
        with open(path) as stream:
            return stream.read().strip()
    except (OSError, ValueError):
        return ''


class ScsiSysfs(executor.Executor):
    """Finds SCSI devices, their identities and the maps over them."""

    #: Prefixes of an identity in sysfs, and the digit udev has for each.
    WWN_TYPES = {'t10.': '1', 'eui.': '2', 'naa.': '3'}

    @staticmethod
    def lun_for_addressing(lun: int, addressing_mode: Optional[str] = None) -> int:
        """Return the number by which the kernel knows a LUN.

        It depends on the addressing the storage array uses, which the host cannot see:

        * SAM and transparent: the number as it is, also the default
        * SAM2: peripheral below 256 (as it is), flat space from 256 on
        * SAM3-flat: flat space for every number

        :param lun: the number the backend gave
        :param addressing_mode: one of constants.SCSI_ADDRESSING_MODES
        :raises InvalidParameterValue: it is another
        """
        mode = addressing_mode or constants.SCSI_ADDRESSING_SAM
        if mode not in constants.SCSI_ADDRESSING_MODES:
            raise exception.InvalidParameterValue(f'Invalid addressing_mode {addressing_mode}')
        if mode == constants.SCSI_ADDRESSING_SAM3_FLAT or (
                mode == constants.SCSI_ADDRESSING_SAM2 and lun >= 256):
            LOG.info('LUN %(lun)s is addressed as %(address)s',
                     {'lun': lun, 'address': lun + _FLAT_SPACE})
            return lun + _FLAT_SPACE
        return lun

    def get_name_from_path(self, path: str) -> Optional[str]:
        """Return the /dev/sdX a link of udev leads to, None if that is not below /dev."""
        name = os.path.realpath(path)
        return name if name.startswith('/dev/') else None

    def get_device_info(self, device: str) -> dict[str, Optional[str]]:
        """Return the SCSI address of a device.

        :param device: /dev/sdX or a link to it
        :returns: device as given, and host, channel, id and lun as decimal texts; None
            for each when it is no SCSI device
        """
        info: dict[str, Optional[str]] = {
            'device': device, 'host': None, 'channel': None, 'id': None, 'lun': None}
        name = os.path.basename(os.path.realpath(device))
        hctl = os.path.basename(os.path.realpath(f'{_SYS}/block/{name}/device')).split(':')
        if len(hctl) == 4:
            info.update(zip(('host', 'channel', 'id', 'lun'), hctl))
        LOG.debug('SCSI address of %(device)s: %(info)s', {'device': device, 'info': info})
        return info

    def get_sysfs_wwid(self, device_names: Iterable[str]) -> str:
        """Return the identity of the first device that tells it, in udev's form.

        :param device_names: kernel names such as sda
        :returns: an empty text if none does
        """
        for name in device_names:
            wwid = _read(f'{_SYS}/block/{name}/device/wwid')
            if wwid:
                return self.WWN_TYPES.get(wwid[:4], '8') + wwid[4:]
        return ''

    def get_sysfs_wwn(self, device_names: list[str], mpath: Optional[str] = None) -> str:
        """Return the identity of a volume as udev and multipath know it.

        An array may offer several designators, of which sysfs shows one and udev another,
        so the one from sysfs only counts if udev made a link of it.

        :param device_names: the volume's paths, kernel names such as sda
        :param mpath: its map, such as dm-0, if there is one
        :returns: an empty text if it is not known
        """
        return _native.call(_engine.scsi.identity, list(device_names), mpath, _ROOT)

    def get_dm_name(self, dm: str) -> str:
        """Return the name device-mapper has for a map such as dm-0, empty if it is gone."""
        return _read(f'{_SYS}/block/{dm}/dm/name')

    def find_sysfs_multipath_dm(self, device_names: Iterable[str]) -> Optional[str]:
        """Find the multipath map over any of the devices.

        Only multipath's maps count: a logical volume or an encrypted device that holds
        the disk must never be flushed as if it were one.

        :param device_names: kernel names such as sda
        :returns: a kernel name such as dm-0, or None
        """
        return _native.call(_engine.scsi.multipath_map, list(device_names), _ROOT)

    def _sysfs_multipath_device(self, device: str) -> Optional[dict[str, Any]]:
        """Describe the map over a device as multipath would, from what the kernel shows."""
        return _native.call(_engine.scsi.multipath_device, device, _ROOT)

    @staticmethod
    def requires_flush(path: str, path_used: Optional[str], was_multipath: bool) -> bool:
        """Tell whether a path has to be flushed before it is removed.

        That is so if data was written through it: it is the device the caller used, or
        it is the only path and an encryptor put a link to its own device in its place.

        :param path: the device to remove, such as /dev/sda
        :param path_used: what the caller did its I/O with; None after a failed attach
        :param was_multipath: the caller used a multipath device
        """
        if not path_used:
            return False
        used = os.path.realpath(path_used)
        if used == os.path.realpath(path):
            return True
        return not was_multipath and os.path.dirname(used) != '/dev'

    def process_lun_id(self, lun_ids: Union[list, int, str]) -> Any:
        """Return LUNs as udev writes them in by-path names.

        :param lun_ids: one LUN or a list of them
        :returns: the like: numbers below 256, from there on 64-bit addresses in hex
        """
        if isinstance(lun_ids, list):
            return [self._format_lun_id(lun) for lun in lun_ids]
        return self._format_lun_id(lun_ids)

    @staticmethod
    def _format_lun_id(lun_id: Union[int, str]) -> Union[int, str]:
        number = int(lun_id)
        if number < 256:
            return number
        return f'0x{number & 0xffff:04x}{number >> 16 & 0xffff:04x}00000000'

    def get_hctl(self, session: str, lun: Any) -> Optional[tuple[str, str, str, Any]]:
        """Return the address to scan for a LUN of an iSCSI session.

        :param session: the number of the session
        :returns: host, channel, target and lun; channel and target are '-' while the
            session has no target yet; None if there is no such session
        """
        pattern = f'{_SYS}/class/iscsi_host/host*/device/session{session}'
        targets = sorted(glob.glob(pattern + '/target*'))
        if targets:
            host, channel, target = os.path.basename(targets[0])[len('target'):].split(':')
            return host, channel, target, lun
        for path in glob.glob(pattern):
            host = path.split('/')[-3][len('host'):]
            return host, '-', '-', lun
        LOG.debug('No iSCSI session %s', session)
        return None

    def device_name_by_hctl(self, session: str, hctl: Sequence) -> Optional[str]:
        """Find the disk of an iSCSI session at an address.

        :param session: the number of the session
        :param hctl: host, channel, target and lun; '-' stands for any
        :returns: a kernel name such as sda, never a partition; None if there is none
        """
        host, channel, target, lun = ('*' if part == '-' else part for part in hctl)
        address = f'{host}:{channel}:{target}'
        devices = sorted(glob.glob(
            f'{_SYS}/class/scsi_host/host{host}/device/session{session}/target{address}/'
            f'{address}:{lun}/block/*'))
        LOG.debug('Devices of session %(session)s at %(address)s:%(lun)s: %(devices)s',
                  {'session': session, 'address': address, 'lun': lun, 'devices': devices})
        return os.path.basename(devices[0]) if devices else None

    def _read_only_maps(self, wwn: str) -> list[str]:
        """Return the kernel names of read-only maps of a volume and its partitions."""
        return [dm for dm in sorted(map(os.path.basename, glob.glob(f'{_SYS}/block/dm-*')))
                if (wwn in self.get_dm_name(dm) or wwn in _read(f'{_SYS}/block/{dm}/dm/uuid'))
                and _read(f'{_SYS}/block/{dm}/ro') == '1']
