"""`make demo`: one volume over four portals, attached, used, cut, extended and detached; then the same by upstream."""

MODES = ('nova',)
PACKAGES = ('ours',)
BENCH = True
SECONDS = 120
TIMEOUT = 900

from guest import demonstration
from guest.demonstration import all_ready, path_failed

PORTALS = 4


def run(lab):
    target = lab.targets.create(portals=PORTALS, size=f'{demonstration.SIZE}M')
    disk = target.luns[1]
    lab.show(f'\nA target with four portals offers a volume of {demonstration.SIZE} MiB:\n  {target.iqn}\n  '
             + ', '.join(target.portals))
    shown = demonstration.Demonstration(lab, 'ISCSI', target.properties(1))
    shown.host_properties()
    info = shown.attach()
    lab.require('the volume is its map', lab.host.map_of(disk.wwid)[0] == lab.host.real_device(info['path'])[5:], info)
    lab.check_paths('the volume', disk, PORTALS, 60)
    tree(lab, disk)
    lab.check_right_disk('volume', info['path'], disk)
    dark = target.portals[1]
    shown.survive(info['path'], f'portal {dark} goes dark', lambda: target.black_hole(dark),
                  lambda: target.restore(dark), lambda: path_failed(disk))
    lab.eventually('the portal is back', lambda: all_ready(disk, PORTALS), 90)
    shown.extend(disk)
    shown.detach(info)
    shown.beside(lambda: all_ready(disk, PORTALS))


def tree(lab, disk):
    device, members = lab.host.map_of(disk.wwid)
    addresses = {name: hctl for hctl, name in lab.host.scsi_devices().items()}
    by_host = {session['host']: session for session in lab.host.sessions().values()}
    twigs = []
    for member in members:
        session = by_host['host' + addresses[member].split(':')[0]]
        twigs.append(f"{member}  {addresses[member]}  session with {session['portal']}  {session['state']}")
    demonstration.branches(lab, disk.wwid, f'{device}  multipath map', twigs)
