"""`os-brick` as an operator types it, on a real volume over two portals.

Attach with its progress, the commands that look, doctor, detach; what is refused, and what Ctrl-C does. The packages of the
extra `cli` are not installed here: it works without them.
"""

import json
import os
from pathlib import Path
import re
import signal

from guest import command, host, os_brick_command, poll

LEDGER = ('SE-05',)
VARIANTS = ('whole', 'refused', 'ctrl_c')
MODES = ('root',)
PACKAGES = ('ours',)
SECONDS = 90
TIMEOUT = 900

CHAP = ('chap-user', 'chap-S3cret-word')
MOUNT_POINT = '/run/lab/mounted'
#: The guest's name is one of an example, its privsep helper has another name than packages give it, no service is set up
#: beside the file that is named, and Debian's nvme-cli made hostnqn and hostid with two UUIDs.
DOCTOR = {'iscsid': 'ok', 'manual_scan': 'ok', 'initiator_name': 'error', 'multipathd': 'ok', 'find_multipaths': 'ok',
          'user_friendly_names': 'ok', 'skip_kpartx': 'warning', 'udev': 'ok', 'nvme_host': 'warning', 'lock_directory': 'ok',
          'privsep': 'error', 'rootwrap': 'skipped'}


class Volume:
    """A target, the file with its connection information, and the options that go with it."""

    def __init__(self, lab):
        self.lab = lab
        self.target = lab.targets.create(portals=2, chap=CHAP)
        self.disk, self.properties = self.target.luns[1], self.target.properties(1)
        self.directory = Path(lab.make_directory('command', user='root'))
        self.file = self.write('volume.json', {'driver_volume_type': 'iscsi', 'data': self.properties})
        self.config = self.directory / 'os-brick.conf'
        # A path that is late is given up when the command ends.
        self.config.write_text(f'[os_brick]\nlock_path = {lab.lock_path}\nportal_grace_period = 120\n')
        self.title = f'iscsi volume {self.target.iqn}'

    def write(self, name, content):
        path = self.directory / name
        path.write_text(json.dumps(content))
        return path

    def start(self, verb, *arguments, **options):
        return os_brick_command.Command(verb, '--multipath', '--config-file', self.config, *arguments, **options)

    def run(self, verb, *arguments, **options):
        done = self.start(verb, *arguments, **options).wait(300)
        self.lab.check(f'{verb}: no secret is printed', CHAP[1] not in done.out + done.err)
        return done

    def attached(self):
        """What an attach prints as JSON."""
        return {'type': 'block', 'scsi_wwn': self.disk.wwid, 'path': f'/dev/{self.device}', 'multipath_id': self.disk.wwid}

    @property
    def device(self):
        return host.map_of(self.disk.wwid)[0]


def run(lab):
    globals()[lab.variant](lab, Volume(lab))


def words(text):
    """Lines of progress without their times."""
    return [re.sub(r'^ *\d+\.\d s  ', '', line) for line in text.splitlines()]


def no_trace(lab, name):
    lab.equal(f'{name}: nothing is on the host', (host.scsi_devices(), host.sessions(), host.dm_devices(), host.node_records()),
              ({}, {}, {}, []))


def whole(lab, volume):
    done = volume.run('attach', '--json', volume.file, cold=True)
    lab.require('attached', done.code == 0, done)
    lab.equal('attach: what it printed', done.json, volume.attached())
    said = words(done.err)
    lab.equal('attach: the first words', said[0], f'attaching {volume.title}')
    attached = rf'attached 127\.0\.1\.\d:3260 {volume.target.iqn} LUN 1 as /dev/{volume.device}\b.*: lock \d+\.\d+ s, .*'
    lab.check('attach: it says where', any(re.fullmatch(attached, line) for line in said), done.err)
    lab.check('attach: each line has its time', all(re.match(r'^ *\d+\.\d s  \S', line) for line in done.err.splitlines()), done.err)
    command.run('udevadm', 'settle', '--timeout=120', check=False)
    lab.check_paths('attached', volume.disk, 2)
    lab.check_right_disk('attached', f'/dev/{volume.device}', volume.disk)
    device_info = volume.write('device.json', done.json)
    again = volume.run('attach', volume.file)
    lab.equal('attached again', (again.code, words(again.err)[1]), (0, f'it is here already: {", ".join(by_path(volume))}'))
    looks(lab, volume)
    doctor(lab, volume)
    in_use(lab, volume)
    done = volume.run('detach', '--json', '--device-info', device_info, volume.file)
    lab.equal('detach: what it printed', (done.code, done.json), (0, {'volume': volume.title, 'paths': []}))
    lab.equal('detach: the first words', words(done.err)[0], f'detaching {volume.title}')
    no_trace(lab, 'detach')
    again = volume.run('detach', volume.file)
    lab.equal('detached again', (again.code, again.out), (0, f'{volume.title} is detached\n'))
    lab.equal('no volumes', [os_brick_command.run(verb).out for verb in ('volumes', 'tree')], ['No volumes.\n'] * 2)


