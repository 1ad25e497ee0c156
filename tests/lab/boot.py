"""One virtual machine: QEMU's command line, and the wire to the guest's agent.

What must not live here: which scenarios run (runner.py) and what they print (report.py).
"""

import base64
import ctypes
import hashlib
import json
import os
from pathlib import Path
import shutil
import signal
import socket
import subprocess
import tarfile
import tempfile
import time

from lab import flavours, image, package

HERE = Path(__file__).resolve().parent
# Beside three other machines on two processors a boot has taken more than 300.
BOOT_SECONDS = 600
PR_SET_PDEATHSIG = 1
CHUNK = 1 << 18
#: The cards of the Fibre Channel fabrics, two on a hub; guest/fcoe.py knows them by these addresses.
FABRICS = (('52:54:00:fc:00:01', '52:54:00:fc:00:02'), ('52:54:00:fc:00:03', '52:54:00:fc:00:04'))


class BootError(Exception):
    """The guest did not come up, or stopped answering."""


class Machine:
    """A guest, from its directory on the host: code.tar is its second disk, `wire` the agent's socket.

    `companion` is the other host of a case with two: started and stopped with this one, on one network with it.
    """

    def __init__(self, directory, flavour=None):
        self.directory, self.flavour = Path(directory), flavour
        self.code = self.directory / 'code.tar'
        self.console = self.directory / 'console.log'
        self.wire_path = self.directory / 'wire'
        self.process = None
        self.wire = None
        self.companion, self.network = None, ()

    @classmethod
    def temporary(cls, flavour=None, machines=1):
        root = image.cache_root() / 'run'
        root.mkdir(parents=True, exist_ok=True)
        machine = cls(tempfile.mkdtemp(prefix='vm-', dir=root), flavour)
        if machines == 2:
            machine.companion = cls.temporary(flavour)
            machine.network = network(1, machine.directory, machine.companion.directory)
            machine.companion.network = network(2, machine.companion.directory, machine.directory)
        return machine

    @property
    def machines(self):
        return 2 if self.companion else 1

    def start(self, wheel=None, cpus=2, outlive_parent=False, say=lambda text: None):
        """Boot and wait for the agent; returns the seconds it took."""
        built = image.ensure(self.flavour, say=say)
        started = time.monotonic()
        both = [self, self.companion] if self.companion else [self]
        for machine in both:
            machine._launch(built, cpus, outlive_parent)
        for machine in both:
            machine.connect(BOOT_SECONDS)
            machine.refresh(wheel)
        return time.monotonic() - started

    def _launch(self, built, cpus, outlive_parent):
        self.directory.mkdir(parents=True, exist_ok=True)
        pack_guest_code(self.code)
        with open(self.console, 'wb') as console:
            self.process = subprocess.Popen(
                self._command(built, flavours.find(self.flavour).memory_mb, cpus), stdin=subprocess.DEVNULL, stdout=console,
                stderr=subprocess.STDOUT, start_new_session=outlive_parent,
                preexec_fn=None if outlive_parent else _die_with_parent)
        (self.directory / 'pid').write_text(str(self.process.pid))

    def _command(self, built, memory_mb, cpus):
        append = ('console=ttyS0 quiet panic=-1 root=/dev/vda rw init=/opt/lab/stub-init mitigations=off '
                  'net.ifnames=0 printk.time=1')
        fabrics = []
        # Without a boot ROM: four of them cost the firmware several seconds.
        for number, mac in enumerate(mac for cards in FABRICS for mac in cards):
            fabrics += ['-netdev', f'hubport,id=fc{number},hubid={number // 2}',
                        '-device', f'e1000,netdev=fc{number},mac={mac},romfile=']
        return ['qemu-system-x86_64', '-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', str(cpus),
                '-m', str(memory_mb), '-nographic', '-no-reboot', '-nic', 'none',
                '-kernel', str(built / 'vmlinuz'), '-initrd', str(built / 'initrd'), '-append', append,
                '-drive', f'file={built / "disk.img"},if=virtio,format=raw,snapshot=on',
                '-drive', f'file={self.code},if=virtio,format=raw,readonly=on',
                *fabrics, *self.network,
                '-device', 'virtio-serial-pci', '-device', 'virtserialport,chardev=wire,name=lab',
                '-chardev', f'socket,id=wire,path={self.wire_path},server=on,wait=off']

    def refresh(self, wheel=None):
        """Bring the lab's guest code, and the wheel when given, into the running guest."""
        pack_guest_code(self.code)
        self.put(self.code, '/run/lab/code.tar')
        if wheel:
            packed = self.directory / 'ours.tar'
            package.pack_wheel(wheel, packed)
            self.put(packed, '/run/lab/ours.tar')
        status, lines = self.execute(['/bin/sh', '-c', UNPACK_SCRIPT], timeout=120)
        if status != 0:
            raise BootError('cannot unpack the code in the guest: ' + repr(lines))

    def put(self, source, destination):
        """Copy a file into the guest, unless the same bytes went there before."""
        data = Path(source).read_bytes()
        sent = self.directory / ('sent-' + Path(destination).name)
        digest = hashlib.sha256(data).hexdigest()
        if sent.exists() and sent.read_text() == digest:
            return
        for start in range(0, len(data), CHUNK):
            self._send({'put': destination, 'append': start > 0,
                        'data': base64.b64encode(data[start:start + CHUNK]).decode()})
        sent.write_text(digest)

    def connect(self, seconds=10):
        """Open the wire and wait until the agent says it is ready."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process and self.process.poll() is not None:
                break
            try:
                self.wire = socket.socket(socket.AF_UNIX)
                self.wire.connect(str(self.wire_path))
                break
            except OSError:
                self.wire.close()
                time.sleep(0.05)
        else:
            raise BootError(f'nobody listens at {self.wire_path}')
        self._buffer = b''
        self._send({'hello': True})
        for message in self._messages(deadline):
            if 'ready' in message:
                return
        raise BootError('the guest did not come up; its console ends with:\n' + self.console_tail())

    def execute(self, argv, stdin='', timeout=600, on_line=None):
        """Run a command in the guest; returns (exit status or None, [(stream, line)])."""
        self._send({'run': argv, 'stdin': stdin, 'timeout': timeout})
        lines = []
        # The agent enforces the limit itself; the host only guards against a guest that hangs as a whole.
        for message in self._messages(time.monotonic() + timeout + 60):
            if 'exit' in message:
                return message['exit'], lines
            for stream in ('out', 'err'):
                if stream in message:
                    lines.append((stream, message[stream]))
                    if on_line:
                        on_line(stream, message[stream])
        return None, lines

    def _send(self, message):
        try:
            # Reading leaves a limit behind that is too short for a guest on a busy machine.
            self.wire.settimeout(60)
            self.wire.sendall(json.dumps(message).encode() + b'\n')
        except OSError as error:
            raise BootError(f'the guest is gone: {error}\n' + self.console_tail()) from error

    def _messages(self, deadline):
        while True:
            while b'\n' in self._buffer:
                line, self._buffer = self._buffer.split(b'\n', 1)
                yield json.loads(line)
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return
            self.wire.settimeout(min(remaining, 1))
            try:
                data = self.wire.recv(65536)
            except TimeoutError:
                if self.process and self.process.poll() is not None:
                    return
                continue
            except OSError:
                return
            if not data:
                return
            self._buffer += data

    def console_tail(self, lines=25):
        if not self.console.exists():
            return '(no console)'
        return '\n'.join(self.console.read_text(errors='replace').splitlines()[-lines:])

    def stop(self, keep=False):
        """End the machine; its disk was a snapshot, so nothing needs a clean shutdown."""
        if self.wire:
            self.wire.close()
        pid = self.process.pid if self.process else self.recorded_pid()
        if pid:
            try:
                os.kill(pid, signal.SIGTERM)
            except ProcessLookupError:
                pass
        if self.process:
            self.process.wait()
        if self.companion:
            self.companion.stop(keep)
        if not keep:
            shutil.rmtree(self.directory, ignore_errors=True)

    def recorded_pid(self):
        """The pid of a machine another run has started, if it is still that machine."""
        try:
            pid = int((self.directory / 'pid').read_text())
            command = Path(f'/proc/{pid}/cmdline').read_bytes()
        except (OSError, ValueError):
            return None
        return pid if str(self.wire_path).encode() in command else None


def network(number, directory, other):
    """The card that connects two machines; guest/wire.py knows it by its address."""
    return ['-netdev', f'dgram,id=wire,local.type=unix,local.path={directory}/net,remote.type=unix,remote.path={other}/net',
            '-device', f'virtio-net-pci,netdev=wire,mac=52:54:00:fd:00:{number:02},romfile=']


# What was unpacked is removed: an archive that did not change is not sent again and not unpacked again.
UNPACK_SCRIPT = '''
set -e
export LC_ALL=C
cd /run/lab
if [ -e code.tar ]; then
    tar -C /opt/lab/code -xf code.tar
    rm code.tar
fi
if [ -e ours.tar ]; then
    rm -rf /opt/lab/ours
    mkdir -p /opt/lab/ours
    tar -C /opt/lab/ours -xf ours.tar
    rm ours.tar
fi
'''


def pack_guest_code(archive_path):
    """guest/, scenarios/ and the cinderclient extension as one archive; times are kept: unchanged files stay compiled."""
    new = archive_path.with_suffix('.new')
    with tarfile.open(new, 'w') as archive:
        for folder in ('guest', 'scenarios'):
            archive.add(HERE / folder, folder, filter=_without_caches)
        for name in ('brick_cinderclient_ext', 'pyproject.toml'):
            archive.add(HERE.parents[1] / 'cinderclient-ext' / name, f'extension/{name}', filter=_without_caches)
    new.rename(archive_path)


def _without_caches(entry):
    return None if '__pycache__' in entry.name else entry


def _die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
