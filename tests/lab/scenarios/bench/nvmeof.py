"""Times of upstream, of ours and of the floor over NVMe/TCP, in one boot, turn by turn.

`dead`: the first of two portals swallows packets. `extend`: a namespace with blocks of 4 KiB grows. `one_connection`: what
decision 0009 weighs, the kernel's file beside the program, with no library around either.
"""

MODES = ('root',)
PACKAGES = ('ours',)
VARIANTS = ('single', 'multipath', 'eight', 'dead', 'extend', 'one_connection')
BENCH = True
SECONDS = 300
TIMEOUT = 1800

import os
from pathlib import Path
import subprocess
import time

from guest import floor, turns

ROUNDS = 5
# The default of the option; written down because the bound of the variant `dead` is made of it.
GRACE = 2
CONNECTIONS = 12
MEBIBYTE = 1 << 20
CTL = Path('/sys/class/nvme-fabrics/ctl')


def run(lab):
    {'single': single, 'multipath': multipath, 'eight': eight, 'dead': dead, 'extend': extend,
     'one_connection': one_connection}[lab.variant](lab)


class Floor:
    """The least the kernel needs: one write for each portal, one for each controller to hang up."""

    def __init__(self, subsystem, addresses=None):
        self.subsystem, self.addresses = subsystem, addresses or subsystem.addresses

    def connect_one(self, address):
        with open('/dev/nvme-fabrics', 'r+b', buffering=0) as device:
            device.write(f'nqn={self.subsystem.nqn},transport=tcp,traddr={address},trsvcid=4420,'
                         'queue_size=128,ctrl_loss_tmo=-1'.encode())
            device.read(256)

    def connect(self):
        turns.at_once(self.connect_one, self.addresses)
        uuids = {namespace.uuid for namespace in self.subsystem.namespaces.values()}
        floor.wait_for(lambda: uuids <= self.devices().keys()
                       and all(os.path.exists(f'/dev/{name}') for name in self.devices().values()))

    def devices(self):
        """{uuid: nvmeXnY}; the paths below a device, nvmeXcYnZ, have its identity too, and no node in /dev."""
        return {path.read_text().strip(): path.parent.name for path in Path('/sys/block').glob('nvme*/uuid')
                if 'c' not in path.parent.name}

    def disconnect(self):
        turns.at_once(lambda path: (path / 'delete_controller').write_text('1'), list(CTL.glob('nvme*')))

    def extend(self, size):
        """After the storage has grown it: every controller looks again, until the size is there."""
        turns.at_once(lambda path: (path / 'rescan_controller').write_text('1'), list(CTL.glob('nvme*')))
        device, = self.devices().values()
        floor.wait_for(lambda: int(Path('/sys/block', device, 'size').read_text()) * 512 == size)


def calm():
    time.sleep(1)


def settled(lab):
    # Namespaces of a shared subsystem keep its controllers until the storage unmaps them.
    for controller in lab.host.nvme_controllers():
        (CTL / controller / 'delete_controller').write_text('1')
    lab.poll.until(lambda: not lab.host.nvme_controllers(), 60, 'no controller is left')
    calm()


def attach_and_detach(lab, who, operation, caller, properties):
    connectors = [caller.connector('NVME', use_multipath=True) for _each in properties]
    turns.attach_and_detach(lab, who, operation, connectors, properties, calm, lambda: settled(lab))


def compare(lab, operation, count, portals):
    subsystem = lab.nvmet.create(portals=portals, namespaces=count)
    properties = [subsystem.properties(nsid) for nsid in subsystem.namespaces]
    callers = {package: lab.caller(package=package, log_level='INFO') for package in ('ours', 'upstream')}
    for _round in range(ROUNDS):
        least = Floor(subsystem)
        with lab.timed(f'{operation} connect|floor'):
            least.connect()
        calm()
        with lab.timed(f'{operation} disconnect|floor'):
            least.disconnect()
        settled(lab)
        for package, caller in callers.items():
            attach_and_detach(lab, package, operation, caller, properties)


