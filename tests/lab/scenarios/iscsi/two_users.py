"""Two of our processes under different users, one lock directory, volumes on the same target: both work, both end clean."""

import threading

LEDGER = ('LK-01', 'LK-06')
MODES = ('nova',)
PACKAGES = ('ours',)
SECONDS = 60
TURNS = 3


def run(lab):
    target = lab.targets.create(portals=2, luns={1: None, 2: None})
    connectors = [lab.caller(user=user).connector('ISCSI', use_multipath=True) for user in ('root', 'nova')]
    threads = [threading.Thread(target=work, args=(lab, connector, target, lun, user))
               for lun, (connector, user) in enumerate(zip(connectors, ('root', 'nova')), 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lab.equal('no session in the end', lab.host.sessions(), {})


def work(lab, connector, target, lun, user):
    """Attach and detach one volume a few times, whatever the other user does meanwhile."""
    for turn in range(1, TURNS + 1):
        try:
            info = lab.attach(connector, target.properties(lun), f'{user} {turn}: connect')
            lab.check_right_disk(f'{user} {turn}', info['path'], target.luns[lun])
            lab.detach(connector, target.properties(lun), info, f'{user} {turn}: disconnect')
        except Exception as error:
            lab.check(f'{user} {turn}', False, error)
            return
