"""`make demo TRANSPORT=fc`: one volume over two fabrics, attached, used, cut, extended, detached; then by upstream."""

MODES = ('nova',)
PACKAGES = ('ours',)
BENCH = True
SECONDS = 150
TIMEOUT = 900

from guest import demonstration
from guest.demonstration import all_ready, path_failed

FABRICS = 2


def run(lab):
    array = lab.array(FABRICS, size=f'{demonstration.SIZE}M')
    disk, cut = array.luns[1], array.fabrics[0]
    lab.show(f'\nAn array with a port in each of two fabrics offers LUN 1, a volume of {demonstration.SIZE} MiB:')
    for fabric in array.fabrics:
        lab.show(f'  host port 0x{fabric.initiator}  array port 0x{fabric.wwpn}')
    shown = demonstration.Demonstration(lab, 'FIBRE_CHANNEL', array.properties(1))
    shown.host_properties()
    info = shown.attach()
    lab.require('the volume is its map', lab.host.map_of(disk.wwid)[0] == lab.host.real_device(info['path'])[5:], info)
    lab.check_paths('the volume', disk, FABRICS, 60)
    tree(lab, array, disk)
    lab.check_right_disk('volume', info['path'], disk)
    shown.survive(info['path'], f'the host port 0x{cut.initiator} loses its link', cut.link_down, cut.link_up,
                  lambda: path_failed(disk))
    lab.eventually('the port is back', lambda: cut.is_connected() and all_ready(disk, FABRICS), 120)
    shown.extend(disk)
    shown.detach(info)
    shown.beside(lambda: all_ready(disk, FABRICS))


def tree(lab, array, disk):
    device, members = lab.host.map_of(disk.wwid)
    addresses = {name: hctl for hctl, name in lab.host.scsi_devices().items()}
    by_host = {fabric.host_number(): fabric for fabric in array.fabrics}
    twigs = []
    for member in members:
        fabric = by_host[addresses[member].split(':')[0]]
        twigs.append(f'{member}  {addresses[member]}  host port 0x{fabric.initiator} sees 0x{fabric.wwpn}  '
                     f'{fabric.port_state()}')
    demonstration.branches(lab, disk.wwid, f'{device}  multipath map', twigs)
