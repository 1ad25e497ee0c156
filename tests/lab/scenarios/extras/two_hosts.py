"""A live migration between two hosts, as `os-brick verify` sees it: on neither, on the source, on both, on the destination alone.

Then a detach is killed half-way on one of them; verify finds it and names it, and what it names mends it. The storage is on the
first host; the other reaches it over the network. Both run the verification service.
"""

import json
import os
from pathlib import Path
import signal

from guest import command, daemons, flow, host, leftovers, os_brick_command, poll, wire

MODES = ('root',)
PACKAGES = ('ours',)
MACHINES = 2
IMAGE = 'extras'
SECONDS = 240
TIMEOUT = 1500

TOKEN_FILE = '/run/lab/verify-token'
TOKENS = '/run/lab/verify-tokens'
VOLUME = '/run/lab/volume.json'
TOKEN = {'a': 'token-of-host-a-0123456789', 'b': 'token-of-host-b-0123456789'}
URLS = {name: f'http://{wire.ADDRESSES[number]}:9713' for name, number in (('a', 1), ('b', 2))}
SERVE = ('verify-serve', '--beyond-loopback', '--token-file', TOKEN_FILE, '--listen')


def run(lab):
    peer = lab.peer
    target = lab.targets.create(portals=[wire.ADDRESSES[1], *wire.MORE_PORTALS])
    disk, properties = target.luns[1], target.properties(1)
    information = json.dumps({'driver_volume_type': 'iscsi', 'data': properties})
    write(VOLUME, information)
    write(TOKENS, ''.join(f'{name} {token}\n' for name, token in TOKEN.items()))
    write(TOKEN_FILE, TOKEN['a'])
    peer.call('scenarios.extras.two_hosts:write', TOKEN_FILE, TOKEN['b'])
    before = peer.call('guest.leftovers:snapshot')
    here = os_brick_command.Command(*SERVE, wire.ADDRESSES[1])
    there = peer.make('guest.os_brick_command:Command', *SERVE, wire.ADDRESSES[2])
    lab.eventually('the service of a listens', lambda: here.out == f"listening on {URLS['a']}/\n", 180, lambda: here.out + here.err)
    lab.eventually('the service of b listens', lambda: there.get('out') == f"listening on {URLS['b']}/\n", 180,
                   lambda: there.get('out') + there.get('err'))
    lab.equal('the names of the hosts differ', (host_name(), peer.call('scenarios.extras.two_hosts:host_name')),
              (['host-a', 'iqn.2024-01.org.example:lab-guest'], ['host-b', 'iqn.2024-01.org.example:lab-guest-2']))
    migrate(lab, peer, disk, information)
    cut_off(lab, peer, target, information)
    peer.call('os:kill', there.get('pid'), signal.SIGTERM)
    lab.equal('the service of b ends', there.wait(60)['code'], 0)
    # Multipath remembers the identity until the volume's next detach, unless the killed one came as far.
    left = leftovers.difference(before, peer.call('guest.leftovers:snapshot'))
    lab.check('nothing but that is left on the other host', left in ({}, {'wwids lines': [disk.wwid]}), left)
    peer.call('guest.command:run', 'multipath', '-w', disk.wwid)
    code, told = verify('absent')
    lab.equal('a host that gives no answer', (code, results(told)), (1, {'a': ('absent', 'as expected'), 'b': ('unknown', 'unknown')}))
    os.kill(here.pid, signal.SIGTERM)
    lab.equal('the service of a ends', here.wait(60).code, 0)


def write(path, text):
    """A file that nobody else reads."""
    Path(path).touch(mode=0o600)
    Path(path).write_text(text)


def host_name():
    return [os.uname().nodename, Path('/etc/iscsi/initiatorname.iscsi').read_text().strip().partition('=')[2]]


def verify(expected, *options):
    """Exit code, and what was found on each host."""
    hosts = [word for name, url in URLS.items() for word in ('--host', f'{name}={url}')]
    done = os_brick_command.run('verify', '--json', *hosts, '--connection-info', VOLUME, '--expect', expected,
                                '--token-file', TOKENS, '--timeout', '60', *options)
    return done.code, {one['host']: one for one in done.json['hosts']} if done.out else done


def results(told):
    return {name: (one['found'], one['result']) for name, one in told.items()}


def expect(lab, expected, found, code=0):
    """Everything is where it should be; what was found of each host."""
    got, told = verify(expected)
    wanted = {name: (state, 'as expected') for name, state in zip('ab', found)}
    lab.equal(f'verify {expected}', (got, results(told)), (code, wanted))
    return told


