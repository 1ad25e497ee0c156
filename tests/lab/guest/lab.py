"""What a scenario's run(lab) gets: checks with times, callers, targets, and the host to look at.

What must not live here: how results travel or are printed (session.py, the host's report.py).
"""

import contextlib
import os
from pathlib import Path
import pwd
import threading
import time

from guest import caller, fcoe, flow, host, nvmet, peer, poll, targets

LOCKS = Path('/run/lab/locks')
DIRECTORIES = Path('/run/lab/directories')


class Stop(Exception):
    """A check failed after which going on makes no sense."""


class Lab:
    def __init__(self, spec, emit):
        self.spec, self._emit = spec, emit
        self.package, self.mode, self.variant = spec['package'], spec['mode'], spec.get('variant')
        self.ours = self.package == 'ours'
        self.started = time.monotonic()
        self.failed = 0
        self.host, self.poll, self.flow = host, poll, flow
        self.targets = targets.Targets('lab')
        self.callers = []
        self.expected_left = ()
        self.lock_path = self.make_lock_path('locks')
        self._nvmet = None
        self._peer = None
        self._reporting = threading.Lock()

    @property
    def nvmet(self):
        """NVMe-oF subsystems; the kernel's modules come in at the first use."""
        if self._nvmet is None:
            self._nvmet = nvmet.Storage('lab')
        return self._nvmet

    @property
    def peer(self):
        """The other host of a case with `MACHINES = 2`."""
        if self._peer is None:
            self._peer = peer.Peer()
        return self._peer

    # Checks. Each gives one line of the report; they return whether they held, and do not raise.

    def check(self, name, holds, detail='', seconds=None):
        with self._reporting:
            self.failed += not holds
            self._emit(event='check', name=name, ok=bool(holds), at=self.elapsed(), seconds=seconds,
                       detail='' if holds else str(detail)[:4000])
        return bool(holds)

    def equal(self, name, got, wanted):
        return self.check(name, got == wanted, f'got {got!r}, wanted {wanted!r}')

    def at_most(self, name, seconds, limit):
        return self.check(f'{name} (limit {limit:g} s)', seconds <= limit, f'took {seconds:.2f} s', seconds=seconds)

    def require(self, name, holds, detail=''):
        """A check without which the rest of the scenario makes no sense."""
        if not self.check(name, holds, detail):
            raise Stop(name)

    def eventually(self, name, probe, seconds, detail=lambda: ''):
        """Holds as soon as probe() is true, fails at the deadline; its time is how long that took."""
        started = time.monotonic()
        holds = poll.became_true(probe, seconds)
        return self.check(name, holds, f'not within {seconds} s; {detail()}', seconds=time.monotonic() - started)

    def never(self, name, probe, seconds, detail=lambda: ''):
        """Holds when probe() stays false for all these seconds."""
        return self.check(name, not poll.became_true(probe, seconds, interval=0.1), detail())

    def raises(self, name, pending, *class_names, seconds=caller.CALL_SECONDS):
        """The call failed with one of these exception classes (or a subclass); returns the RemoteError."""
        error = pending.error(seconds)
        if error is None:
            self.check(name, False, 'nothing was raised')
        else:
            self.check(name, any(error.is_a(cls) for cls in class_names), f'raised {error}', seconds=error.seconds)
        return error

    def note(self, text):
        self._emit(event='note', text=str(text), at=self.elapsed())

    def show(self, text):
        """Text for whoever watches, printed as it is."""
        self._emit(event='show', text=str(text))

    @contextlib.contextmanager
    def timed(self, name):
        started = time.monotonic()
        yield
        self.measured(name, time.monotonic() - started)

    def measured(self, name, seconds):
        """A number for the tables of the report."""
        self._emit(event='measured', name=name, seconds=seconds, at=self.elapsed())

    def elapsed(self):
        return time.monotonic() - self.started

    # Actors.

    def caller(self, user=None, package=None, conf=None, lock_path=None, **options):
        """A worker process; by default of the package and the mode this run is for."""
        made = caller.Caller(package or self.package, user or self.mode, lock_path or self.lock_path, conf, **options)
        self.callers.append(made)
        return made

    def array(self, fabrics=1, luns=None, size='64M'):
        """A Fibre Channel array with a port in so many fabrics."""
        return fcoe.Array(self.targets, fabrics, luns, size)

    def make_lock_path(self, name, user='nova'):
        """A lock directory of the unprivileged user's, as a service's state directory is."""
        return self.make_directory(name, LOCKS, user)

    def make_directory(self, name, parent=DIRECTORIES, user='nova'):
        """An empty directory of the unprivileged user's."""
        path = parent / f'{os.getpid()}-{name}'
        path.mkdir(parents=True, exist_ok=True)
        account = pwd.getpwnam(user)
        os.chown(path, account.pw_uid, account.pw_gid)
        return str(path)

    def attach(self, connector, properties, name='connect'):
        """connect_volume, measured; the returned dict."""
        answer = connector.connect_volume(properties)
        self.measured(name, answer.seconds)
        return answer.value

    def detach(self, connector, properties, device_info=None, name='disconnect', **options):
        answer = connector.disconnect_volume(properties, device_info, **options)
        self.measured(name, answer.seconds)
        return answer

    # Often-needed checks.

    def check_right_disk(self, name, device, disk):
        """The device is this disk by its live identity, and a block written to it arrives there."""
        self.equal(f'{name}: live identity', host.live_wwid(device), disk.wwid)
        flow.write_pattern(device, disk.serial)
        self.check(f'{name}: written data read back', flow.holds_pattern(device, disk.serial))
        self.check(f'{name}: written data on the array', disk.content(0, flow.BLOCK) == flow.pattern(disk.serial),
                   'the array holds other data')

    def check_right_namespace(self, name, device, namespace):
        """The device is this namespace by the kernel's identity, and a block written to it arrives there."""
        self.equal(f'{name}: identity', host.nvme_uuid(device), namespace.uuid)
        flow.write_pattern(device, namespace.uuid)
        self.check(f'{name}: written data read back', flow.holds_pattern(device, namespace.uuid))
        self.check(f'{name}: written data on the storage', namespace.content(0, flow.BLOCK) == flow.pattern(namespace.uuid),
                   'the storage holds other data')

    def check_paths(self, name, disk, count, seconds=15):
        """The disk's multipath map has so many paths, now or soon."""
        self.eventually(f'{name}: {count} paths in the map', lambda: len(host.map_of(disk.wwid)[1]) == count, seconds,
                        lambda: f'has {host.map_of(disk.wwid)}')

    def close(self):
        for made in self.callers:
            made.close()
        if self._peer:
            self._peer.close()
