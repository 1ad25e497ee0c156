"""The network between the two hosts of a case: addresses, and what two hosts must not have in common."""

import functools
from pathlib import Path
import socket

from guest import command, host, orphaned, poll

#: By the number of the machine; boot.py ends the card's hardware address with it.
ADDRESSES = {1: '10.77.0.1', 2: '10.77.0.2'}
#: More of the first one, for targets with several portals.
MORE_PORTALS = ('10.77.0.11',)
NAMES = {1: 'host-a', 2: 'host-b'}


@functools.cache
def set_up(number):
    """Give this machine its address, and a name of its own to the network and to storage."""
    command.run('modprobe', 'virtio_net')
    card = poll.until(lambda: _card(f'52:54:00:fd:00:{number:02}'), 30, 'the card is there')
    for address in (ADDRESSES[number], *(MORE_PORTALS if number == 1 else ())):
        command.run('ip', 'address', 'replace', f'{address}/24', 'dev', card)
    command.run('ip', 'link', 'set', card, 'up')
    socket.sethostname(NAMES[number])
    if number > 1:
        name = orphaned.INITIATOR.read_text().strip()
        orphaned.INITIATOR.write_text(f'{name}-{number}\n')


def _card(hardware_address):
    return next((path.parent.name for path in Path('/sys/class/net').glob('*/address')
                 if host.read(path) == hardware_address), None)