def migrate(lab, peer, disk, information):
    expect(lab, 'absent', ('absent', 'absent'))
    source = os_brick_command.run('attach', '--multipath', '--json', '-', stdin=information, seconds=300)
    lab.require('attached on the source', source.code == 0, source)
    expect(lab, 'present-on=a', ('present', 'absent'))
    flow.write_pattern(source.json['path'], disk.serial)

    destination = peer.call('guest.os_brick_command:run', 'attach', '--multipath', '--json', '-', stdin=information, seconds=300)
    lab.require('attached on the destination', destination['code'] == 0, destination)
    told = expect(lab, 'present', ('present', 'present'))
    data = json.loads(information)['data']
    links = sorted(f"/dev/disk/by-path/ip-{portal}-iscsi-{data['target_iqn']}-lun-1" for portal in data['target_portals'])
    lab.equal('paths of both', {name: sorted(path['path'] for path in one['paths']) for name, one in told.items()},
              {'a': links, 'b': links})
    device = json.loads(destination['out'])['path']
    lab.check('the destination reads what the source wrote', peer.call('guest.flow:holds_pattern', device, disk.serial))

    gone = os_brick_command.run('detach', '--multipath', '-', stdin=information, seconds=300)
    lab.equal('detached on the source', (gone.code, host.sessions(), host.dm_devices()), (0, {}, {}))
    expect(lab, 'present-on=b', ('absent', 'present'))
    code, told = verify('present-on=a')
    lab.equal('the other way round both differ', (code, results(told)),
              (3, {'a': ('absent', 'different'), 'b': ('present', 'different')}))
    peer.call('guest.flow:write_pattern', device, 'after the migration')
    lab.check('the destination writes to the storage', disk.content(0, flow.BLOCK) == flow.pattern('after the migration'))


def cut_off(lab, peer, target, information):
    """The devices are gone and the sessions are not when the detach is killed on the destination."""
    peer.call('scenarios.extras.two_hosts:cut_off_here', information)
    sessions = peer.call('guest.host:sessions')
    lab.equal('the other host has the sessions and no disk', (sorted(one['portal'] for one in sessions.values()),
              peer.call('guest.host:scsi_devices')), (sorted(target.portals), {}))
    code, told = verify('absent')
    lab.equal('the detach that was killed is found', (code, results(told)),
              (3, {'a': ('absent', 'as expected'), 'b': ('absent', 'different')}))
    named = sorted((finding['kind'], finding['subject']) for finding in told['b']['leftovers'])
    lab.equal('and named', named, sorted(('session_without_disks', f'session{number}') for number in sessions))
    hosts = [word for name, url in URLS.items() for word in ('--host', f'{name}={url}')]
    done = os_brick_command.run('verify', *hosts, '--connection-info', VOLUME, '--expect', 'absent', '--token-file', TOKENS)
    lab.show(done.out)
    lines = [line.split() for line in done.out.splitlines()[:3]]
    lab.equal('as a table', (done.code, lines), (3, [
        ['HOST', 'EXPECTED', 'FOUND', 'DEVICES', 'LEFTOVERS', 'RESULT'], ['a', 'absent', 'absent', '-', '0', 'as', 'expected'],
        ['b', 'absent', 'absent', '-', '2', 'different']]))
    for finding in told['b']['leftovers']:
        for line in finding['commands']:
            lab.check(f'its command is shown: {line}', f'    # {line}' in done.out.splitlines(), done.out)
            peer.call('guest.command:run', 'sh', '-c', line)
    expect(lab, 'absent', ('absent', 'absent'))


def cut_off_here(information):
    """On the other host: iscsid does not answer, so the detach waits for its logouts, and everything of it is killed."""
    for pid in daemons.pids('iscsid'):
        os.kill(pid, signal.SIGSTOP)
    detach = os_brick_command.Command('detach', '--multipath', '-', stdin=information)
    poll.until(lambda: not host.scsi_devices(), 120, 'the disks are gone')
    detach.kill()
    command.run('pkill', '-KILL', '-x', 'iscsiadm', check=False)
    # What was asked of it must not be done after all.
    for pid in daemons.pids('iscsid'):
        os.kill(pid, signal.SIGKILL)
    poll.until(lambda: not daemons.pids('iscsid'), 30, 'iscsid is gone')
    daemons.start('iscsid')
    poll.until(sessions_are_taken_up, 120, 'the new iscsid has connected the sessions again')


def sessions_are_taken_up():
    """Until then iscsid refuses a logout."""
    told = command.run('iscsiadm', '-m', 'session', '-P', '1', check=False)
    count = len(host.sessions())
    return all(told.count(state) == count for state in (
        'iSCSI Connection State: LOGGED IN', 'iSCSI Session State: LOGGED_IN', 'Internal iscsid Session State: NO CHANGE'))
