"""`make demo`: one volume over four portals, attached, used, cut, extended and detached; then the same by upstream."""

MODES = ('nova',)
PACKAGES = ('ours',)
BENCH = True
SECONDS = 120
TIMEOUT = 900

import json

from guest import command

UNITS = 1 << 20


def run(lab):
    show = lab.show
    target = lab.targets.create(portals=4, size='64M')
    disk, properties = target.luns[1], target.properties(1)
    show(f'\nA target with four portals offers a volume of {disk.size // UNITS} MiB:\n  {target.iqn}\n  '
         + ', '.join(target.portals))
    caller = lab.caller(log_level='INFO')
    host_properties(lab, caller)
    connector = caller.connector('ISCSI', use_multipath=True)
    info = attach(lab, connector, properties)
    lab.check_paths('the volume', disk, 4, 60)
    tree(lab, disk, target)
    use(lab, info, disk, target)
    extend(lab, connector, disk, properties)
    detach(lab, connector, properties, info)
    beside(lab, target, disk, properties, info)


def host_properties(lab, caller):
    lab.show('\n$ get_connector_properties(...)            what Nova tells Cinder about this host')
    found = caller.call('os_brick.initiator.connector:get_connector_properties', 'sudo', '10.0.0.1', True, False).value
    lab.show('  ' + json.dumps(found, indent=2, sort_keys=True).replace('\n', '\n  '))


def attach(lab, connector, properties):
    lab.show('\n$ connector.connect_volume(...)            as user nova, one call to the privsep daemon')
    answer = connector.connect_volume(properties)
    for line in phases(answer):
        lab.show(f'  {line}')
    lab.show(f'  -> {answer.value}')
    lab.measured('connect_volume', answer.seconds)
    lab.ours_seconds = answer.seconds
    return answer.value


def phases(answer):
    """The INFO lines of the engine, one phase below the other."""
    for line in answer.logs:
        text = line if isinstance(line, str) else str(line)
        if 'os_brick.engine' in text and (' attached ' in text or ' detached ' in text or ' extended ' in text):
            head, _, rest = text.rpartition(': ')
            yield from [head.partition('] ')[2] or head] + [f'  {phase}' for phase in rest.split(', ')]


def tree(lab, disk, target):
    device, members = lab.host.map_of(disk.wwid)
    lab.show(f'\n{disk.wwid}')
    lab.show(f'`- {device}  multipath map')
    addresses = {name: hctl for hctl, name in lab.host.scsi_devices().items()}
    by_host = {session['host']: session for session in lab.host.sessions().values()}
    for member in members:
        hctl = addresses[member]
        session = by_host['host' + hctl.split(':')[0]]
        lab.show(f"   |- {member}  {hctl}  session with {session['portal']}  {session['state']}")


def use(lab, info, disk, target):
    lab.show('\nWriting and reading through the map, then portal ' + target.portals[1] + ' goes dark:')
    lab.check_right_disk('volume', info['path'], disk)
    flow = lab.flow.Flow(info['path'], disk.serial)
    lab.poll.became_true(lambda: flow.operations > 20, 20)
    target.black_hole(target.portals[1])
    before = flow.operations
    lab.eventually('data flows on with three paths', lambda: flow.operations > before + 200, 90)
    target.restore(target.portals[1])
    lab.equal('no error reached the writer', flow.stop(), [])
    lab.show(f'  {flow.operations} blocks written and read back, longest pause {flow.longest:.1f} s')


def extend(lab, connector, disk, properties):
    disk.grow('96M')
    lab.poll.became_true(lambda: len(lab.host.map_of(disk.wwid)[1]) == 4 and all_ready(lab), 90)
    lab.show('\n$ connector.extend_volume(...)             the array made it 96 MiB')
    answer = connector.extend_volume(properties)
    lab.show(f'  -> {answer.value} bytes in {answer.seconds:.2f} s, on every path and the map')
    lab.equal('the new size', answer.value, 96 * UNITS)


def all_ready(lab):
    """Every path has recovered from the cut."""
    text = command.run('multipathd', 'show', 'paths', 'raw', 'format', '%T', check=False)
    return [line.strip() for line in text.splitlines()] == ['ready'] * 4


def detach(lab, connector, properties, info):
    lab.show('\n$ connector.disconnect_volume(...)')
    answer = connector.disconnect_volume(properties, info)
    for line in phases(answer):
        lab.show(f'  {line}')
    lab.ours_detach = answer.seconds
    lab.show('  SCSI devices: {}   sessions: {}   maps: {}'.format(
        len(lab.host.scsi_devices()), len(lab.host.sessions()), len(lab.host.multipath_maps())))


def beside(lab, target, disk, properties, info):
    lab.show('\nThe same volume by upstream os-brick 7.1.1, in the same machine:')
    connector = lab.caller(package='upstream', log_level='INFO').connector('ISCSI', use_multipath=True)
    attached = connector.connect_volume(properties)
    lab.check_paths('upstream', disk, 4, 60)
    detached = connector.disconnect_volume(properties, attached.value)
    # Upstream never takes a volume out of multipath's wwids file.
    command.run('multipath', '-w', disk.wwid)
    lab.show(f'\n  {"":12}{"attach":>10}{"detach":>10}')
    lab.show(f'  {"upstream":12}{attached.seconds:9.2f}s{detached.seconds:9.2f}s')
    lab.show(f'  {"this":12}{lab.ours_seconds:9.2f}s{lab.ours_detach:9.2f}s')
    lab.show(f'  {"":12}{attached.seconds / lab.ours_seconds:9.1f}x{detached.seconds / lab.ours_detach:9.1f}x')
