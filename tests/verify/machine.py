# SPDX-License-Identifier: Apache-2.0
"""A machine as a tree of files, laid out as Linux 6.1 does: what the engine reads below `root`."""

import os
import pathlib
import shutil

IQN = 'iqn.2010-10.org.openstack:volume-'
GIB = 1 << 30


def identity(number):
    return f'36001405{number:025x}'


def vpd_page(wwid):
    """VPD page 0x83 with the one NAA designator the identity comes from."""
    naa = bytes.fromhex(wwid[1:])
    body = bytes([1, 3, 0, len(naa)]) + naa
    return bytes([0, 0x83]) + len(body).to_bytes(2, 'big') + body


class Machine:
    """Files that can be added and taken away while somebody looks."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self._sessions = 0
        self._disks = 0
        self._maps = 0
        self._places = {}
        self._mounts = []
        self._portals = {}
        for directory in ('sys/block', 'sys/class/iscsi_session', 'sys/class/block', 'dev/disk/by-path', 'dev/mapper',
                          'dev/disk/by-id', 'proc/self', 'etc/iscsi'):
            (self.root / directory).mkdir(parents=True, exist_ok=True)
        self.write('proc/self/mountinfo', '')
        self.write('etc/iscsi/initiatorname.iscsi', 'InitiatorName=iqn.2026-01.org.example:host\n')

    def write(self, path, content):
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        new = place.with_name(f'.{place.name}.new')
        new.write_bytes(content if isinstance(content, bytes) else content.encode())
        # Whole at once, as the kernel's attributes are.
        new.rename(place)

    def link(self, link, target):
        place = self.root / link
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        place.symlink_to(os.path.relpath(self.root / target, place.parent))

    def _class(self, parent, kind, name, attributes):
        directory = f'{parent}/{kind}/{name}'
        for attribute, value in attributes.items():
            self.write(f'{directory}/{attribute}', f'{value}\n')
        self.link(f'{directory}/device', parent)
        self.link(f'sys/class/{kind}/{name}', directory)

    def log_in(self, portal, iqn, state='LOGGED_IN'):
        """A session; its number is also that of its host."""
        self._sessions += 1
        sid = self._sessions
        host, session = f'sys/devices/platform/host{sid}', f'sys/devices/platform/host{sid}/session{sid}'
        self._portals[sid] = (portal, iqn)
        address, _colon, port = portal.rpartition(':')
        self._class(host, 'scsi_host', f'host{sid}', {'proc_name': 'iscsi_tcp'})
        self._class(host, 'iscsi_host', f'host{sid}', {'ipaddress': address})
        self._class(f'{session}/connection{sid}:0', 'iscsi_connection', f'connection{sid}:0',
                    {'persistent_address': address, 'persistent_port': port, 'address': address, 'port': port})
        self._class(session, 'iscsi_session', f'session{sid}',
                    {'targetname': iqn, 'tpgt': 1, 'state': state, 'target_id': 0,
                     'initiatorname': 'iqn.2026-01.org.example:host'})
        return sid

    def set_session_state(self, sid, state):
        self.write(f'sys/devices/platform/host{sid}/session{sid}/iscsi_session/session{sid}/state', f'{state}\n')

    def add_disk(self, sid, wwid, lun=1, size=GIB):
        name = 'sd' + chr(ord('a') + self._disks)
        self._disks += 1
        device = f'sys/devices/platform/host{sid}/session{sid}/target{sid}:0:0/{sid}:0:0:{lun}'
        block = f'{device}/block/{name}'
        (self.root / block / 'holders').mkdir(parents=True)
        self.write(f'{device}/state', 'running\n')
        self.write(f'{device}/wwid', f'naa.{wwid[1:]}\n')
        self.write(f'{device}/vpd_pg83', vpd_page(wwid))
        self.write(f'{block}/size', f'{size // 512}\n')
        self.link(f'{block}/device', device)
        self.link(f'sys/block/{name}', block)
        self.link(f'sys/class/block/{name}', block)
        self.write(f'dev/{name}', '')
        self._places[name] = block
        self.link(self._by_path(sid, lun), f'dev/{name}')
        return name

    def _by_path(self, sid, lun):
        portal, iqn = self._portals[sid]
        return f'dev/disk/by-path/ip-{portal}-iscsi-{iqn}-lun-{lun}'

    def remove_disk(self, name):
        """What `echo 1 > delete` does, and udev after it."""
        for link in (self.root / 'dev/disk/by-path').iterdir():
            if link.readlink().name == name:
                link.unlink()
        block = pathlib.Path(self._places.pop(name))
        for link in (self.root / 'sys/block').glob('dm-*'):
            (link / 'slaves' / name).unlink(missing_ok=True)
        for place in ('sys/block', 'sys/class/block', 'dev'):
            (self.root / place / name).unlink(missing_ok=True)
        shutil.rmtree(self.root / block.parent.parent)

    def add_mapper(self, name, uuid, below, size=GIB):
        """A device-mapper device on others: a map, LUKS, LVM."""
        device = f'dm-{self._maps}'
        self._maps += 1
        directory = f'sys/devices/virtual/block/{device}'
        for attribute, value in (('dm/name', name), ('dm/uuid', uuid), ('dm/suspended', 0), ('size', size // 512)):
            self.write(f'{directory}/{attribute}', f'{value}\n')
        for part in ('slaves', 'holders'):
            (self.root / directory / part).mkdir()
        self._places[device] = directory
        for lower in below:
            self.link(f'{directory}/slaves/{lower}', self._places[lower])
            self.link(f'{self._places[lower]}/holders/{device}', directory)
        self.link(f'sys/block/{device}', directory)
        self.write(f'dev/{device}', '')
        return device

    def mount(self, device, point):
        number = device.removeprefix('dm-')
        self.link(f'sys/dev/block/253:{number}', self._places[device])
        self._mounts.append(f'{30 + len(self._mounts)} 1 253:{number} / {point} rw,noatime - ext4 /dev/{device} rw\n')
        self.write('proc/self/mountinfo', ''.join(self._mounts))

    def link_encrypted(self, device, target):
        """The link of an encrypted volume, which an encryptor made lead to its mapping."""
        (self.root / f'dev/disk/by-id/os-brick+dev+{device}').symlink_to(target)

    def add_controller(self, number, address, state='live', ana=None):
        values = {'address': f'traddr={address},trsvcid=4420', 'state': state, 'transport': 'tcp',
                  'subsysnqn': 'nqn.2026-01.org.example:volume'}
        for attribute, value in values.items():
            self.write(f'sys/class/nvme/nvme{number}/{attribute}', f'{value}\n')
        if ana:
            self.write(f'sys/class/nvme/nvme{number}/nvme1c{number}n1/ana_state', f'{ana}\n')

    def add_namespace(self):
        head = 'sys/devices/virtual/nvme-subsystem/nvme-subsys1/nvme1n1'
        self.write(f'{head}/wwid', 'uuid.5a5d5e0e-0000-4000-8000-000000000001\n')
        self.write(f'{head}/size', f'{2 * GIB // 512}\n')
        self.link('sys/block/nvme1n1', head)

    def attach(self, number, portals=('10.0.0.1:3260', '10.0.0.2:3260'), name=None):
        """A volume with a path for each portal and its map; the map, its disks and its sessions."""
        wwid, iqn = identity(number), f'{IQN}{number:08}'
        sessions = [self.log_in(portal, iqn) for portal in portals]
        disks = [self.add_disk(sid, wwid) for sid in sessions]
        return self.add_mapper(name or wwid, f'mpath-{wwid}', disks), disks, sessions


def connection_info(number, portals=('10.0.0.1:3260', '10.0.0.2:3260')):
    """What Cinder says of the volume that `attach` makes."""
    iqn = f'{IQN}{number:08}'
    return {'driver_volume_type': 'iscsi', 'data': {
        'target_portal': portals[0], 'target_iqn': iqn, 'target_lun': 1, 'target_portals': list(portals),
        'target_iqns': [iqn] * len(portals), 'target_luns': [1] * len(portals), 'auth_method': 'CHAP',
        'auth_username': 'cinder', 'auth_password': 'a-secret-of-chap', 'device_path': '/dev/null',
        'qos_specs': None, 'access_mode': 'rw', 'encrypted': False}}


def compute_host(root):
    """A host of a test cloud: what works, what is down, what was left behind."""
    machine = Machine(root)
    encrypted, _, _ = machine.attach(1)
    luks = machine.add_mapper(f'crypt-{encrypted}', f'CRYPT-LUKS2-abc-crypt-{encrypted}', [encrypted])
    data = machine.add_mapper('vg-data', 'LVM-abc', [luks])
    machine.mount(data, '/var/lib/nova/mnt/data')
    machine.link(f'dev/mapper/crypt-{encrypted}', f'dev/{luks}')
    machine.link_encrypted(encrypted, f'../../mapper/crypt-{encrypted}')
    _, _, (_, down) = machine.attach(2)
    machine.set_session_state(down, 'FAILED')
    machine.add_namespace()
    machine.add_controller(1, '10.0.0.1', ana='optimized')
    machine.add_controller(2, '10.0.0.2', ana='inaccessible')
    # A detach that was killed half-way: the disks are gone, the map and the sessions are not.
    _, disks, _ = machine.attach(3)
    for disk in disks:
        machine.remove_disk(disk)
    machine.link_encrypted('dm-9', '../../dm-9')
    return machine