def by_path(volume):
    return sorted(f'/dev/disk/by-path/ip-{portal}-iscsi-{volume.target.iqn}-lun-1' for portal in volume.target.portals)


def seen(volume):
    """The volume as the inventory shows it, put together from the kernel's files."""
    sessions = {found['host']: (number, found) for number, found in host.sessions().items()}
    addresses = {disk: hctl for hctl, disk in host.scsi_devices().items() if disk}
    paths = []
    for disk in sorted(addresses, key=lambda disk: (len(disk), disk)):
        number, session = sessions['host' + addresses[disk].split(':')[0]]
        paths.append({
            'device': disk, 'address': addresses[disk], 'state': 'running', 'identity': volume.disk.wwid,
            'size': volume.disk.size, 'usable': True,
            'connection': {'transport': 'iscsi', 'target': volume.target.iqn, 'portal': session['portal'],
                           'name': f'session{number}', 'state': 'LOGGED_IN'}})
    return {'device': volume.device, 'kind': 'multipath', 'name': volume.disk.wwid, 'identity': volume.disk.wwid,
            'size': volume.disk.size, 'paths': paths, 'mounts': [], 'consumers': [], 'links': [], 'open_count': 0, 'record': None}


def looks(lab, volume):
    expected, device = seen(volume), volume.device
    for verb, options in (('volumes', ()), ('tree', ()), ('tree', (device,)), ('tree', (f'/dev/{device}', volume.disk.wwid))):
        done = os_brick_command.run(verb, '--json', *options)
        lab.equal(f'{verb} {options} --json', (done.code, done.json, done.err), (0, [expected], ''))
    wwid = volume.disk.wwid
    done = os_brick_command.run('volumes')
    lab.equal('volumes', [line.split() for line in done.out.splitlines()], [
        ['DEVICE', 'NAME', 'SIZE', 'PATHS', 'TRANSPORT', 'USED', 'BY', 'IDENTITY'],
        [device, wwid, '64.0', 'MiB', '2/2', 'iscsi', '-', wwid]])
    first, second = [' '.join([path['device'], path['address'], 'running', 'iscsi', path['connection']['portal'],
                               path['connection']['name'], 'LOGGED_IN', volume.target.iqn]) for path in expected['paths']]
    lab.equal('tree', os_brick_command.run('tree').out.splitlines(), [f'{device} {wwid} 64.0 MiB {wwid}', f'├─ {first}', f'└─ {second}'])
    missing = os_brick_command.run('tree', 'sdzz')
    lab.equal('tree of what is not there', (missing.code, missing.out, missing.err),
              (1, '', 'os-brick: no volume of this host is sdzz\n'))
    done = os_brick_command.run('paths', 'iscsi', '--json', stdin=volume.file.read_text())
    lab.equal('paths --json', (done.code, sorted(done.json)), (0, by_path(volume)))
    done = os_brick_command.run('paths', 'iscsi', volume.file)
    lab.equal('paths', (done.code, sorted(done.out.splitlines())), (0, by_path(volume)))
    done = os_brick_command.run('orphans', '--json')
    lab.equal('orphans', (done.code, done.json), (0, {'findings': [], 'silent': [], 'live': True}))
    done = os_brick_command.run('properties', '--ip', '127.0.1.9', '--json')
    lab.equal('properties', (done.code, [done.json[key] for key in ('initiator', 'ip', 'multipath', 'os_type')]),
              (0, ['iqn.2024-01.org.example:lab-guest', '127.0.1.9', True, 'linux']))
    done = os_brick_command.run('completion', 'bash')
    lab.equal('completion without its package', (done.code, done.out, done.err),
              (1, '', 'os-brick: completion needs shtab: pip install "os-brick[cli]"\n'))


