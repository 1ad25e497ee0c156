"""Where the time of one attach over four portals goes: programs, writes, the kernel's events and udev's, on one clock."""

MODES = ('root',)
PACKAGES = ('ours',)
BENCH = True
SECONDS = 90
TIMEOUT = 600

import re
import subprocess
import threading
import time

from guest import command, floor, poll

# `KERNEL[1234.567890] add      /devices/.../block/sda (block)`, with the clock of time.monotonic().
EVENT = re.compile(r'^(KERNEL|UDEV) *\[([0-9.]+)\] (\w+) +\S*/block/(\w+) \(block\)$')
# The lines of the engine and of oslo that say what was done; what was read is of no interest.
TOLD = re.compile(r'exit Some|writing|LUN \d+ is sd|^map |attached |^multipathd |^CMD .* returned|^Lock .* (acquired|released)')


def run(lab):
    target = lab.targets.create(portals=4)
    by_floor(lab, target)
    for package in ('ours', 'upstream'):
        by_library(lab, package, target)
    for wwid in lab.host.wwids():
        command.run('multipath', '-w', wwid, check=False)


def by_floor(lab, target):
    least = floor.Floor(target.iqn, target.portals)
    told = []
    with Events() as events:
        least.log_in()
        told.append((time.monotonic(), 'all sessions are there'))
        disks = least.scan(1)
        told.append((time.monotonic(), 'all disks are there: ' + ' '.join(sorted(disks))))
        told.append((time.monotonic(), 'the map can be used: ' + least.wait_for_map(disks)))
    show(lab, 'floor', events, told)
    least.remove(disks, True)
    least.log_out()


def by_library(lab, package, target):
    connector = lab.caller(package=package).connector('ISCSI', use_multipath=True)
    with Events() as events:
        answer = connector.connect_volume(target.properties(1))
    lines = [(when, text.partition('] ')[2].partition('\n')[0]) for when, text in zip(answer.times, answer.logs)]
    told = [(when, text) for when, text in lines if TOLD.search(text)]
    show(lab, package, events, told)
    lab.measured(f'traced attach|{package}', answer.seconds)
    connector.disconnect_volume(target.properties(1), answer.value)


class Events:
    """The events of block devices while a block of code runs, and until udev has nothing to do."""

    def __enter__(self):
        command.run('udevadm', 'settle', '--timeout=120', check=False, seconds=150)
        self.lines = []
        self.monitor = subprocess.Popen(['stdbuf', '-oL', 'udevadm', 'monitor', '--kernel', '--udev', '--subsystem-match=block'],
                                        stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self._read, daemon=True).start()
        poll.until(lambda: any(line.startswith('KERNEL - ') for line in self.lines), 30, 'udevadm listens')
        self.started = time.monotonic()
        return self

    def __exit__(self, *_failure):
        self.ended = time.monotonic()
        command.run('udevadm', 'settle', '--timeout=120', check=False, seconds=150)
        self.monitor.terminate()
        self.monitor.wait()

    def _read(self):
        for line in self.monitor.stdout:
            self.lines.append(line.rstrip())

    def found(self):
        """(when, text) of each; udev's with how long it took after the kernel's."""
        since = {}
        for line in self.lines:
            if match := EVENT.match(line):
                who, when, action, device = match[1], float(match[2]), match[3], match[4]
                if who == 'KERNEL':
                    since.setdefault((action, device), []).append(when)
                    yield when, f'kernel: {action} {device}'
                elif waiting := since.get((action, device)):
                    yield when, f'udev: {action} {device} done, {when - waiting.pop(0):.3f} s after the kernel'


def show(lab, who, events, told):
    lab.show(f'\n{who}: {events.ended - events.started:.3f} s')
    for when, text in sorted([*told, *events.found()]):
        after = ' (after the return)' if when > events.ended else ''
        lab.show(f'{when - events.started:8.3f}  {text[:150]}{after}')
