# SPDX-License-Identifier: Apache-2.0
"""Look-ups of iSCSI volumes: what both libraries do, and the tree it is done on.

os_brick is imported when it is used: the program that prints the tables has none.
"""

import importlib
import os

LOCK_PATH = '/run/lock/os-brick'
IQN = 'iqn.2010-10.org.example:target-%d'
PORTALS = 4
TARGETS = 2

# Method of Operations, and what it calls.
OPERATIONS = {
    'paths': 'get_volume_paths',
    'paths_multipath': 'get_volume_paths, use_multipath',
    'map': 'LinuxSCSI.find_sysfs_multipath_dm',
    'map_described': 'LinuxSCSI.find_multipath_device',
    'identity': 'LinuxSCSI.get_sysfs_wwn',
    'map_by_identity': 'LinuxSCSI.find_multipath_device_path',
    'device': 'LinuxSCSI.get_hctl + device_name_by_hctl',
    'devices': "a volume's disks (_get_connection_devices)",
    'all_volumes': 'get_all_available_volumes',
    'all_volumes_changed': 'get_all_available_volumes, a link has come or gone',
    'inventory': 'everything attached (os_brick.initiator.inventory.read)',
}


def targets(volumes):
    return min(TARGETS, volumes)


def tree(volumes):
    """Options of the simulator for a tree of so many volumes."""
    return ['--kind', 'iscsi', '--targets', str(targets(volumes)),
            '--portals', str(PORTALS)]


def disks_of(links):
    """The names the generator gave the disks behind by-path links."""
    return [os.path.basename(os.readlink(f'/dev/disk/by-path/{name}'))
            for name in links]


def by_path(props):
    return ['ip-%s-iscsi-%s-lun-%s' % (
        portal, props['target_iqn'],
        props['target_lun'] if props['target_lun'] < 256 else
        '0x%04x000000000000' % props['target_lun'])
        for portal in props['target_portals']]


def own_disks(answer):
    """The volume's disks: upstream gives them by portal, with neighbours.

    Ours come with their map.
    """
    if isinstance(answer, dict):
        answer = set().union(*(own for own, __ in answer.values()))
    return sorted(name for name in answer if not name.startswith('dm-'))


def by_path_of_map(answer):
    """What is known of a map, its paths by their names."""
    paths = sorted(answer['devices'], key=lambda path: path['device'])
    return {**answer, 'devices': paths}


def counted(answer):
    """The inventory as its numbers of volumes, paths and sessions."""
    paths = sum(len(volume['paths']) for volume in answer['volumes'])
    return len(answer['volumes']), paths, len(answer['sessions'])


# How answers are made comparable, where their order means nothing; not timed.
SHAPES = {'paths': sorted, 'paths_multipath': sorted,
          'map_described': by_path_of_map, 'devices': own_disks,
          'all_volumes': sorted, 'all_volumes_changed': sorted,
          'inventory': counted}


class Operations:
    """What is timed; each gives a call without arguments for one volume."""

    def __init__(self, volumes):
        from os_brick.initiator import connector
        from os_brick.initiator import linuxscsi
        factory = connector.InitiatorConnector.factory
        self.targets = targets(volumes)
        self.single = factory('ISCSI', None, use_multipath=False)
        self.multi = factory('ISCSI', None, use_multipath=True)
        self.scsi = linuxscsi.LinuxSCSI(None)

    def properties(self, volume):
        """Connection properties of volume number ``volume``, from 0."""
        iqn = IQN % (volume % self.targets + 1)
        lun = volume // self.targets + 1
        portals = [f'127.0.1.{at}:3260' for at in range(1, PORTALS + 1)]
        return {'target_discovered': False, 'target_portal': portals[0],
                'target_iqn': iqn, 'target_lun': lun,
                'target_portals': portals,
                'target_iqns': [iqn] * PORTALS,
                'target_luns': [lun] * PORTALS}

    def paths(self, props):
        """get_volume_paths"""
        return lambda: self.single.get_volume_paths(props)

    def paths_multipath(self, props):
        """get_volume_paths, use_multipath"""
        return lambda: self.multi.get_volume_paths(props)

    def map(self, props):
        """LinuxSCSI.find_sysfs_multipath_dm"""
        names = disks_of(by_path(props))
        return lambda: self.scsi.find_sysfs_multipath_dm(names)

    def map_described(self, props):
        """LinuxSCSI.find_multipath_device"""
        device = '/dev/' + disks_of(by_path(props))[0]
        return lambda: self.scsi.find_multipath_device(device)

    def identity(self, props):
        """LinuxSCSI.get_sysfs_wwn"""
        names = disks_of(by_path(props))
        return lambda: self.scsi.get_sysfs_wwn(names)

    def map_by_identity(self, props):
        """LinuxSCSI.find_multipath_device_path"""
        wwn = self.scsi.get_sysfs_wwn(disks_of(by_path(props)))
        return lambda: self.scsi.find_multipath_device_path(wwn)

    def device(self, props):
        """LinuxSCSI.get_hctl and device_name_by_hctl"""
        # The generator numbers the sessions target by target.
        target = int(props['target_iqn'].rsplit('-', 1)[1])
        session = str((target - 1) * PORTALS + 1)

        def call():
            hctl = self.scsi.get_hctl(session, props['target_lun'])
            return self.scsi.device_name_by_hctl(session, hctl)
        return call

    def devices(self, props):
        """The disks of the volume, as a detach looks for them"""
        find = getattr(self.multi, '_get_connection_devices', None)
        if find:
            return lambda: find(props)
        engine = importlib.import_module('os_brick._engine').iscsi
        settings = {'use_multipath': True, 'lock_path': LOCK_PATH}
        return lambda: engine.volume_devices(props, settings)

    def all_volumes(self, props):
        """get_all_available_volumes"""
        return lambda: self.multi.get_all_available_volumes(props)

    def all_volumes_changed(self, props):
        """The same when udev has just made or removed a link"""
        directory = self.multi.get_search_path()

        def call():
            os.utime(directory)
            return self.multi.get_all_available_volumes(props)
        return call

    def inventory(self, props):
        """The typed view of all volumes, paths and sessions; ours alone"""
        module = importlib.import_module('os_brick.initiator.inventory')
        return module.read