def doctor(lab, volume):
    service = volume.directory / 'service.conf'
    service.write_text(volume.config.read_text() + '[privsep_osbrick]\nhelper_command = sudo /opt/lab/bin/privsep-helper-ours '
                       f'--config-file {service}\n')
    done = os_brick_command.run('doctor', '--json', '--config-file', service)
    lab.show(done.json)
    lab.equal('doctor: verdicts', {check['check']: check['verdict'] for check in done.json['checks']}, DOCTOR)
    lab.equal('doctor: exit code', done.code, 3)
    lab.check('doctor: what is wrong has a remedy',
              all(bool(check['remedy']) == (check['verdict'] in ('warning', 'error')) for check in done.json['checks']), done.out)


def in_use(lab, volume):
    device = volume.device
    Path(MOUNT_POINT).mkdir(exist_ok=True)
    command.run('mkfs.ext2', '-q', f'/dev/{device}')
    command.run('mount', f'/dev/{device}', MOUNT_POINT)
    lab.equal('mounted: tree', os_brick_command.run('tree').out.splitlines()[-1], f'└─ mounted on {MOUNT_POINT}')
    lab.equal('mounted: volumes --json', os_brick_command.run('volumes', '--json').json[0]['mounts'], [MOUNT_POINT])
    done = volume.run('detach', volume.file)
    lab.equal('mounted: a detach is refused', (done.code, done.out, done.err), (
        1, '', f'os-brick: the volume is in use ({device}: {MOUNT_POINT}); nothing was touched. Let its users go first, '
               'or use --force and lose data\n'))
    command.run('umount', MOUNT_POINT)
    command.run('udevadm', 'settle', '--timeout=120', check=False)
    with open(f'/dev/{device}'):
        done = volume.run('detach', volume.file)
        lab.equal('open: a detach is refused', (done.code, done.out, done.err), (
            1, '', f'os-brick: the volume is in use ({device}: open 1x); nothing was touched. Let its users go first, '
                   'or use --force and lose data\n'))
    lab.check_paths('nothing was touched', volume.disk, 2)


def refused(lab, volume):
    wrong = dict(volume.properties, auth_password='another-W0rd-of-16')
    half = {key: value for key, value in volume.properties.items() if key != 'auth_password'}
    for name, text, code, said in (
            ('no JSON', '{"data": ' + CHAP[1], 2, None),
            ('unknown protocol', json.dumps({'driver_volume_type': 'tape', 'data': {}}), 2, None),
            ('a property is missing', json.dumps({'driver_volume_type': 'iscsi', 'data': half}), 2,
             'os-brick: stdin: auth_password is missing, a volume of ISCSI needs it'),
            ('a bad LUN', json.dumps({'driver_volume_type': 'iscsi', **volume.properties, 'target_luns': ['x', 1]}), 2, None),
            ('a wrong password', json.dumps({'driver_volume_type': 'iscsi', 'data': wrong}), 1, None)):
        done = volume.run('attach', '-', stdin=text)
        lab.show(f'{name}: {done}')
        lab.equal(f'{name}: exit code and stdout', (done.code, done.out), (code, ''))
        lab.check(f'{name}: says why', done.err.splitlines()[-1] == said if said else done.err.splitlines()[-1].startswith('os-brick: '),
                  done.err)
        lab.check(f'{name}: no password', not any(word in done.err for word in ('W0rd', 'S3cret')))
        no_trace(lab, name)
    done = volume.run('attach', volume.file, user='nova')
    lab.equal('not root', (done.code, done.out, done.err), (
        1, '', 'os-brick: attach changes the host and needs root: use sudo, or a --config-file with helper_command in '
               '[privsep_osbrick]\n'))
    no_trace(lab, 'not root')


def ctrl_c(lab, volume):
    """The attach comes to its end and is taken back; on a terminal without the extra package the lines are plain."""
    under_way = volume.start('attach', volume.file, terminal=True)
    poll.until(host.sessions, 120, 'it logs in')
    os.kill(under_way.pid, signal.SIGINT)
    poll.until(lambda: 'Ctrl-C' in under_way.err, 60, 'it heard')
    os.kill(under_way.pid, signal.SIGINT)
    done = under_way.wait(300)
    said = words(done.err.replace('\r', ''))
    lab.equal('Ctrl-C: exit code and stdout', (done.code, done.out), (130, ''))
    lab.equal('Ctrl-C: the first and the last words', (said[0], said[-1]), (
        f'attaching {volume.title}', 'os-brick: stopped by Ctrl-C; the volume is detached again'))
    lab.equal('Ctrl-C: both are answered', said.count('Ctrl-C: stopping when the attach has come to its end, then detaching again'), 2)
    no_trace(lab, 'Ctrl-C')
    lab.check('Ctrl-C: no secret is printed', CHAP[1] not in done.err)
