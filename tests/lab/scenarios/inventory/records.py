"""Attachment records: what an attach and a detach write down, and what they tell when something went wrong.

The caller was killed with SIGKILL in the middle of an attach; somebody else took the volume away; the host was started. The
start is pretended: the volumes go by hand, and another boot id lies over the kernel's. The guest's disk would not outlive it.
"""

import contextlib
import json
import os
from pathlib import Path
import signal
import stat

from guest import command, daemons, host, os_brick_command, poll

LEDGER = ('SE-08', 'SE-05')
VARIANTS = ('kept', 'killed_before_login', 'killed_before_map', 'started_anew')
MODES = ('nova',)
PACKAGES = ('ours',)
SECONDS = 60
TIMEOUT = 600

BOOT_ID = Path('/proc/sys/kernel/random/boot_id')
OTHER_BOOT_ID = 'a5a5a5a5-0000-4000-8000-00000000b007'
CHAP = ('chap-user', 'chap-S3cret-word')


def run(lab):
    directory = Path(f'/run/lab/records-{os.getpid()}')
    # Long enough for what is held up on purpose here.
    conf = {'attachment_record_path': directory, 'wait_mpath_device_attempts': 8}
    caller = lab.caller(conf=conf)
    globals()[lab.variant](lab, directory, caller, lambda: lab.caller(conf=conf))
    lab.equal('the directory is empty at the end', host.entries(directory), [])


def records(directory):
    return {name: json.loads((directory / name).read_text()) for name in host.entries(directory)}


def only(lab, directory):
    """File and content of the only record."""
    found = records(directory)
    lab.require('there is one record', len(found) == 1, found)
    return next(iter(found.items()))


def look(directory, verb, *options):
    """Exit code and result of a command that looks."""
    done = os_brick_command.run(verb, '--records', directory, '--json', *options)
    return done.code, done.json


def standings(directory):
    """{device: whose it is}"""
    return {volume['device']: volume['record'] for volume in look(directory, 'volumes')[1]}


def findings(directory):
    """Exit code of `orphans`, and {kind: finding} with what matters of each."""
    code, found = look(directory, 'orphans')
    return code, {finding['kind']: finding for finding in found['findings']}


def evidence(finding):
    return [(seen['place'], seen['value']) for seen in finding['evidence']]


def clean(lab, directory, *options):
    """Exit code and {kind: (subject, fate, reason)}."""
    code, found = look(directory, 'clean', '--lock-path', lab.lock_path, *options)
    return code, {one['kind']: (one['subject'], one['fate'], one['reason']) for one in found['outcomes']}


def content(lab, target, properties, state, made, boot_id):
    """A record without time and operation."""
    asked = ('target_portal', 'target_portals', 'target_iqn', 'target_iqns', 'target_lun', 'target_luns', 'volume_id',
             'encrypted')
    return {'state': state, 'protocol': 'iscsi', 'boot_id': boot_id, 'volume': [f'{target.iqn} 1'],
            'lock_path': lab.lock_path, 'asked': {key: properties[key] for key in asked}, 'made': made}


def told(record):
    """What can be known of a record beforehand."""
    found = {key: value for key, value in record.items() if key not in ('time', 'operation')}
    if found['made']:
        found['made'] = dict(found['made'], disks=sorted(found['made']['disks']))
    return found