def single(lab):
    compare(lab, 'NVMe/TCP, 1 portal', 1, 1)


def multipath(lab):
    compare(lab, 'NVMe/TCP, 2 portals', 1, 2)


def eight(lab):
    compare(lab, 'NVMe/TCP, 8 volumes x 2 portals', 8, 2)


def dead(lab):
    subsystem = lab.nvmet.create(portals=2)
    properties = subsystem.properties()
    for _round in range(ROUNDS):
        for package in ('ours', 'upstream'):
            # A new process each time: what it remembers of dead portals is part of what is measured.
            caller = lab.caller(package=package, log_level='INFO', conf={'portal_grace_period': GRACE} if package == 'ours' else {})
            attach_and_detach(lab, package, 'NVMe/TCP, 2 healthy portals', caller, [properties])
            subsystem.black_hole(subsystem.addresses[0])
            attach_and_detach(lab, package, 'NVMe/TCP, first of 2 portals dead', caller, [properties])
            if package == 'ours':
                attach_and_detach(lab, package, 'NVMe/TCP, first of 2 portals dead, again', caller, [properties])
            subsystem.restore(subsystem.addresses[0])
            caller.close()


def extend(lab):
    subsystem = lab.nvmet.create(portals=2, block=4096)
    callers = {package: lab.caller(package=package, log_level='INFO') for package in ('ours', 'upstream')}
    for _round in range(ROUNDS):
        extend_round(lab, subsystem, callers)
        settled(lab)


def extend_round(lab, subsystem, callers):
    operation = 'NVMe/TCP, 2 portals, extend of 4 KiB blocks'
    namespace, properties = subsystem.namespaces[1], subsystem.properties()
    connectors = {package: caller.connector('NVME', use_multipath=True) for package, caller in callers.items()}
    info = connectors['ours'].connect_volume(properties).value
    calm()
    namespace.grow(namespace.size + 16 * MEBIBYTE)
    with lab.timed(f'{operation}|floor'):
        Floor(subsystem).extend(namespace.size)
    for package, connector in connectors.items():
        calm()
        namespace.grow(namespace.size + 16 * MEBIBYTE)
        pending = connector.start('extend_volume', properties)
        # Upstream raises after its wait; its caller waited that long all the same.
        error = pending.error()
        lab.measured(f'{operation}|{package}', error.seconds if error else pending.wait().seconds)
        if package == 'ours':
            lab.equal('the new size', pending.wait().value, namespace.size)
        elif error:
            lab.note(f'upstream: {error}')
    calm()
    lab.equal('size of the device', lab.host.size_of(info['path']), namespace.size)
    connectors['ours'].disconnect_volume(properties, info)


def one_connection(lab):
    """One controller and then two at once, by the file and by the program; what they make is the same."""
    subsystem = lab.nvmet.create(portals=2)
    ways = {'/dev/nvme-fabrics': Floor(subsystem).connect_one, 'nvme connect': lambda address: by_program(subsystem, address)}
    for _round in range(CONNECTIONS):
        for who, way in ways.items():
            connections(lab, f'one connection|{who}', way, subsystem, 1)
            connections(lab, f'two connections at once|{who}', way, subsystem, 2)


def connections(lab, name, way, subsystem, count):
    addresses = subsystem.addresses[:count]
    with lab.timed(name):
        turns.at_once(way, addresses)
    lab.poll.until(lambda: lab.host.nvme_portals(subsystem.nqn) == addresses, 60, 'the controllers are live')
    settled(lab)


def by_program(subsystem, address):
    subprocess.run(['nvme', 'connect', '-t', 'tcp', '-a', address, '-s', '4420', '-n', subsystem.nqn, '-Q', '128', '-l', '-1'],
                   check=True, capture_output=True)
