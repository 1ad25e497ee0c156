"""A Fibre Channel array in the same guest: FCoE between pairs of network cards, with the kernel's target on one of each.

Each pair of cards hangs on a hub of its own (boot.py) and is one fabric: one host port, one port of the array. Fabrics
stay up once made; what a scenario changes is what the array's LUNs map. What must not live here: anything an initiator does.
"""

import os
from pathlib import Path

from guest import command, poll
from guest.disks import write

FC = Path('/sys/kernel/config/target/fc')
LIBFCOE = Path('/sys/module/libfcoe/parameters')
#: The cards of each fabric: the host's, the array's.
CARDS = (('52:54:00:fc:00:01', '52:54:00:fc:00:02'), ('52:54:00:fc:00:03', '52:54:00:fc:00:04'))


def card_named(mac):
    """The interface with this address."""
    for card in Path('/sys/class/net').iterdir():
        if (card / 'address').read_text().strip() == mac:
            return card.name
    raise LookupError(f'no card {mac}: the machine was booted without its fabrics')


def port_name(mac):
    """20:00:52:54:00:fc:00:01, as libfcoe forms it."""
    return '20:00:' + mac


class Fabric:
    """One host port and one port of the array."""

    def __init__(self, host_mac, array_mac):
        self.host_card, self.array_card = card_named(host_mac), card_named(array_mac)
        self.initiator = port_name(host_mac).replace(':', '')
        self.wwpn = port_name(array_mac).replace(':', '')
        self.group = FC / port_name(array_mac) / 'tpgt_1'
        self.acl = self.group / 'acls' / port_name(host_mac)

    def bring_up(self):
        """Both ports before the cards come up: a frame for one that is being made ends libfcoe (Linux 6.1, fcoe_ctlr_vn_recv)."""
        if self.acl.exists() and self.is_connected():
            return
        if not self.acl.exists():
            write(LIBFCOE / 'create_vn2vn', self.array_card)
            self.acl.mkdir(parents=True)
            write(LIBFCOE / 'create_vn2vn', self.host_card)
        for card in (self.array_card, self.host_card):
            command.run('ip', 'link', 'set', card, 'up')
        poll.until(lambda: all((Path('/sys/class/net') / card / 'operstate').read_text().strip() in ('up', 'unknown')
                               for card in (self.host_card, self.array_card)), 20, 'the cards are up')
        poll.until(self.is_connected, 60, f'port {self.wwpn} is online')

    def remote_port(self):
        """The directory of the array's port as the host sees it, or None."""
        for port in Path('/sys/class/fc_remote_ports').glob('rport-*'):
            host = port.name.removeprefix('rport-').partition(':')[0]
            try:
                mine = (Path('/sys/class/fc_host') / f'host{host}' / 'port_name').read_text().strip()[2:] == self.initiator
                if mine and (port / 'port_name').read_text().strip()[2:] == self.wwpn:
                    return port
            except OSError:
                continue
        return None

    def host_number(self):
        """N of the hostN in this fabric; only while the port is seen."""
        return self.remote_port().name.removeprefix('rport-').partition(':')[0]

    def port_state(self):
        port = self.remote_port()
        try:
            return (port / 'port_state').read_text().strip() if port else None
        except OSError:
            return None

    def is_connected(self):
        port = self.remote_port()
        try:
            return bool(port) and self.port_state() == 'Online' and (port / 'scsi_target_id').read_text().strip() != '-1'
        except OSError:
            return False

    def link_down(self):
        """The array's card goes: the host sees its remote port leave."""
        command.run('ip', 'link', 'set', self.host_card, 'down')

    def link_up(self):
        command.run('ip', 'link', 'set', self.host_card, 'up')

    def map(self, lun, disk):
        directory = self.group / 'lun' / f'lun_{lun}'
        directory.mkdir()
        os.symlink(disk.directory, directory / disk.name)
        mapped = self.acl / f'lun_{lun}'
        mapped.mkdir()
        os.symlink(directory, mapped / 'mapped')

    def unmap(self, lun):
        for directory in (self.acl / f'lun_{lun}', self.group / 'lun' / f'lun_{lun}'):
            for entry in directory.iterdir():
                if entry.is_symlink():
                    entry.unlink()
            directory.rmdir()

    def luns(self):
        """The LUNs that map something."""
        return sorted(int(entry.name.removeprefix('lun_')) for entry in self.group.glob('lun/lun_*'))


class Array:
    """What a scenario sees: LUNs that all of its ports show."""

    def __init__(self, targets, fabrics=1, luns=None, size='64M'):
        # With the 256 buffers a card has by default the fast host loses frames, and each is missed for 10 s (R_A_TOV).
        command.run('modprobe', 'e1000', 'RxDescriptors=4096,4096,4096,4096')
        command.run('modprobe', '-a', 'fcoe', 'tcm_fc')
        # Creates the directory of this target fabric.
        FC.mkdir(parents=True, exist_ok=True)
        self.targets, self.size = targets, size
        self.fabrics = [Fabric(*cards) for cards in CARDS[:fabrics]]
        for fabric in self.fabrics:
            fabric.bring_up()
        self.luns = {}
        for lun, disk in (luns or {1: None}).items():
            self.map(lun, disk or targets.disk(size))

    def map(self, lun, disk):
        for fabric in self.fabrics:
            fabric.map(lun, disk)
        self.luns[lun] = disk

    def unmap(self, lun):
        for fabric in self.fabrics:
            fabric.unmap(lun)
        return self.luns.pop(lun)

    def swap(self, lun, disk):
        """Let an existing LUN number map another disk: what an array does when it reuses a number."""
        self.unmap(lun)
        self.map(lun, disk)

    def properties(self, lun=None, **extra):
        """Connection properties as Cinder's drivers and its zone manager hand them out."""
        lun = min(self.luns) if lun is None else lun
        ports = [fabric.wwpn for fabric in self.fabrics]
        return {'target_discovered': True, 'target_lun': lun, 'target_wwn': ports,
                'initiator_target_map': {fabric.initiator: [fabric.wwpn] for fabric in self.fabrics},
                'volume_id': f'volume-{self.luns[lun].serial}' if lun in self.luns else 'volume-unknown',
                'encrypted': False, 'qos_specs': None, 'access_mode': 'rw', **extra}


def by_path(fabric, lun, links):
    """The by-path link of a LUN in one fabric, if udev has made one."""
    tail = f'-fc-0x{fabric.wwpn}-lun-{lun}'
    return next((link for link in links if link.startswith('/dev/disk/by-path/pci-') and link.endswith(tail)), None)


def unmap_everything():
    """No LUN maps anything and every link is up, also after a scenario that was killed; the fabrics stay."""
    if not FC.exists():
        return
    for cards in CARDS:
        fabric = Fabric(*cards)
        if fabric.acl.exists():
            for lun in fabric.luns():
                fabric.unmap(lun)
            fabric.link_up()