def kept(lab, directory, caller, _):
    target, other = lab.targets.create(portals=2, chap=CHAP), lab.targets.create()
    disk, properties = target.luns[1], target.properties(1)
    connector = caller.connector('ISCSI', use_multipath=True)
    wrong = connector.start('connect_volume', dict(properties, auth_password='wrong-word-of-12')).error()
    lab.check('a wrong password is refused', wrong and wrong.is_a('BrickException'), wrong)
    lab.equal('an attach that failed leaves no record', records(directory), {})

    info = lab.attach(connector, properties)
    command.run('udevadm', 'settle', '--timeout=120', check=False)
    lab.check_paths('attached', disk, 2)
    name, record = only(lab, directory)
    device = os.path.basename(host.real_device(info['path']))
    disks = sorted(record['made']['disks'])
    lab.check('its disks are those of the map', disks and set(disks) <= set(host.map_of(disk.wwid)[1]), record)
    made = {'path': info['path'], 'identity': disk.wwid, 'map': device, 'disks': disks}
    lab.equal('what it says', told(record), content(lab, target, properties, 'attached', made, host.read(BOOT_ID)))
    status = (directory / name).stat()
    lab.equal('who may read it', (status.st_uid, stat.S_IMODE(status.st_mode), stat.S_IMODE(directory.stat().st_mode)),
              (0, 0o600, 0o700))
    text = (directory / name).read_text()
    lab.check('no account is in it', not any(word in text for word in CHAP))
    lab.equal('whose it is', standings(directory), {device: 'attached'})
    lab.equal('without records nothing is said', [one['record'] for one in os_brick_command.run('volumes', '--json').json], [None])

    unrecorded = lab.caller().connector('ISCSI')
    other_info = lab.attach(unrecorded, other.properties(1, plural=False), 'connect without records')
    command.run('udevadm', 'settle', '--timeout=120', check=False)
    lab.check_paths('the other one', other.luns[1], 1)
    poll.until(lambda: len(standings(directory)) == 2, 60, 'two volumes are there')
    lab.equal('whose the other one is', sorted(standings(directory).values()), ['attached', 'unknown'])
    lab.detach(unrecorded, other.properties(1, plural=False), other_info)
    lab.equal('nothing is wrong', findings(directory), (0, {}))

    lab.detach(connector, properties, info)
    lab.equal('the record went with the volume', records(directory), {})
    lab.attach(connector, properties, 'connect again')
    name, _ = only(lab, directory)
    take_away()
    code, found = findings(directory)
    lab.equal('somebody else took it away', (code, list(found)), (3, ['record_without_volume']))
    finding = found['record_without_volume']
    lab.equal('evidence', evidence(finding), [
        (f'{directory}/{name}', 'attached iscsi, since the last start of the host'), ('volume', f'{target.iqn} 1'),
        ('volume_id', properties['volume_id']), ('was', info['path']), ('/sys/block', 'no device of it')])
    lab.equal('commands', finding['commands'], [f'rm {directory}/{name}'])
    subject = f'{directory}/{name}'
    lab.equal('clean says so', clean(lab, directory), (3, {'record_without_volume': (subject, 'would_remove', None)}))
    lab.equal('and only looks', list(records(directory)), [name])
    lab.equal('clean removes it', clean(lab, directory, '--yes'), (0, {'record_without_volume': (subject, 'removed', None)}))


def killed_before_login(lab, directory, survivor, another):
    """Nothing was made yet: the record is all there is."""
    target = lab.targets.create(portals=2)
    properties = target.properties(1)
    target.black_hole()
    caller = another()
    pending = caller.connector('ISCSI', use_multipath=True).start('connect_volume', properties)
    poll.until(lambda: records(directory), 60, 'the attach is written down')
    name, record = only(lab, directory)
    lab.equal('what it says', told(record), content(lab, target, properties, 'attaching', None, host.read(BOOT_ID)))
    lab.equal('while it is under way', findings(directory), (0, {}))
    lab.check('it was still under way then', not pending.done())
    caller.kill(helpers=True)
    target.restore()
    lab.eventually('nobody connects any more', lambda: not host.connecting_portals(), 30, host.connecting_portals)
    code, found = findings(directory)
    lab.equal('ours, half done', (code, list(found)), (3, ['half_done']))
    lab.equal('evidence', evidence(found['half_done']), [
        (f'{directory}/{name}', 'attaching iscsi, since the last start of the host'), ('volume', f'{target.iqn} 1'),
        ('volume_id', properties['volume_id']), ('/sys/block', 'no device of it')])
    subject = f'{directory}/{name}'
    lab.equal('clean says so', clean(lab, directory), (3, {'half_done': (subject, 'would_remove', None)}))
    lab.equal('clean removes it', clean(lab, directory, '--yes'), (0, {'half_done': (subject, 'removed', None)}))
    lab.equal('nothing is left', findings(directory), (0, {}))


