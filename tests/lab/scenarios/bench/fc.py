"""Times of upstream, of ours and of the floor over Fibre Channel, in one boot, turn by turn."""

MODES = ('root',)
PACKAGES = ('ours',)
VARIANTS = ('single', 'multipath', 'three')
BENCH = True
SECONDS = 600
TIMEOUT = 3600

import time
from pathlib import Path

from guest import clean, command, floor, turns

ROUNDS = 5


def run(lab):
    {'single': single, 'multipath': multipath, 'three': three}[lab.variant](lab)
    clean.forget_maps()


def single(lab):
    compare(lab, 'FC single path', 1, 1)


def multipath(lab):
    compare(lab, 'FC 2 fabrics', 1, 2)


def three(lab):
    compare(lab, 'FC 3 volumes x 2 fabrics', 3, 2)


def settled(lab):
    """udev and multipathd have nothing left to do."""
    lab.poll.became_true(lambda: not lab.host.scsi_devices() and not lab.host.dm_devices(), 30)
    if lab.host.scsi_devices() or lab.host.dm_devices():
        # Upstream leaves maps behind; the next round begins without them.
        clean.forget_maps()
        for hctl in lab.host.scsi_devices():
            Path(f'/sys/class/scsi_device/{hctl}/device/delete').write_text('1')
    calm()


def calm():
    """udev has nothing left to do: a volume is detached long after its attach, when all its paths are up."""
    for _ in range(2):
        command.run('udevadm', 'settle', '--timeout=120', check=False, seconds=150)
        time.sleep(1)


class Least(floor.Floor):
    """The scans and waits that remain when there is no library: one write for each port, and what follows from it.

    Up to the link of udev's, which is what an attach over Fibre Channel answers.
    """

    def __init__(self, array):
        self.hosts = []
        for fabric in array.fabrics:
            port = fabric.remote_port()
            self.hosts.append((fabric.host_number(), (port / 'scsi_target_id').read_text().strip()))

    def scan(self, lun):
        for host, target in self.hosts:
            Path(f'/sys/class/scsi_host/host{host}/scan').write_text(f'0 {target} {lun}')
        found = lambda: [disk.name for host, target in self.hosts
                         for disk in Path(f'/sys/bus/scsi/devices/{host}:0:{target}:{lun}/block').glob('*')]
        return floor.wait_for(lambda: (disks := found()) and len(disks) == len(self.hosts) and disks)


def floor_round(lab, operation, array, multipathed):
    least, disks = Least(array), {}

    def one(lun):
        disks[lun] = least.scan(lun)
        if multipathed:
            identity = Path(f'/sys/block/{least.wait_for_map(disks[lun])}/dm/name').read_text().strip()
            floor.wait_for(Path(f'/dev/disk/by-id/dm-uuid-mpath-{identity}').exists)
        else:
            floor.wait_for(lambda: any(link.resolve().name == disks[lun][0] for link in Path('/dev/disk/by-path').iterdir()))

    for name, work in (('connect', one), ('disconnect', lambda lun: least.remove(disks[lun], multipathed))):
        with lab.timed(f'{operation} {name}|floor'):
            turns.at_once(work, array.luns)
        calm()
    settled(lab)


def compare(lab, operation, count, fabrics):
    array = lab.array(fabrics, luns={lun: None for lun in range(1, count + 1)})
    properties = [array.properties(lun) for lun in sorted(array.luns)]
    callers = {package: lab.caller(package=package, log_level='INFO') for package in ('ours', 'upstream')}
    for _round in range(ROUNDS):
        floor_round(lab, operation, array, fabrics > 1)
        for package, caller in callers.items():
            connectors = [caller.connector('FIBRE_CHANNEL', use_multipath=fabrics > 1) for _each in properties]
            turns.attach_and_detach(lab, package, operation, connectors, properties, calm, lambda: settled(lab))
