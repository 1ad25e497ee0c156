"""NVMe-oF subsystems in the same guest over TCP or RDMA, made by writing the kernel target's configfs tree.

What must not live here: anything an initiator does, except clearing it away by force between scenarios.
"""

import itertools
import os
from pathlib import Path
import uuid

from guest import command, disks, host, network, rdma
from guest.disks import write

NVMET = Path('/sys/kernel/config/nvmet')
PORT = 4420
ADDRESSES = tuple(f'127.0.1.{last}' for last in range(1, 10))
MODULES = ('nvmet', 'nvmet_tcp', 'nvme_tcp', 'raid1', 'loop')


class Storage:
    """All subsystems of a scenario; `clean` below takes them down again."""

    def __init__(self, prefix='lab'):
        command.run('modprobe', '-a', *MODULES)
        self.prefix, self.numbers = prefix, itertools.count(1)
        self.ports = {}
        self.firewall = network.Firewall()

    def create(self, portals=1, namespaces=1, block=4096, size='64M', nqn=None, transport='tcp'):
        """A subsystem behind so many portals, with its first namespaces."""
        nqn = nqn or f'nqn.2014-08.org.openstack:{self.prefix}-{next(self.numbers)}'
        if transport == 'rdma':
            rdma.bring_up()
        known = rdma.ADDRESSES if transport == 'rdma' else ADDRESSES
        subsystem = Subsystem(self, nqn, known[:portals] if isinstance(portals, int) else portals, transport)
        for _ in range(namespaces):
            subsystem.add(size, block)
        subsystem.export()
        return subsystem

    def port(self, address, transport='tcp'):
        """The directory of a listening address; subsystems share it."""
        if (address, transport) not in self.ports:
            directory = NVMET / 'ports' / str(len(self.ports) + 1)
            directory.mkdir()
            for name, value in (('addr_trtype', transport), ('addr_traddr', address), ('addr_trsvcid', str(PORT)),
                                ('addr_adrfam', 'ipv6' if ':' in address else 'ipv4')):
                write(directory / name, value)
            self.ports[address, transport] = directory
        return self.ports[address, transport]


class Subsystem:
    def __init__(self, owner, nqn, addresses, transport='tcp'):
        self.owner, self.nqn, self.addresses, self.transport = owner, nqn, list(addresses), transport
        self.directory = NVMET / 'subsystems' / nqn
        self.directory.mkdir()
        write(self.directory / 'attr_allow_any_host', '1')
        self.namespaces = {}

    def add(self, size='64M', block=4096):
        """Map another volume, as an array does when it exports one to a host."""
        nsid = max(self.namespaces, default=0) + 1
        namespace = Namespace(self, nsid, size, block)
        self.namespaces[nsid] = namespace
        return namespace

    def export(self):
        for address in self.addresses:
            self.listen(address)

    def listen(self, address, transport=None):
        """One more portal, or one that was given up before."""
        os.symlink(self.directory, self.owner.port(address, transport or self.transport) / 'subsystems' / self.nqn)

    def hang_up(self, address, transport=None):
        """The storage closes a portal and what is connected to it; the host's controller tries to come back."""
        (self.owner.port(address, transport or self.transport) / 'subsystems' / self.nqn).unlink()

    def properties(self, nsid=1, addresses=None, **more):
        """Connection properties in the new format."""
        portals = [[address, PORT, self.transport] for address in addresses or self.addresses]
        return {'target_nqn': self.nqn, 'vol_uuid': self.namespaces[nsid].uuid, 'portals': portals} | more

    def old_properties(self, nsid=1):
        return {'nqn': self.nqn, 'target_portal': self.addresses[0], 'target_port': PORT, 'transport_type': self.transport,
                'ns_id': nsid}

    def black_hole(self, address):
        self.owner.firewall.black_hole(f'{address}:{PORT}')

    def refuse(self, address):
        self.owner.firewall.refuse(f'{address}:{PORT}')

    def restore(self, *addresses):
        self.owner.firewall.restore(*(f'{address}:{PORT}' for address in addresses))


class Namespace:
    """A volume: a file in memory, which nvmet exports with blocks of 4 KiB, or with 512 bytes through a loop device."""

    def __init__(self, subsystem, nsid, size, block):
        self.nsid, self.uuid = nsid, str(uuid.uuid4())
        self.file = disks.FILES / f'nvme-{self.uuid}'
        disks.FILES.mkdir(parents=True, exist_ok=True)
        with open(self.file, 'wb') as file:
            file.truncate(disks.size_in_bytes(size))
        self.loop = command.run('losetup', '--find', '--show', self.file).strip() if block == 512 else None
        self.directory = subsystem.directory / 'namespaces' / str(nsid)
        self.directory.mkdir()
        write(self.directory / 'device_path', str(self.loop or self.file))
        write(self.directory / 'device_uuid', self.uuid)
        if not self.loop:
            # A file in memory takes no direct I/O.
            write(self.directory / 'buffered_io', '1')
        write(self.directory / 'enable', '1')

    @property
    def size(self):
        return os.stat(self.file).st_size

    def grow(self, size):
        """The storage extends the volume and says so, as arrays do."""
        os.truncate(self.file, disks.size_in_bytes(size))
        if self.loop:
            command.run('losetup', '--set-capacity', self.loop)
        write(self.directory / 'revalidate_size', '1')

    def unmap(self):
        write(self.directory / 'enable', '0')

    def exchange(self, other):
        """Both volumes, unmapped now, come back under each other's number."""
        self.nsid, other.nsid = other.nsid, self.nsid
        self.directory, other.directory = other.directory, self.directory
        for namespace in (self, other):
            write(namespace.directory / 'device_path', str(namespace.loop or namespace.file))
            write(namespace.directory / 'device_uuid', namespace.uuid)
            write(namespace.directory / 'enable', '1')

    def content(self, offset, length):
        """Bytes as the storage sees them, past every cache of the initiator."""
        with open(self.file, 'rb') as file:
            file.seek(offset)
            return file.read(length)


def remove_everything():
    """Every subsystem and port of the guest, whoever made it."""
    for link in NVMET.glob('ports/*/subsystems/*'):
        link.unlink()
    for port in NVMET.glob('ports/*'):
        port.rmdir()
    for namespace in NVMET.glob('subsystems/*/namespaces/*'):
        write(namespace / 'enable', '0')
        namespace.rmdir()
    for subsystem in NVMET.glob('subsystems/*'):
        subsystem.rmdir()


def clean():
    """Arrays and controllers are gone afterwards. Returns what resisted."""
    for array in host.md_arrays():
        command.run('mdadm', '--stop', f'/dev/{array}', check=False, seconds=30)
    for controller in host.nvme_controllers():
        try:
            Path(f'/sys/class/nvme-fabrics/ctl/{controller}/delete_controller').write_text('1')
        except OSError:
            pass
    remove_everything()
    return [f'controller {name}' for name in host.nvme_controllers()] + [f'array {name}' for name in host.md_arrays()]
