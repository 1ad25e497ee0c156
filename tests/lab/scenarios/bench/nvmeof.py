"""Times of upstream, of ours and of the floor, in one boot, turn by turn; NVMe over TCP."""

MODES = ('root',)
PACKAGES = ('ours',)
VARIANTS = ('single', 'multipath', 'eight', 'dead')
BENCH = True
SECONDS = 300
TIMEOUT = 1800

import os
from pathlib import Path
import threading
import time

ROUNDS = 6
CTL = Path('/sys/class/nvme-fabrics/ctl')


class Floor:
    """The least the kernel needs: one write for each portal, one for each controller to hang up."""

    def __init__(self, subsystem, addresses):
        self.subsystem, self.addresses = subsystem, addresses

    def _connect(self, address):
        with open('/dev/nvme-fabrics', 'r+b', buffering=0) as device:
            device.write(f'nqn={self.subsystem.nqn},transport=tcp,traddr={address},trsvcid=4420,'
                         'queue_size=128,ctrl_loss_tmo=-1'.encode())

    def connect(self, count):
        at_once(self._connect, self.addresses)
        uuids = {namespace.uuid for namespace in list(self.subsystem.namespaces.values())[:count]}
        while True:
            shown = {path.read_text().strip() for path in Path('/sys/block').glob('nvme*n*/uuid')}
            if uuids <= shown and all(os.path.exists(f'/dev/{path.parent.name}')
                                      for path in Path('/sys/block').glob('nvme*n*/uuid')):
                return
            time.sleep(0.002)

    def disconnect(self):
        at_once(lambda path: (path / 'delete_controller').write_text('1'), list(CTL.glob('nvme*')))


def at_once(work, items):
    threads = [threading.Thread(target=work, args=(item,)) for item in items]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def run(lab):
    count = 8 if lab.variant == 'eight' else 1
    portals = 1 if lab.variant == 'single' else 2
    subsystem = lab.nvmet.create(portals=portals, namespaces=count)
    operation = {'single': 'NVMe/TCP, 1 portal', 'multipath': 'NVMe/TCP, 2 portals',
                 'eight': 'NVMe/TCP, 8 volumes x 2 portals', 'dead': 'NVMe/TCP, 1 of 2 portals dead'}[lab.variant]
    properties = [subsystem.properties(nsid) for nsid in subsystem.namespaces]
    if lab.variant == 'dead':
        subsystem.black_hole(subsystem.addresses[0])
    alive = subsystem.addresses[lab.variant == 'dead':]
    actors = {package: lab.caller(package=package, log_level='INFO') for package in ('ours', 'upstream')}
    for _round in range(ROUNDS if lab.variant != 'dead' else 3):
        least = Floor(subsystem, alive)
        with lab.timed(f'{operation} connect|floor'):
            least.connect(count)
        time.sleep(1)
        with lab.timed(f'{operation} disconnect|floor'):
            least.disconnect()
        settled(lab)
        for package, caller in actors.items():
            attach_and_detach(lab, package, caller, operation, properties)


def settled(lab):
    lab.poll.became_true(lambda: not lab.host.nvme_controllers(), 60)
    time.sleep(1)


def attach_and_detach(lab, who, caller, operation, properties):
    """Every connector attaches at once, then every one detaches at once."""
    pairs = [(caller.connector('NVME', use_multipath=True), each) for each in properties]
    started = time.monotonic()
    pending = [made.start('connect_volume', dict(each)) for made, each in pairs]
    answers = [call.wait(600) for call in pending]
    lab.measured(f'{operation} connect|{who}', time.monotonic() - started if len(pairs) > 1 else answers[0].seconds)
    time.sleep(1)
    started = time.monotonic()
    pending = [made.start('disconnect_volume', dict(each), answer.value) for (made, each), answer in zip(pairs, answers)]
    ended = [call.wait(600) for call in pending]
    lab.measured(f'{operation} disconnect|{who}', time.monotonic() - started if len(pairs) > 1 else ended[0].seconds)
    # Namespaces of a shared subsystem keep its controllers until the storage unmaps them.
    for controller in lab.host.nvme_controllers():
        (CTL / controller / 'delete_controller').write_text('1')
    settled(lab)
