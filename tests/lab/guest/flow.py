"""Reads and writes on a block device, past the page cache: patterns to compare, and a stream of I/O in the background."""

import mmap
import os
import subprocess
import threading
import time

from guest import poll

BLOCK = 4096


def pattern(seed, blocks=1):
    """Distinct bytes per seed and block, so that a block of another volume is recognised."""
    return b''.join((f'{seed}:{number}:'.encode() * BLOCK)[:BLOCK] for number in range(blocks))


def write_pattern(device, seed, offset=0, blocks=16):
    data = pattern(seed, blocks)
    with _direct(device, os.O_RDWR) as fd, mmap.mmap(-1, len(data)) as buffer:
        buffer[:] = data
        if os.pwrite(fd, buffer, offset) != len(data):
            raise OSError(f'short write to {device}')
        os.fsync(fd)


def read_pattern(device, offset=0, blocks=16):
    with _direct(device, os.O_RDONLY) as fd, mmap.mmap(-1, blocks * BLOCK) as buffer:
        os.preadv(fd, [buffer], offset)
        return buffer[:]


def holds_pattern(device, seed, offset=0, blocks=16):
    return read_pattern(device, offset, blocks) == pattern(seed, blocks)


class _direct:
    """An O_DIRECT descriptor as a context."""

    def __init__(self, device, flags):
        self.fd = os.open(device, flags | os.O_DIRECT)

    def __enter__(self):
        return self.fd

    def __exit__(self, *details):
        os.close(self.fd)


class Flow:
    """A guest's disk in use: writes and reads back block after block until stopped."""

    def __init__(self, device, seed='flow', span=1 << 20, pause=0.005):
        self.device, self.seed, self.span, self.pause = device, seed, span, pause
        self.errors, self.operations, self.longest = [], 0, 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        try:
            with _direct(self.device, os.O_RDWR) as fd, mmap.mmap(-1, BLOCK) as buffer:
                while not self._stop.is_set():
                    self._one(fd, buffer, self.operations)
                    self._stop.wait(self.pause)
        except OSError as error:
            self.errors.append(f'open: {error}')

    def _one(self, fd, buffer, number):
        started = time.monotonic()
        offset = number * BLOCK % self.span
        expected = pattern(f'{self.seed}-{number}')
        try:
            buffer[:] = expected
            os.pwrite(fd, buffer, offset)
            buffer[:] = bytes(BLOCK)
            os.preadv(fd, [buffer], offset)
            if buffer[:] != expected:
                self.errors.append(f'block {number}: other data came back')
        except OSError as error:
            self.errors.append(f'block {number}: {error}')
        self.operations += 1
        self.longest = max(self.longest, time.monotonic() - started)

    def stop(self, seconds=60):
        """End it; returns the errors it saw."""
        self._stop.set()
        self._thread.join(seconds)
        if self._thread.is_alive():
            self.errors.append(f'still stuck in I/O after {seconds} s')
        return self.errors


class DirtyPages:
    """A process that wrote through the page cache and now waits for the array: its data is only in memory."""

    def __init__(self, device, megabytes=4, seconds=30):
        # Closing the device waits for the data.  Without `nocreat` dd would make a file where the device was.
        self._process = subprocess.Popen(
            ['dd', 'if=/dev/zero', f'of={device}', 'bs=1M', f'count={megabytes}', 'conv=notrunc,nocreat'],
            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        poll.until(lambda: _unwritten_kilobytes(device) >= megabytes * 900, seconds, f'pages of {device} are dirty')

    def ended(self):
        return self._process.poll() is not None

    def kill(self):
        if not self.ended():
            self._process.kill()


def _unwritten_kilobytes(device):
    """What the page cache holds of one device and the device has not taken yet.

    /proc/meminfo counts the pages of all devices, and those of the machine's own disk are written meanwhile.
    """
    number = os.stat(device).st_rdev
    with open(f'/sys/kernel/debug/bdi/{os.major(number)}:{os.minor(number)}/stats') as statistics:
        return sum(int(line.split()[1]) for line in statistics if line.startswith(('BdiReclaimable:', 'BdiWriteback:')))
