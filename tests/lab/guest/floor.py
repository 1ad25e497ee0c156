"""The floor: one attach by the least that iscsid, the kernel, udev and multipathd need, with no library in between.

Node records written as files, parallel logins, exact scans, sysfs polled every 5 ms. What a library does beyond this
is its own cost. What must not live here: checks, clean-up after failures, anything a real caller would need besides.
"""

import os
from pathlib import Path
import socket
import struct
import subprocess
import time

NODES = Path('/etc/iscsi/nodes')
SESSIONS = Path('/sys/class/iscsi_session')
MULTIPATHD = '\0/org/kernel/linux/storage/multipathd'


def wait_for(probe, seconds=120):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = probe()
        if found:
            return found
        time.sleep(0.005)
    raise TimeoutError(probe)


def multipathd(request):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(MULTIPATHD)
        data = request.encode() + b'\0'
        connection.sendall(struct.pack('@Q', len(data)) + data)
        length, = struct.unpack('@Q', connection.recv(8, socket.MSG_WAITALL))
        return connection.recv(length, socket.MSG_WAITALL).rstrip(b'\0').decode()


class Floor:
    """Attaches and detaches volumes of one target through some of its portals."""

    def __init__(self, iqn, portals):
        self.iqn, self.portals = iqn, list(portals)
        self.template = self._template()

    def _template(self):
        """A record as iscsiadm makes it; made once, outside what is measured."""
        node = ('iscsiadm', '-m', 'node', '-T', self.iqn, '-p', self.portals[0])
        subprocess.run([*node, '--op', 'new'], check=True, capture_output=True)
        address, port = self.portals[0].rsplit(':', 1)
        text = (NODES / self.iqn / f'{address},{port}').read_text()
        subprocess.run([*node, '--op', 'delete'], check=True, capture_output=True)
        return text.replace('node.session.scan = auto', 'node.session.scan = manual')

    def _write_records(self):
        first = self.portals[0].rsplit(':', 1)[0]
        (NODES / self.iqn).mkdir(mode=0o700, exist_ok=True)
        for portal in self.portals:
            address, port = portal.rsplit(':', 1)
            record = self.template.replace(f'node.conn[0].address = {first}\n', f'node.conn[0].address = {address}\n')
            (NODES / self.iqn / f'{address},{port}').write_text(record)

    def _each(self, *arguments):
        """One iscsiadm per portal, all at once."""
        running = [subprocess.Popen(['iscsiadm', '-m', 'node', '-T', self.iqn, '-p', portal, *arguments],
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for portal in self.portals]
        return [process.wait() for process in running]

    def _hosts(self):
        found = [session for session in SESSIONS.glob('session*')
                 if (session / 'targetname').read_text().strip() == self.iqn]
        return found if len(found) == len(self.portals) else None

    def log_in(self):
        self._write_records()
        self._each('--login')
        self.sessions = wait_for(self._hosts)

    def scan(self, lun):
        """The disks of one LUN, one for each session."""
        for session in self.sessions:
            host = next(part for part in os.path.realpath(session / 'device').split('/')[::-1]
                        if part.startswith('host'))
            Path(f'/sys/class/scsi_host/{host}/scan').write_text(f'0 0 {lun}')
        pattern = f'device/target*/*:{lun}/block/*'
        disks = wait_for(lambda: (found := [disk for session in self.sessions for disk in session.glob(pattern)]) and
                         len(found) == len(self.sessions) and found)
        return [disk.name for disk in disks]

    def wait_for_map(self, disks):
        """The name of the map over the disks once multipathd says that a path of it is ready."""
        holders = wait_for(lambda: [holder for disk in disks for holder in Path(f'/sys/block/{disk}/holders').glob('dm-*')])
        name = holders[0].name
        wait_for(lambda: Path(f'/sys/block/{name}/dm/suspended').read_text().strip() == '0')
        wait_for(lambda: any(line.split()[0] in disks and line.split()[2:] == ['active', 'ready']
                             for line in multipathd('show paths raw format "%d %m %t %T"').splitlines()
                             if len(line.split()) == 4))
        return name

    def remove(self, disks, multipath):
        if multipath:
            name = next(holder.name for disk in disks for holder in Path(f'/sys/block/{disk}/holders').glob('dm-*'))
            multipathd('del map ' + Path(f'/sys/block/{name}/dm/name').read_text().strip())
        for disk in disks:
            Path(f'/sys/block/{disk}/device/delete').write_text('1')
        wait_for(lambda: not any(os.path.exists(f'/dev/{disk}') for disk in disks))
        wait_for(lambda: not any(line.split()[0] in disks for line in multipathd(
            'show paths raw format "%d %m %t %T"').splitlines() if line.split()))

    def log_out(self):
        self._each('--logout')
        for portal in self.portals:
            address, port = portal.rsplit(':', 1)
            (NODES / self.iqn / f'{address},{port}').unlink()
        (NODES / self.iqn).rmdir()
