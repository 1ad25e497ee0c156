"""iSCSI targets in the same guest, made by writing the kernel target's configfs tree.

A later transport gets a file of its own beside this one (nvmet, tcm_fc, nfs) and builds on disks.py where it
exports LIO backstores. What must not live here: anything an initiator does.
"""

import itertools
import os
from pathlib import Path
import shutil

from guest import command, disks, network, rdma
from guest.disks import write

ISCSI = Path('/sys/kernel/config/target/iscsi')
PORT = 3260
IPV4_ADDRESSES = tuple(f'127.0.1.{last}' for last in range(1, 10))
IPV6_ADDRESSES = tuple(f'fd00:db8::{last}' for last in range(1, 7))


def portal_name(address):
    """127.0.1.1 -> 127.0.1.1:3260; an address that names its port already is kept."""
    if address.startswith('['):
        return address
    if address.count(':') > 1:
        return f'[{address}]:{PORT}'
    return address if ':' in address else f'{address}:{PORT}'


class Targets:
    """All targets of a scenario; `remove_all` takes everything down again."""

    def __init__(self, prefix='lab'):
        self.prefix = prefix
        self.numbers = itertools.count(1)
        self.disks, self.targets = [], []
        self.firewall = network.Firewall()

    def disk(self, size='64M', serial=None):
        disk = disks.Disk(f'{self.prefix}-disk{next(self.numbers)}', size, serial)
        self.disks.append(disk)
        return disk

    def create(self, portals=1, luns=None, iqn=None, chap=None, size='64M', iser=False):
        """A target with its first portals (a number of the usual addresses, or addresses) and {lun: Disk or None}."""
        if iser:
            rdma.bring_up()
            command.run('modprobe', 'ib_isert')
        usual = rdma.ADDRESSES if iser else IPV4_ADDRESSES
        addresses = usual[:portals] if isinstance(portals, int) else portals
        iqn = iqn or f'iqn.2010-10.org.openstack:{self.prefix}-{next(self.numbers)}'
        target = Target(self, iqn, [portal_name(address) for address in addresses], chap, iser)
        self.targets.append(target)
        for lun, disk in (luns or {1: None}).items():
            target.map(lun, disk or self.disk(size))
        target.enable()
        return target

    def set_discovery_chap(self, username, password):
        """CHAP for sendtargets discovery: one setting for every portal of the host."""
        directory = ISCSI / 'discovery_auth'
        write(directory / 'userid', username)
        write(directory / 'password', password)
        write(directory / 'enforce_discovery_auth', '1')

    def clear_discovery_chap(self):
        directory = ISCSI / 'discovery_auth'
        write(directory / 'enforce_discovery_auth', '0')
        for name in ('userid', 'password'):
            write(directory / name, 'NULL')

    def remove_all(self):
        self.firewall.restore()
        for target in list(self.targets):
            target.remove()
        for disk in self.disks:
            disk.remove()
        self.disks.clear()


class Target:
    """One iSCSI target with one portal group."""

    def __init__(self, owner, iqn, portals, chap=None, iser=False):
        self.owner, self.iqn, self.chap, self.iser = owner, iqn, chap, iser
        self.portals = list(portals)
        self.luns = {}
        self.group = ISCSI / iqn / 'tpgt_1'
        self.group.mkdir(parents=True)
        for attribute, value in (('generate_node_acls', 1), ('cache_dynamic_acls', 1), ('demo_mode_write_protect', 0),
                                 ('authentication', 1 if chap else 0)):
            write(self.group / 'attrib' / attribute, str(value))
        if chap:
            write(self.group / 'auth/userid', chap[0])
            write(self.group / 'auth/password', chap[1])
        for portal in self.portals:
            self.open_portal(portal)

    def enable(self):
        write(self.group / 'enable', '1')

    def map(self, lun, disk):
        """Export a disk under a LUN number, as an array does when it maps a volume to a host."""
        directory = self.group / 'lun' / f'lun_{lun}'
        directory.mkdir()
        os.symlink(disk.directory, directory / disk.name)
        self.luns[lun] = disk
        return disk

    def unmap(self, lun):
        directory = self.group / 'lun' / f'lun_{lun}'
        disk = self.luns.pop(lun)
        (directory / disk.name).unlink()
        directory.rmdir()
        return disk

    def swap(self, lun, disk):
        """Let an existing LUN number map another disk: what an array does when it reuses a number."""
        self.unmap(lun)
        self.map(lun, disk)

    def close_portal(self, portal):
        """Nobody listens there any more; established sessions are not touched by this."""
        (self.group / 'np' / portal).rmdir()

    def open_portal(self, portal):
        directory = self.group / 'np' / portal
        directory.mkdir()
        if self.iser:
            write(directory / 'iser', '1')
        if portal not in self.portals:
            self.portals.append(portal)

    def refuse(self, *portals):
        for portal in portals or self.portals:
            self.owner.firewall.refuse(portal)

    def black_hole(self, *portals):
        for portal in portals or self.portals:
            self.owner.firewall.black_hole(portal)

    def restore(self, *portals):
        self.owner.firewall.restore(*(portals or self.portals))

    def properties(self, lun=None, plural=True, portals=None, **extra):
        """Connection properties as Cinder's LIO driver hands them out; plural=False leaves out the lists."""
        lun = min(self.luns) if lun is None else lun
        portals = [portal_name(portal) for portal in portals] if portals else self.portals
        found = {'target_discovered': False, 'target_portal': portals[0], 'target_iqn': self.iqn, 'target_lun': lun,
                 'volume_id': f'volume-{self.luns[lun].serial}' if lun in self.luns else 'volume-unknown',
                 'encrypted': False, 'qos_specs': None, 'access_mode': 'rw'}
        if plural:
            found.update(target_portals=list(portals), target_iqns=[self.iqn] * len(portals),
                         target_luns=[lun] * len(portals))
        if self.chap:
            found.update(auth_method='CHAP', auth_username=self.chap[0], auth_password=self.chap[1])
        found.update(extra)
        return found

    def remove(self):
        write(self.group / 'enable', '0')
        for lun in list(self.luns):
            self.unmap(lun)
        for portal in os.listdir(self.group / 'np'):
            (self.group / 'np' / portal).rmdir()
        self.group.rmdir()
        self.group.parent.rmdir()
        self.owner.targets.remove(self)


def remove_everything():
    """Take down whatever targets and backstores exist, also those of a scenario that was killed."""
    network.Firewall().restore()
    if (ISCSI / 'discovery_auth').exists():
        write(ISCSI / 'discovery_auth/enforce_discovery_auth', '0')
    for group in ISCSI.glob('iqn.*/tpgt_*'):
        write(group / 'enable', '0')
        for lun in group.glob('lun/lun_*'):
            for link in [entry for entry in lun.iterdir() if entry.is_symlink()]:
                link.unlink()
            lun.rmdir()
        for portal in group.glob('np/*'):
            portal.rmdir()
        group.rmdir()
        group.parent.rmdir()
    for disk in disks.CORE.glob('*/control'):
        disk.parent.rmdir()
    shutil.rmtree(disks.FILES, ignore_errors=True)
