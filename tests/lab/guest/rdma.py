"""A network that speaks RDMA in software: rdma_rxe over an interface without a wire, for the target and the host alike.

It stays up once made. What must not live here: subsystems and ports (nvmet.py).
"""

import ipaddress
from pathlib import Path

from guest import command, host, poll

ADDRESSES = ('192.0.2.1', 'fd00:db9::1')
INTERFACE, DEVICE = 'rdma0', 'rxe0'
# Of the 1024 places for addresses the device has; they are filled from the first on.
PLACES = 16


def bring_up():
    command.run('modprobe', '-a', 'dummy', 'rdma_rxe')
    if not Path('/sys/class/infiniband', DEVICE).exists():
        command.run('ip', 'link', 'add', INTERFACE, 'type', 'dummy')
        command.run('ip', 'link', 'set', INTERFACE, 'up')
        for address in ADDRESSES:
            more = ('nodad',) if ':' in address else ()
            command.run('ip', 'addr', 'add', f"{address}/{64 if more else 24}", 'dev', INTERFACE, *more)
        command.run('rdma', 'link', 'add', DEVICE, 'type', 'rxe', 'netdev', INTERFACE)
    poll.until(lambda: set(ADDRESSES) <= addressed(), 30, 'the device has its addresses')


def addressed():
    """The addresses the device answers to; one of IPv4 is written as one of IPv6."""
    found = set()
    for place in range(PLACES):
        text = host.read(f'/sys/class/infiniband/{DEVICE}/ports/1/gids/{place}')
        if text:
            address = ipaddress.IPv6Address(text)
            found.add(str(address.ipv4_mapped or address))
    return found
