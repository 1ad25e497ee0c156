"""The caller is killed with SIGKILL at many moments of an attach; attaching and detaching again cleans the host.

As an unprivileged service the privileged daemon is killed with it every other time, and else ends by itself.
"""

import time

LEDGER = ('IC-27', 'IC-38', 'SE-08')
SECONDS = 120
TIMEOUT = 900
UPSTREAM_LEAVES = 'what the killed attach had done'
UPSTREAM_FAILS = 'keeps sessions of the killed attach'
MOMENTS = (0.05, 0.2, 0.4, 0.7, 1.0, 1.4, 1.9, 2.5, 3.5)


def run(lab):
    target = lab.targets.create(portals=4)
    disk, properties = target.luns[1], target.properties(1)
    survivor = lab.caller()
    again = survivor.connector('ISCSI', use_multipath=True)
    for turn, moment in enumerate(MOMENTS):
        caller = lab.caller()
        pending = caller.connector('ISCSI', use_multipath=True).start('connect_volume', properties)
        time.sleep(moment)
        finished = pending.done()
        caller.kill(helpers=turn % 2 == 0)
        name = f'killed after {moment} s{" (attach was done)" if finished else ""}'
        info = lab.attach(again, properties, f'{name}: connect again')
        lab.check_right_disk(name, info['path'], disk)
        lab.detach(again, properties, info, f'{name}: disconnect')
        lab.equal(f'{name}: devices', lab.host.scsi_devices(), {})
        lab.equal(f'{name}: sessions', lab.host.sessions(), {})
        lab.equal(f'{name}: maps', lab.host.dm_devices(), {})
        lab.equal(f'{name}: records', lab.host.node_records(), [])
