# SPDX-License-Identifier: Apache-2.0
"""LinuxFibreChannel: what sysfs says about this host's ports, and scans for other projects.

The connectors take the ports' names from here; they scan through the engine.
"""

import os
from collections.abc import Iterable
from typing import Any

from oslo_concurrency import processutils as putils
from oslo_log import log as logging

from os_brick import _engine
from os_brick import _native
from os_brick.initiator import linuxscsi
from os_brick.privileged import fibre_channel as priv_fibre_channel
from os_brick.privileged import plain_data

LOG = logging.getLogger(__name__)

_ZFCP = '/sys/bus/ccw/drivers/zfcp'


class LinuxFibreChannel(linuxscsi.LinuxSCSI):
    """Reads the ports of this host and scans them."""

    FC_HOST_SYSFS_PATH = '/sys/class/fc_host'
    #: The attributes of a port that are read.
    HBA_ATTRIBUTES = ('port_name', 'node_name', 'port_state')

    @classmethod
    def get_fc_hbas(cls) -> list[dict[str, str]]:
        """Return the attributes of every port as sysfs has them.

        :returns: HBA_ATTRIBUTES, `ClassDevice` (host2) and `ClassDevicepath` of each; a
            port that cannot be read is left out
        """
        try:
            names = sorted(name for name in os.listdir(cls.FC_HOST_SYSFS_PATH)
                           if not name.startswith('.'))
        except OSError:
            return []
        hbas = []
        for name in names:
            path = os.path.join(cls.FC_HOST_SYSFS_PATH, name)
            hba = {'ClassDevice': name, 'ClassDevicepath': os.path.realpath(path)}
            try:
                for attribute in cls.HBA_ATTRIBUTES:
                    with open(os.path.join(path, attribute)) as stream:
                        hba[attribute] = stream.read().strip()
            except (OSError, ValueError) as exc:
                LOG.warning('Could not read attributes for %(path)s: %(error)s',
                            {'path': path, 'error': exc})
                continue
            hbas.append(hba)
        return hbas

    @staticmethod
    def _is_online(hba: dict[str, str]) -> bool:
        return hba['port_state'] == 'Online'

    @staticmethod
    def _info(hba: dict[str, str]) -> dict[str, str]:
        return {'port_name': hba['port_name'].replace('0x', ''),
                'node_name': hba['node_name'].replace('0x', ''),
                'host_device': hba['ClassDevice'],
                'device_path': hba['ClassDevicepath']}

    def get_fc_hbas_info(self) -> list[dict[str, str]]:
        """Return port_name and node_name without 0x, host_device and device_path of all."""
        return [self._info(hba) for hba in self.get_fc_hbas()]

    def get_fc_wwpns(self) -> list[str]:
        """Return the names of the ports that are online, without 0x."""
        return [self._info(hba)['port_name'] for hba in self.get_fc_hbas()
                if self._is_online(hba)]

    def get_fc_wwnns(self) -> list[str]:
        """Return the names of the nodes of the ports that are online, without 0x."""
        return [self._info(hba)['node_name'] for hba in self.get_fc_hbas()
                if self._is_online(hba)]

    def rescan_hosts(self, hbas: Iterable[dict[str, str]], connection_properties: dict) -> None:
        """Scan for a volume: its addresses, or its LUNs alone if no port of it is known.

        :param hbas: the ports to scan, as from `get_fc_hbas_info`
        :param connection_properties: as for an attach, or with `targets`, pairs of port
            and LUN
        """
        properties = dict(connection_properties)
        targets = properties.pop('targets', None)
        if targets:
            properties['target_wwns'], properties['target_luns'] = map(list, zip(*targets))
        numbers = [int(hba['host_device'].removeprefix('host')) for hba in hbas]
        plan = _native.call(_engine.fibre_channel.scan_plan,
                            plain_data.select(properties, priv_fibre_channel.PROPERTIES,
                                             priv_fibre_channel.NESTED), numbers)
        for host, what in plan:
            LOG.debug('Scanning host%(host)s for %(what)s', {'host': host, 'what': what})
            self.echo_scsi_command(f'/sys/class/scsi_host/host{host}/scan', what)


class LinuxFibreChannelS390X(LinuxFibreChannel):
    """The same on IBM Z, with the units of zfcp."""

    def get_fc_hbas_info(self) -> list[dict[str, str]]:
        """Return what the base class does, of the ports that are online."""
        return [self._info(hba) for hba in self.get_fc_hbas() if self._is_online(hba)]

    def configure_scsi_device(self, device_number: str, target_wwn: str, lun: Any) -> None:
        """Make a LUN a unit, after a look for its port if that is not known; failures are logged.

        :param device_number: bus id of the adapter, such as 0.0.1700
        :param target_wwn: name of the port, with 0x
        :param lun: address of the LUN, such as 0x0001000000000000
        """
        adapter = f'{_ZFCP}/{device_number}'
        if not os.path.exists(f'{adapter}/{target_wwn}'):
            self._tell_zfcp(f'{adapter}/port_rescan', '1')
        self._tell_zfcp(f'{adapter}/{target_wwn}/unit_add', lun)

    def deconfigure_scsi_device(self, device_number: str, target_wwn: str, lun: Any) -> None:
        """Make a LUN no unit any more; the parameters are those of `configure_scsi_device`."""
        self._tell_zfcp(f'{_ZFCP}/{device_number}/{target_wwn}/unit_remove', lun)

    def _tell_zfcp(self, attribute: str, content: str) -> None:
        try:
            self.echo_scsi_command(attribute, content)
        except putils.ProcessExecutionError as exc:
            LOG.warning('Writing %(content)s to %(attribute)s failed: exit %(code)s, %(stderr)s',
                        {'content': content, 'attribute': attribute,
                         'code': exc.exit_code, 'stderr': exc.stderr})
