"""`os-brick clean` only looks without --yes, removes what is proven unused, and nothing that somebody has.

What came into use after the first look stays, too: each leftover is looked at again under the lock.
"""

import contextlib
import fcntl
import os
from pathlib import Path

from guest import command, host, leftovers, orphaned, os_brick_command, poll

LEDGER = ('SE-08',)
VARIANTS = ('map_without_paths', 'session_without_disks', 'record_without_session', 'controller_without_namespaces',
            'dangling_link', 'held_and_mounted', 'paths_down', 'undecided', 'changed_meanwhile')
MODES = ('root',)
PACKAGES = ('ours',)
SECONDS = 60
TIMEOUT = 600

# A disk alone stays one: no map over it goes later than its session, and leaves its line in the wwids file.
ALONE = ('session_without_disks', 'record_without_session')
MOUNT_POINT = '/run/lab/mounted'


def MULTIPATH(variant):
    return {'find_multipaths': 'yes'} if variant in ALONE else None


def run(lab):
    caller = lab.caller()
    # A detach of what is not attached: from now on the lock directory is one that is used.
    target = lab.targets.create()
    refuse_without_locks(lab)
    caller.connector('ISCSI').disconnect_volume(target.properties(1), None)
    lab.equal('a clean host: exit code and text', clean(lab, '--yes'), (0, 'Nothing is left behind.\n'))
    globals().get(lab.variant, one_kind)(lab, caller)


def clean(lab, *options):
    """Exit code and text of a `clean` with the lock directory."""
    done = os_brick_command.run('clean', '--lock-path', lab.lock_path, *options)
    return done.code, done.out


def outcomes(lab, *options):
    """Exit code and [(kind, subject, fate, reason)] of a `clean`, sorted."""
    done = os_brick_command.run('clean', '--lock-path', lab.lock_path, '--json', *options)
    lab.equal('it says whether it acted', done.json['applied'], '--yes' in options)
    return rows(done)


def rows(done):
    found = done.json['outcomes']
    return done.code, sorted(tuple(one[key] for key in ('kind', 'subject', 'fate', 'reason')) for one in found)


def of_kind(found, kind):
    code, all_of_them = found
    return code, [one[1:] for one in all_of_them if one[0] == kind]


def refuse_without_locks(lab):
    nowhere = str(Path(lab.lock_path, 'nowhere'))
    for name, arguments, user, code, text in (
            ('without a lock directory', ['--yes'], 'root', 2, '--yes needs --lock-path, the lock_path of the services of this host'),
            ('a lock directory that is not there', ['--yes', '--lock-path', nowhere], 'root', 2, f'--lock-path: {nowhere} is no directory'),
            ('a lock directory nobody uses', ['--yes', '--lock-path', lab.lock_path], 'root', 1,
             'lock_path must be the lock directory of the services, and there is no os-brick-connect_volume in ' + lab.lock_path),
            ('not root', [], 'nova', 1, 'clean needs root, also to look: nobody else sees who has a map open')):
        done = os_brick_command.run('clean', *arguments, user=user)
        lab.equal(f'{name}: refused', (done.code, done.out, done.err), (code, '', f'os-brick: {text}\n'))


def one_kind(lab, caller):
    subject, release = getattr(orphaned, lab.variant)(lab, caller)
    if lab.variant == 'map_without_paths':
        # Its sessions have no user: they go the first time.
        for options in ((), ('--yes',)):
            lab.equal(f'open, clean {options}', of_kind(outcomes(lab, *options), lab.variant),
                      (3, [(subject, 'left', 'opened 1 times')]))
        lab.check('the open map is there', subject in host.dm_devices(), host.dm_devices())
    release()
    before = leftovers.snapshot()
    code, found = outcomes(lab)
    subject = subject or found[0][1]
    lab.equal('a dry run', (code, found), (3, [(lab.variant, subject, 'would_remove', None)]))
    lab.equal('a dry run as text', clean(lab), (
        3, f"{lab.variant.replace('_', ' ')}: {subject}\n  unused, would be removed\n\n"
           '1 of 1 would be removed. Nothing was changed; --yes removes.\n'))
    lab.equal('nothing was changed', leftovers.difference(before, leftovers.snapshot()), {})
    lab.equal('nothing went', leftovers.difference(leftovers.snapshot(), before), {})
    lab.equal('removed', outcomes(lab, '--yes'), (0, [(lab.variant, subject, 'removed', None)]))
    lab.equal('nothing is left to clean', clean(lab), (0, 'Nothing is left behind.\n'))


