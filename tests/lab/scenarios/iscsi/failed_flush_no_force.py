"""A detach that cannot flush, without force: it raises and leaves everything in place; later it succeeds.

`in_use`: the map is held open, so it cannot be removed. `dead_target`: the data cannot reach the array.
"""

import os

LEDGER = ('ID-10', 'ID-11', 'ID-12', 'ID-17')
VARIANTS = ('in_use', 'dead_target')
MODES = ('nova',)
SECONDS = 90
TIMEOUT = 900
UPSTREAM_FAILS = 'removes paths although data was not flushed'


def run(lab):
    target = lab.targets.create(portals=2)
    disk, properties = target.luns[1], target.properties(1)
    connector = lab.caller().connector('ISCSI', use_multipath=True)
    info = lab.attach(connector, properties)
    lab.check_paths('attached', disk, 2)
    before = state(lab, disk)
    holder, writer = None, None
    if lab.variant == 'in_use':
        holder = os.open(info['path'], os.O_RDONLY)
    else:
        target.black_hole()
        writer = lab.flow.DirtyPages(info['path'])
    error = lab.raises('the detach raises', connector.start('disconnect_volume', properties, info), 'BrickException',
                       'ExceptionChainer', 'ProcessExecutionError', seconds=700)
    if error:
        lab.measured('failed disconnect', error.seconds)
    lab.equal('devices, map and sessions are all still there', state(lab, disk), before)
    if holder is not None:
        os.close(holder)
    target.restore()
    lab.eventually('the map works again', lambda: writer is None or writer.ended(), 180)
    lab.check_right_disk('afterwards', info['path'], disk)
    lab.detach(connector, properties, info, 'second disconnect')
    lab.equal('no session after the second detach', lab.host.sessions(), {})


def state(lab, disk):
    return {'devices': lab.host.scsi_devices(), 'map': lab.host.map_of(disk.wwid)[0],
            'paths': lab.host.map_of(disk.wwid)[1], 'sessions': sorted(lab.host.sessions())}
