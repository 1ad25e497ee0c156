"""Another volume's attach is not delayed by one that meets a dead portal.

Compared with the same two attaches at once when every portal is alive: two at a time share the processors anyway. The
quickest of some rounds count, since other work on the machine only ever adds. Each round has a process of its own,
which has not met the dead portal yet.
"""

LEDGER = ('IC-23', 'LK-06')
VARIANTS = ('refused', 'black_hole')
MODES = ('nova',)
SECONDS = 90
TIMEOUT = 900
UPSTREAM_FAILS = 'one lock for all attaches of the host'
ROUNDS = 3


def run(lab):
    first = lab.targets.create(portals=4)
    neighbour = lab.targets.create(portals=4)
    alive = min(both(lab, first, neighbour, f'all portals alive, {turn}') for turn in range(ROUNDS))
    dead = first.portals[3]
    # The portals are shared addresses: only this target stops listening there, or only its packets would be dropped.
    first.close_portal(dead) if lab.variant == 'refused' else use_own_dead_address(first, dead)
    slow = min(both(lab, first, neighbour, f'one portal dead, {turn}') for turn in range(ROUNDS))
    lab.at_most("the neighbour's attach", slow, alive * 1.2 + 1)


def use_own_dead_address(target, dead):
    target.close_portal(dead)
    target.portals[target.portals.index(dead)] = '127.0.1.9:3260'
    target.open_portal('127.0.1.9:3260')
    target.black_hole('127.0.1.9:3260')


def both(lab, first, neighbour, name):
    """Seconds the neighbour's attach takes beside the first one's."""
    caller = lab.caller()
    connectors = [caller.connector('ISCSI', use_multipath=True) for _ in range(2)]
    pending = connectors[0].start('connect_volume', first.properties(1))
    answer = connectors[1].connect_volume(neighbour.properties(1))
    lab.measured(f"{name}: the neighbour's connect", answer.seconds)
    other = pending.wait()
    lab.measured(f'{name}: the connect beside it', other.seconds)
    lab.check_right_disk(f'{name}: neighbour', answer.value['path'], neighbour.luns[1])
    lab.check_right_disk(f'{name}: beside it', other.value['path'], first.luns[1])
    for connector, target, info in ((connectors[0], first, other.value), (connectors[1], neighbour, answer.value)):
        connector.disconnect_volume(target.properties(1), info)
    caller.close()
    return answer.seconds
