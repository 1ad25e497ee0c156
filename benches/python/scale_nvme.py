# SPDX-License-Identifier: Apache-2.0
"""Look-ups of NVMe namespaces, behind two controllers for each subsystem."""

import importlib.util

SUBSYSTEMS = 32
PORTALS = 2

OPERATIONS = {
    'by_uuid': 'get_volume_paths, by UUID',
    'by_nguid': 'get_volume_paths, by NGUID, no UUID',
    'by_nguid_beside_uuid': 'get_volume_paths, by NGUID, beside a UUID',
    'by_nsid': 'get_volume_paths, by namespace number',
}


def subsystems(volumes):
    return min(SUBSYSTEMS, volumes)


def tree(volumes):
    """Options of the simulator for a tree of so many volumes."""
    return ['--kind', 'nvme', '--targets', str(subsystems(volumes)),
            '--portals', str(PORTALS)]


SHAPES = {name: sorted for name in OPERATIONS}


class Operations:
    """What is timed; each gives a call without arguments for one volume."""

    def __init__(self, volumes):
        from os_brick.initiator import connector
        from os_brick.initiator.connectors import nvmeof
        self.subsystems = subsystems(volumes)
        self.convert = nvmeof.NVMeOFConnProps
        self.nvme = connector.InitiatorConnector.factory(
            'NVMEOF', None, use_multipath=True)

    def properties(self, volume):
        """The number of the volume; each operation picks what it names."""
        return volume

    def _every_name(self, volume):
        """What names volume number ``volume``, from 0, in every way."""
        subsystem = volume % self.subsystems
        portals = [(f'10.{portal}.0.{subsystem + 1}', '4420', 'tcp')
                   for portal in range(1, PORTALS + 1)]
        return {'target_nqn': f'nqn.2014-08.org.openstack:subsystem-{subsystem:03}',
                'portals': portals,
                'vol_uuid': f'{volume:08x}-1111-2222-3333-444444444444',
                'volume_nguid': f'{volume:08x}-0000-0000-0000-00000000beef',
                'ns_id': str(volume // self.subsystems + 1)}

    def _paths(self, volume, identity):
        names = {'vol_uuid', 'volume_nguid', 'ns_id'} - {identity}
        props = {name: value for name, value in self._every_name(volume).items()
                 if name not in names}
        # Upstream needs the key, and changes the dictionary it is given.
        props.setdefault('vol_uuid', None)
        if importlib.util.find_spec('os_brick._engine'):
            return lambda: self.nvme.get_volume_paths(dict(props))

        def call():
            # Its operations convert the dictionary first, and find the
            # controllers by that; it takes nothing else.
            found = self.convert(dict(props), find_controllers=True)
            return self.nvme.get_volume_paths(found)
        return call

    # Namespaces with even numbers have a UUID and an NGUID, the others an
    # NGUID alone.

    def by_uuid(self, volume):
        """By UUID"""
        return self._paths(volume & ~1, 'vol_uuid')

    def by_nguid(self, volume):
        """By NGUID, the only identity"""
        return self._paths(volume | 1, 'volume_nguid')

    def by_nguid_beside_uuid(self, volume):
        """By NGUID, though the namespace has a UUID, which names udev's link"""
        return self._paths(volume & ~1, 'volume_nguid')

    def by_nsid(self, volume):
        """By the number in the subsystem"""
        return self._paths(volume, 'ns_id')
