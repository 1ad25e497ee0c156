"""Upstream 7.1.1 and ours on one lock directory exclude each other; two of ours run side by side.

The lab itself takes upstream's lock the way upstream does (an exclusive lock on `os-brick-connect_volume`).
"""

import fcntl
from pathlib import Path

from guest import command

LEDGER = ('LK-01', 'LK-02', 'LK-05')
PACKAGES = ('ours',)
MODES = ('nova',)
SECONDS = 60
TIMEOUT = 500


def run(lab):
    target = lab.targets.create(portals=2, luns={1: None, 2: None, 3: None})
    ours, upstream = lab.caller(), lab.caller(package='upstream')
    connectors = [ours.connector('ISCSI', use_multipath=True), upstream.connector('ISCSI', use_multipath=True)]
    lock = Path(lab.lock_path) / 'os-brick-connect_volume'
    # Made by a first call, with the owner and mode it has in real life.
    info = lab.attach(connectors[0], target.properties(1))
    lab.detach(connectors[0], target.properties(1), info)
    lab.require('the lock file is in lock_path', lock.exists(), sorted(Path(lab.lock_path).iterdir()))

    with open(lock, 'a') as held:
        fcntl.lockf(held, fcntl.LOCK_EX)
        pending = connectors[0].start('connect_volume', target.properties(1))
        lab.never('ours waits for an exclusive holder', lambda: pending.done() or lab.host.sessions(), 4)
        fcntl.lockf(held, fcntl.LOCK_UN)
        info = pending.wait().value
        lab.detach(connectors[0], target.properties(1), info)

    pending = connectors[0].start('connect_volume', target.properties(1))
    with open(lock, 'a') as other:
        lab.eventually('while ours attaches, nobody gets it exclusively', lambda: not taken(other), 5)
    info = pending.wait().value
    lab.detach(connectors[0], target.properties(1), info)

    for turn in (1, 2):
        pending = [connector.start('connect_volume', target.properties(lun))
                   for lun, connector in enumerate(connectors, 2)]
        infos = [call.wait().value for call in pending]
        for lun, info in enumerate(infos, 2):
            lab.check_right_disk(f'turn {turn}: LUN {lun}', info['path'], target.luns[lun])
        pending = [connector.start('disconnect_volume', target.properties(lun), info)
                   for lun, (connector, info) in enumerate(zip(connectors, infos), 2)]
        for call in pending:
            call.wait()
        lab.equal(f'turn {turn}: no session in the end', lab.host.sessions(), {})
    # Upstream leaves its volume's line in the wwids file; that is not what this scenario is about.
    command.run('multipath', '-w', target.luns[3].wwid, check=False)


def taken(file):
    """Whether an exclusive lock can be had right now; it is given back at once."""
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    fcntl.lockf(file, fcntl.LOCK_UN)
    return True
