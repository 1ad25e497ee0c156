"""The steps of `make demo`, told to whoever watches: the same for every transport.

What must not live here: what one transport has and the others have not; that is in scenarios/demo.
"""

import json

from guest import clean, command, flow, host, leftovers

UNITS = 1 << 20
SIZE, LARGER = 64, 96
# The workers and their privsep daemons live as long as the demonstration.
NOT_OF_THE_VOLUME = ('processes',)


class Demonstration:
    """One volume, attached and detached by this version and then by upstream."""

    def __init__(self, lab, protocol, properties):
        self.lab, self.protocol, self.properties = lab, protocol, properties
        self.before = leftovers.snapshot()
        self.seconds = {}
        self.caller = lab.caller(log_level='INFO')
        self.connector = self.caller.connector(protocol, use_multipath=True)

    def host_properties(self):
        self.lab.show('\n$ get_connector_properties(...)            what Nova tells Cinder about this host')
        found = self.caller.call('os_brick.initiator.connector:get_connector_properties', 'sudo', '10.0.0.1', True, False)
        self.lab.show('  ' + json.dumps(found.value, indent=2, sort_keys=True).replace('\n', '\n  '))

    def attach(self):
        """What connect_volume answered."""
        self.lab.show('\n$ connector.connect_volume(...)            as user nova, one call to the privsep daemon')
        answer = self.connector.connect_volume(self.properties)
        self._tell_phases(answer)
        self.lab.show(f'  -> {answer.value}')
        self.lab.measured('connect_volume', answer.seconds)
        self.seconds['attach'] = answer.seconds
        return answer.value

    def survive(self, device, what, cut, restore, told):
        """Data flows through the device while one of the ways to it is cut; `told`: how the host knows of it."""
        self.lab.show(f'\nWriting and reading, then {what}:')
        running = flow.Flow(device)
        self.lab.poll.until(lambda: running.operations > 20, 20, 'data flows')
        cut()
        self.lab.eventually('the host has noticed', told, 90)
        noticed = running.operations
        self.lab.eventually('data flows on', lambda: running.operations > noticed + 200, 90)
        restore()
        self.lab.equal('no error reached the writer', running.stop(), [])
        self.lab.show(f'  {running.operations} blocks written and read back, longest pause {running.longest:.1f} s')

    def extend(self, volume):
        volume.grow(f'{LARGER}M')
        self.lab.show(f'\n$ connector.extend_volume(...)             the storage made it {LARGER} MiB')
        answer = self.connector.extend_volume(self.properties)
        self._tell_phases(answer)
        self.lab.show(f'  -> {answer.value} bytes in {answer.seconds:.2f} s')
        self.lab.equal('the new size', answer.value, LARGER * UNITS)

    def detach(self, info):
        self.lab.show('\n$ connector.disconnect_volume(...)')
        answer = self.connector.disconnect_volume(self.properties, info)
        self._tell_phases(answer)
        self.seconds['detach'] = answer.seconds
        left = self._left()
        self._tell_left(left)
        self.lab.equal('the host is as before', left, {})

    def beside(self, is_whole):
        """The same by upstream; `is_whole`: all paths are there."""
        self.lab.show('\nThe same volume by upstream os-brick 7.1.1, in the same machine:')
        connector = self.lab.caller(package='upstream', log_level='INFO').connector(self.protocol, use_multipath=True)
        attached = connector.connect_volume(self.properties)
        self.lab.eventually('all paths are there', is_whole, 60)
        detached = connector.disconnect_volume(self.properties, attached.value)
        self._tell_left(self._left())
        clean.forget_maps()
        self.lab.show(f'\n  {"":12}{"attach":>10}{"detach":>10}')
        self.lab.show(f'  {"upstream":12}{attached.seconds:9.2f}s{detached.seconds:9.2f}s')
        self.lab.show(f'  {"this":12}{self.seconds["attach"]:9.2f}s{self.seconds["detach"]:9.2f}s')
        self.lab.show(f'  {"":12}{attached.seconds / self.seconds["attach"]:9.1f}x'
                      f'{detached.seconds / self.seconds["detach"]:9.1f}x')

    def _tell_phases(self, answer):
        for line in phases(answer):
            self.lab.show(f'  {line}')

    def _left(self):
        """What the volume left on the host a few seconds later: udev takes its links away in its own time."""
        return leftovers.settled_difference(self.before, 6, ignored=NOT_OF_THE_VOLUME)

    def _tell_left(self, left):
        if not left:
            self.lab.show('  left on the host: nothing')
        for kind, names in left.items():
            self.lab.show(f'  left on the host: {kind}: {", ".join(names)}')


def phases(answer):
    """The INFO lines of the engine, one phase below the other."""
    for line in answer.logs:
        text = line if isinstance(line, str) else str(line)
        if 'os_brick.engine' in text and (' attached ' in text or ' detached ' in text or ' extended ' in text):
            head, _, rest = text.rpartition(': ')
            yield from [head.partition('] ')[2] or head] + [f'  {phase}' for phase in rest.split(', ')]


def branches(lab, root, trunk, twigs):
    """A volume as a tree: its identity, its device, and what leads to it."""
    lab.show(f'\n{root}')
    lab.show(f'`- {trunk}')
    for number, twig in enumerate(twigs, 1):
        lab.show(f"   {'`' if number == len(twigs) else '|'}- {twig}")


def all_ready(disk, count):
    """So many paths of the map, all of which have recovered from a cut."""
    text = command.run('multipathd', 'show', 'paths', 'raw', 'format', '%d %T', check=False)
    states = dict(line.split()[:2] for line in text.splitlines() if len(line.split()) == 2)
    members = host.map_of(disk.wwid)[1]
    return len(members) == count and all(states.get(member) == 'ready' for member in members)


def path_failed(disk):
    """The kernel has taken a path of the map out of use."""
    return 'F' in command.run('dmsetup', 'status', disk.wwid, check=False).split()