def killed_before_map(lab, directory, survivor, another):
    """Sessions and a disk were made, and multipathd was not done: that is not for `clean`, a detach removes it."""
    target = lab.targets.create(portals=2)
    disk, properties = target.luns[1], target.properties(1)
    caller = another()
    pending = caller.connector('ISCSI', use_multipath=True).start('connect_volume', properties)
    poll.until(lambda: host.sessions(), 60, 'a session is there')
    with stopped('multipathd'):
        poll.until(lambda: any(host.scsi_devices().values()), 60, 'a disk is there')
        lab.equal('whose it is meanwhile', set(standings(directory).values()), {'under_way'})
        code, found = findings(directory)
        lab.check('what is under way is no half_done', 'half_done' not in found, found)
        lab.check('it was still under way then', not pending.done())
        caller.kill(helpers=True)
    name, record = only(lab, directory)
    lab.equal('what it says', told(record), content(lab, target, properties, 'attaching', None, host.read(BOOT_ID)))
    poll.until(lambda: host.map_of(disk.wwid)[0], 180, 'multipathd goes on')
    command.run('udevadm', 'settle', '--timeout=120', check=False)
    device, disks = host.map_of(disk.wwid)
    lab.equal('whose it is', standings(directory), {device: 'half_done'})
    code, found = findings(directory)
    lab.equal('ours, half done', (code, found['half_done']['subject']), (3, f'{directory}/{name}'))
    lab.equal('evidence', evidence(found['half_done']), [
        (f'{directory}/{name}', 'attaching iscsi, since the last start of the host'), ('volume', f'{target.iqn} 1'),
        ('volume_id', properties['volume_id']), (f'/dev/{device}', f'is there with {len(disks)} path(s)')])
    code, outcomes = clean(lab, directory, '--yes')
    lab.equal('clean leaves it', (code, outcomes['half_done']),
              (3, (f'{directory}/{name}', 'left', f'{device} of its volume is on the host: detach it')))
    lab.equal('the map is there', host.map_of(disk.wwid), (device, disks))
    lab.detach(survivor.connector('ISCSI', use_multipath=True), properties)
    lab.equal('a detach removes it', (host.scsi_devices(), host.sessions(), host.dm_devices()), ({}, {}, {}))
    lab.equal('nothing is left to find', findings(directory), (0, {}))


def started_anew(lab, directory, caller, _):
    target = lab.targets.create(portals=2)
    properties = target.properties(1)
    connector = caller.connector('ISCSI', use_multipath=True)
    lab.attach(connector, properties)
    name, record = only(lab, directory)
    this_boot = record['boot_id']
    subject = f'{directory}/{name}'
    take_away()
    with another_boot(directory):
        code, found = findings(directory)
        lab.equal('it is from before the start', (code, list(found)), (3, ['stale_record']))
        lab.equal('evidence', evidence(found['stale_record']), [
            (subject, 'attached iscsi, before the last start of the host'), ('volume', f'{target.iqn} 1'),
            ('volume_id', properties['volume_id']), ('was', record['made']['path']), ('/sys/block', 'no device of it')])
        lab.equal('clean says so', clean(lab, directory), (3, {'stale_record': (subject, 'would_remove', None)}))
        info = lab.attach(connector, properties, 'connect after the start')
        again, record = only(lab, directory)
        lab.equal('the record is of the new attach', (again, record['boot_id'], record['state']), (name, OTHER_BOOT_ID, 'attached'))
        device = os.path.basename(host.real_device(info['path']))
        command.run('udevadm', 'settle', '--timeout=120', check=False)
        lab.check_paths('attached again', target.luns[1], 2)
        lab.equal('whose it is', standings(directory), {device: 'attached'})
    lab.check('the kernel says its own again', host.read(BOOT_ID) == this_boot)
    lab.equal('a volume of before that is here', (standings(directory), findings(directory)), ({device: 'stale'}, (0, {})))
    take_away()
    lab.equal('clean removes it', clean(lab, directory, '--yes'), (0, {'stale_record': (subject, 'removed', None)}))


@contextlib.contextmanager
def stopped(daemon):
    """Nothing gets done by it meanwhile."""
    pids = daemons.pids(daemon)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def another_boot(directory):
    """The kernel's files say another boot id."""
    file = Path('/run/lab/boot_id')
    file.write_text(OTHER_BOOT_ID + '\n')
    command.run('mount', '--bind', file, BOOT_ID)
    try:
        yield
    finally:
        command.run('umount', BOOT_ID)


def take_away():
    """Every volume goes by hand, and os-brick hears nothing of it."""
    command.run('udevadm', 'settle', '--timeout=120', check=False)
    for wwid in host.multipath_maps():
        command.run('multipath', '-f', wwid)
    command.run('iscsiadm', '-m', 'node', '--logoutall=all', check=False)
    poll.until(lambda: not host.sessions() and not any(host.scsi_devices().values()), 60, 'the sessions go')
    for record in sorted(host.node_records(), reverse=True):
        if record.count('/') >= 2 and (host.ISCSI_DATABASE / record).is_file():
            iqn, portal = record.split('/')[1:3]
            address, port = portal.split(',')[:2]
            command.run('iscsiadm', '-m', 'node', '-T', iqn, '-p', f'{address}:{port}', '--op', 'delete', check=False)
    for wwid in host.wwids():
        command.run('multipath', '-w', wwid, check=False)
