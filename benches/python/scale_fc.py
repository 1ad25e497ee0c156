# SPDX-License-Identifier: Apache-2.0
"""Look-ups of Fibre Channel volumes: every volume a LUN of 8 remote ports."""

import importlib
import os

LOCK_PATH = '/run/lock/os-brick'
PORTS = 8

OPERATIONS = {
    'paths': 'get_volume_paths',
    'devices': "a volume's disks and map, as a detach looks for them",
    'addresses': 'where to scan (_get_hba_channel_scsi_target_lun)',
}


def tree(volumes):
    """Options of the simulator for a tree of so many volumes."""
    return ['--kind', 'fc', '--portals', str(PORTS)]


SHAPES = {name: sorted for name in OPERATIONS}


class Operations:
    """What is timed; each gives a call without arguments for one volume."""

    def __init__(self, volumes):
        from os_brick.initiator import connector
        from os_brick.initiator import linuxfc
        from os_brick.initiator import linuxscsi
        factory = connector.InitiatorConnector.factory
        self.fc = factory('FIBRE_CHANNEL', None, use_multipath=True)
        self.scsi = linuxscsi.LinuxSCSI(None)
        self.linuxfc = linuxfc.LinuxFibreChannel(None)

    def properties(self, volume):
        """Connection properties of volume number ``volume``, from 0."""
        wwns = [f'500601603ee0{number:04x}' for number in range(PORTS)]
        return {'target_discovered': True, 'target_wwn': wwns,
                'target_lun': volume + 1}

    def _prepared(self, props):
        """As connect_volume and disconnect_volume prepare them first."""
        prepare = getattr(self.fc, '_add_targets_to_connection_properties', None)
        return prepare(dict(props)) if prepare else props

    def paths(self, props):
        """get_volume_paths"""
        props = self._prepared(props)
        return lambda: self.fc.get_volume_paths(props)

    def devices(self, props):
        """The disks and the map, as a detach looks for them"""
        if hasattr(self.fc, '_add_targets_to_connection_properties'):
            return lambda: self._as_upstream(props)
        engine = importlib.import_module('os_brick._engine').fibre_channel
        settings = {'use_multipath': True, 'lock_path': LOCK_PATH}
        return lambda: engine.volume_devices(props, settings)

    def _as_upstream(self, props):
        """What its disconnect_volume asks, without reading from a disk."""
        found = set()
        for path in self.fc.get_volume_paths(self._prepared(props)):
            name = self.scsi.get_name_from_path(path)
            found.add(os.path.basename(name))
            if not any(name.startswith('dm-') for name in found):
                wwn = self.scsi.get_scsi_wwn(path)
                mpath = self.scsi.find_multipath_device_path(wwn)
                if mpath:
                    found.add(os.path.basename(os.path.realpath(mpath)))
        return found

    def addresses(self, props):
        """What an attach scans: host, channel, target and LUN"""
        hbas = self.linuxfc.get_fc_hbas_info()
        find = getattr(self.linuxfc, '_get_hba_channel_scsi_target_lun', None)
        if find:
            props = self._prepared(props)
            return lambda: [f"{hba['host_device']} {channel} {target} {lun}"
                            for hba in hbas
                            for channel, target, lun in find(hba, props)[0]]
        engine = importlib.import_module('os_brick._engine').fibre_channel
        hosts = [int(hba['host_device'].removeprefix('host')) for hba in hbas]
        return lambda: [f'host{host} {what}'
                        for host, what in engine.scan_plan(props, hosts)]
