"""Nova and Cinder as different users with one `[os_brick] lock_path`: each takes the locks the other one made.

The directory is as large deployments have it: open to a group both are in, or to everyone with the sticky bit and
the kernel's protection of such directories (fs.protected_regular).
"""

from pathlib import Path
import threading

from guest import command

LEDGER = ('LK-01', 'LK-02')
IMAGE = 'consumers'
VARIANTS = ('group', 'sticky')
MODES = ('nova',)
SECONDS = 90
TIMEOUT = 600
UPSTREAM_FAILS = 'the lock files belong to the first user alone'
TURNS = 2
PROTECTION = Path('/proc/sys/fs/protected_regular')


def run(lab):
    protection = PROTECTION.read_text()
    shared = lab.make_lock_path('shared', user='root')
    try:
        if lab.variant == 'sticky':
            PROTECTION.write_text('2')
            Path(shared).chmod(0o1777)
        else:
            command.run('groupadd', '--force', 'os-brick')
            command.run('chgrp', 'os-brick', shared)
            Path(shared).chmod(0o2775)
            for user in ('nova', 'cinder'):
                command.run('usermod', '-a', '-G', 'os-brick', user)
        both_at_work(lab, shared)
    finally:
        PROTECTION.write_text(protection)


def both_at_work(lab, shared):
    target = lab.targets.create(portals=2, luns={1: None, 2: None})
    # Each keeps its own lock_path of oslo.concurrency, as services do.
    own = {user: lab.make_lock_path(user, user) for user in ('nova', 'cinder')}
    callers = [lab.caller(user=user, conf={'lock_path': shared}, lock_path=path) for user, path in own.items()]
    connectors = [caller.connector('ISCSI', use_multipath=True) for caller in callers]
    threads = [threading.Thread(target=work, args=(lab, connector, target, lun, caller.user))
               for lun, (caller, connector) in enumerate(zip(callers, connectors), 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lab.equal('no session in the end', lab.host.sessions(), {})
    names = sorted(path.name for path in Path(shared).iterdir())
    lab.check('the locks are there', 'os-brick-connect_volume' in names, names)
    for user, path in own.items():
        lab.equal(f'{user} has none of its own', list(Path(path).iterdir()), [])


def work(lab, connector, target, lun, user):
    for turn in range(1, TURNS + 1):
        try:
            info = lab.attach(connector, target.properties(lun), f'{user} {turn}: connect')
            lab.check_right_disk(f'{user} {turn}', info['path'], target.luns[lun])
            lab.detach(connector, target.properties(lun), info, f'{user} {turn}: disconnect')
        except Exception as error:
            lab.check(f'{user} {turn}', False, error)
            return
