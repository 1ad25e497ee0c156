# SPDX-License-Identifier: Apache-2.0
"""Times one library's look-ups on the tree of a host with many volumes.

Runs with the python of the library under test on a simulated host.  Each
line read names an operation; the answer has the seconds of every call and
what the calls found, in a form that two libraries can be compared by.
"""

import importlib
import json
import logging
import os
import sys
import time

from oslo_concurrency import lockutils
from oslo_config import cfg

import os_brick
from os_brick.initiator import connector
from os_brick.initiator import linuxscsi
import os_brick.privileged

LOCK_PATH = '/run/lock/os-brick'
IQN = 'iqn.2010-10.org.example:target-%d'
PORTALS = 4
# At most this long, and at least three counted calls, on one operation.
BUDGET = 2.0


def setup():
    logging.getLogger().addHandler(logging.NullHandler())
    cfg.CONF([], project='os-brick')
    lockutils.set_defaults(LOCK_PATH)
    os_brick.setup(cfg.CONF)
    os_brick.privileged.default.set_client_mode(False)


def properties(volume, targets):
    """Connection properties of volume number ``volume``, from 0."""
    iqn = IQN % (volume % targets + 1)
    lun = volume // targets + 1
    portals = [f'127.0.1.{at}:3260' for at in range(1, PORTALS + 1)]
    return {'target_discovered': False, 'target_portal': portals[0],
            'target_iqn': iqn, 'target_lun': lun, 'target_portals': portals,
            'target_iqns': [iqn] * PORTALS, 'target_luns': [lun] * PORTALS}


def disks_of(volume):
    """The names the generator gave the volume's disks."""
    return [os.path.basename(os.readlink(f'/dev/disk/by-path/{name}'))
            for name in volume]


def by_path(props):
    return ['ip-%s-iscsi-%s-lun-%s' % (
        portal, props['target_iqn'],
        props['target_lun'] if props['target_lun'] < 256 else
        '0x%04x000000000000' % props['target_lun'])
        for portal in props['target_portals']]


def in_order(answer):
    """For answers whose order means nothing."""
    return sorted(answer)


def own_disks(answer):
    """The volume's disks: upstream gives them by portal, with neighbours.

    Ours come with their map.
    """
    if isinstance(answer, dict):
        answer = set().union(*(own for own, __ in answer.values()))
    return sorted(name for name in answer if not name.startswith('dm-'))


# How answers are made comparable; not timed.
SHAPES = {'paths': in_order, 'paths_multipath': in_order,
          'all_volumes': in_order, 'devices': own_disks}


class Operations:
    """What is timed; each gives a call without arguments for one volume."""

    def __init__(self, targets):
        factory = connector.InitiatorConnector.factory
        self.targets = targets
        self.single = factory('ISCSI', None, use_multipath=False)
        self.multi = factory('ISCSI', None, use_multipath=True)
        self.scsi = linuxscsi.LinuxSCSI(None)

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


def measure(operations, name, volumes, calls):
    """Time the operation on several volumes in turn; the first is warm-up."""
    made = [getattr(operations, name)(properties(at, operations.targets))
            for at in volumes]
    shape = SHAPES.get(name, lambda answer: answer)
    answers = [shape(call()) for call in made]
    seconds = []
    begun = time.perf_counter()
    while len(seconds) < calls:
        call = made[len(seconds) % len(made)]
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
        if time.perf_counter() - begun > BUDGET and len(seconds) >= 3:
            break
    return {'seconds': seconds, 'answers': answers}


def main():
    setup()
    operations = Operations(int(sys.argv[1]))
    volumes = json.loads(sys.argv[2])
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer = measure(operations, order['operation'], volumes,
                             order['calls'])
        except Exception as exc:
            answer = {'error': f'{type(exc).__name__}: {exc}'}
        print(json.dumps(answer), flush=True)


if __name__ == '__main__':
    main()