def held_and_mounted(lab, caller):
    """Two maps without paths: a device is built on the one, the other is mounted."""
    target = lab.targets.create(luns={1: None, 2: None})
    connector = caller.connector('ISCSI', use_multipath=True)
    held, mounted = (os.path.basename(host.real_device(lab.attach(connector, target.properties(lun))['path']))
                     for lun in (1, 2))
    Path(MOUNT_POINT).mkdir(exist_ok=True)
    command.run('mkfs.ext2', '-q', f'/dev/{mounted}')
    # Read only: a mount that cannot write does not hang when it goes.
    command.run('mount', '-o', 'ro', f'/dev/{mounted}', MOUNT_POINT)
    command.run('dmsetup', 'create', 'built', '--table', f'0 8 linear /dev/{held} 0')
    command.run('udevadm', 'settle', '--timeout=60', check=False)
    built = next(name for name, device in host.dm_devices().items() if device['name'] == 'built')
    for disk in sorted(filter(None, host.scsi_devices().values())):
        orphaned.delete(disk)
    wanted = sorted([(held, 'left', f'device_mapper built ({built})'), (mounted, 'left', f'mounted on {MOUNT_POINT}')])
    for options in ((), ('--yes',)):
        lab.equal(f'clean {options}', of_kind(outcomes(lab, *options), 'map_without_paths'), (3, wanted))
    lab.equal('all three are there', sorted(host.dm_devices()), sorted([held, mounted, built]))
    command.run('umount', MOUNT_POINT)
    command.run('dmsetup', 'remove', 'built')
    command.run('udevadm', 'settle', '--timeout=60', check=False)
    lab.equal('when nobody has them', of_kind(outcomes(lab, '--yes'), 'map_without_paths'),
              (0, sorted((name, 'removed', None) for name in (held, mounted))))


def paths_down(lab, caller):
    """The storage is away for a while: that is no proof, and nothing is touched."""
    target = lab.targets.create(portals=2)
    connector = caller.connector('ISCSI', use_multipath=True)
    properties = target.properties(1)
    info = lab.attach(connector, properties)
    disk, device = target.luns[1], os.path.basename(host.real_device(info['path']))
    command.run('udevadm', 'settle', '--timeout=120', check=False)
    lab.check_paths('attached', disk, 2)
    target.refuse()
    lab.eventually('no session works', lambda: host.session_portals(target.iqn) == [], 60, host.sessions)
    for options in ((), ('--yes',)):
        lab.equal(f'clean {options}', outcomes(lab, *options), (3, [
            ('map_without_paths', device, 'left', 'it has paths: that they are down does not prove it unused')]))
    target.restore()
    lab.eventually('both sessions work again', lambda: len(host.session_portals(target.iqn)) == 2, 60, host.sessions)
    lab.eventually('multipathd uses both again', lambda: active_paths() == 2, 90, active_paths)
    lab.check_right_disk('the storage is back', info['path'], disk)
    lab.detach(connector, properties, info)


def active_paths():
    return command.run('multipathd', 'show', 'paths', 'raw', 'format', '%t').split().count('active')


def undecided(lab, caller):
    """A disk beside its map: whether it goes in or away is for somebody to decide."""
    subject, _ = orphaned.path_outside_map(lab, caller)
    for options in ((), ('--yes',)):
        lab.equal(f'clean {options}', outcomes(lab, *options), (3, [
            ('path_outside_map', subject, 'left', 'somebody has to decide what becomes of it')]))
    lab.equal('as text', clean(lab, '--yes'), (3, f'path outside map: {subject}\n  left alone: somebody has to decide what becomes of it\n'
                                           f'    # multipathd add path {subject}\n\n0 of 1 removed.\n'))
    target = lab.targets.targets[-1]
    caller.connector('ISCSI', use_multipath=True).disconnect_volume(target.properties(1), None)


def changed_meanwhile(lab, caller):
    """A stock os-brick holds the lock while `clean` waits for it, and what was found changes."""
    subject, _ = orphaned.dangling_link(lab, caller)
    with stock_lock(lab) as lock_file:
        waiting = start_waiting(lab, lock_file)
        os.unlink(subject)
    lab.equal('somebody else removed it', rows(waiting.wait(200)), (
        0, [('dangling_link', subject, 'gone', 'it is not as it was any more')]))

    subject, release = orphaned.map_without_paths(lab, caller)
    release()
    with stock_lock(lab) as lock_file:
        waiting = start_waiting(lab, lock_file)
        held = os.open(f'/dev/{subject}', os.O_RDONLY)
    lab.equal('somebody opened it', of_kind(rows(waiting.wait(200)), 'map_without_paths'),
              (3, [(subject, 'left', 'opened 1 times')]))
    os.close(held)
    with stock_lock(lab) as lock_file:
        done = start_waiting(lab, lock_file).wait(200)
        lab.equal('the lock does not come free', (done.code, {(one['fate'], one['reason']) for one in done.json['outcomes']}),
                  (3, {('left', 'an attach or detach is under way on this host')}))
    lab.equal('nobody is in the way', outcomes(lab, '--yes'), (0, [('map_without_paths', subject, 'removed', None)]))


@contextlib.contextmanager
def stock_lock(lab):
    """Held as oslo's lockutils hold it."""
    path = Path(lab.lock_path, 'os-brick-connect_volume')
    with open(path, 'r+') as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        yield str(path)


def start_waiting(lab, lock_file):
    """A `clean` that has looked once, and waits for the lock."""
    waiting = os_brick_command.Command('clean', '--yes', '--json', '--lock-path', lab.lock_path)
    poll.until(lambda: lock_file in open_files(waiting.pid), 120, 'it waits for the lock')
    return waiting


def open_files(pid):
    found = []
    for name in host.entries(f'/proc/{pid}/fd'):
        with contextlib.suppress(OSError):
            found.append(os.readlink(f'/proc/{pid}/fd/{name}'))
    return found
