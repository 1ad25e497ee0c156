# SPDX-License-Identifier: Apache-2.0
"""iscsid and multipathd: whether they run and answer.

A socket that somebody listens on for a daemon that does not run is left alone: to connect would start the daemon.
"""

import socket
import struct
import time
from typing import Any, Optional

from os_brick.cli.doctor import verdict
from os_brick.cli.doctor.host import Host

#: Seconds a daemon has to answer.
DEADLINE = 5.0

#: Names of the sockets in the abstract namespace, as /proc/net/unix shows them.
ISCSID_SOCKET = '@ISCSIADM_ABSTRACT_NAMESPACE'
MULTIPATHD_SOCKET = '@/org/kernel/linux/storage/multipathd'
#: Where newer versions of multipathd listen too.
_MULTIPATHD_PATHS = ('/run/multipathd.socket', '/run/multipathd/multipathd.socket')
#: libmpathcmd's own bound.
_LARGEST = 32 * 1024 * 1024

_NODES = ('/etc/iscsi/nodes', '/var/lib/iscsi/nodes')
_SCAN = 'node.session.scan'


class _Conversation:
    """A connection whose whole life is bounded."""

    def __init__(self, address: str) -> None:
        """Connect; `@` at the beginning stands for the NUL of an abstract name."""
        self._end = time.monotonic() + DEADLINE
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(DEADLINE)
            self._socket.connect('\0' + address[1:] if address.startswith('@') else address)
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> '_Conversation':
        return self

    def __exit__(self, *exc: Any) -> None:
        self._socket.close()

    def _left(self) -> float:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def send(self, data: bytes) -> None:
        self._socket.settimeout(self._left())
        self._socket.sendall(data)

    def end_of_request(self) -> None:
        self._socket.shutdown(socket.SHUT_WR)

    def receive(self, size: int) -> bytes:
        """Return that many bytes, fewer when the other side has hung up."""
        data = b''
        while len(data) < size:
            self._socket.settimeout(self._left())
            more = self._socket.recv(min(size - len(data), 65536))
            if not more:
                break
            data += more
        return data


def _iscsid_answers() -> None:
    """Wait until iscsid has taken a request that has no content: it hangs up then.

    :raises OSError: it does not, in time
    """
    with _Conversation(ISCSID_SOCKET) as conversation:
        conversation.end_of_request()
        # To others than root it says that they have no access, which shows as much.
        while conversation.receive(65536):
            pass


def iscsid(host: Host) -> dict[str, Any]:
    """Check that logins to iSCSI targets can be asked for."""
    if not host.program('iscsiadm'):
        return verdict.skipped('open-iscsi is not installed: no iscsiadm')
    pids = host.processes('iscsid')
    shown = f'runs (pid {", ".join(map(str, pids))})'
    if not host.listens(ISCSID_SOCKET):
        if not pids:
            return verdict.error('iscsid does not run and nobody listens for it', 'systemctl enable --now iscsid')
        return verdict.error(f'{shown}, but its socket is not in this network namespace',
                             'give iscsid\'s container the network namespace of the host')
    if not pids:
        return verdict.ok('somebody listens for it: systemd starts it when it is needed, or it runs in a container')
    if not host.is_this:
        return verdict.ok(f'{shown} and listens; not asked below another root')
    try:
        _iscsid_answers()
    except OSError as exc:
        return verdict.error(f'{shown}, but {_reason(exc)}',
                             'systemctl restart iscsid; sessions survive that')
    return verdict.ok(f'{shown} and answers')


def _reason(exc: OSError) -> str:
    return f'does not answer within {DEADLINE:g} s' if isinstance(exc, TimeoutError) else f'cannot be reached: {exc}'


def _keeps(host: Host, directory: str, depth: int = 3) -> Optional[str]:
    """Return a node record that has the setting."""
    for name in host.names(directory):
        path = f'{directory}/{name}'
        if depth and host.names(path):
            found = _keeps(host, path, depth - 1)
            if found:
                return found
        elif _SCAN in (host.text(path) or ''):
            return path
    return None


def manual_scan(host: Host) -> dict[str, Any]:
    """Check that open-iscsi can log in without making a disk of every LUN it sees."""
    program = host.program('iscsiadm')
    if not program:
        return verdict.skipped('open-iscsi is not installed: no iscsiadm')
    # The names of settings stand in the program.
    if _SCAN.encode() in (host.data(program) or b''):
        return verdict.ok(f'{program} knows {_SCAN}')
    # A program of another place, behind a wrapper: its records tell.
    record = next(filter(None, (_keeps(host, directory) for directory in _NODES)), None)
    if record:
        return verdict.ok(f'{record} has {_SCAN}')
    return verdict.warning(f'{program} does not know {_SCAN}: each login makes disks of all volumes of the target',
                           'update open-iscsi to 2.0.874 or later')


def _multipathd_address(host: Host) -> Optional[str]:
    if host.is_this and host.listens(MULTIPATHD_SOCKET):
        return MULTIPATHD_SOCKET
    for path in _MULTIPATHD_PATHS:
        if host.is_socket(path):
            return host.path(path)
    return None


def ask_multipathd(host: Host, question: str) -> str:
    """Return multipathd's answer: a native `size_t` with the length, then the text and its NUL, both ways.

    :raises OSError: there is none in time
    """
    if host.silent is not None:
        raise host.silent
    try:
        return _ask(host, question)
    except OSError as exc:
        host.silent = exc
        raise


def _ask(host: Host, question: str) -> str:
    address = _multipathd_address(host)
    if address is None:
        raise ConnectionRefusedError('nobody listens for multipathd in this network namespace')
    data = question.encode() + b'\0'
    with _Conversation(address) as conversation:
        conversation.send(struct.pack('@N', len(data)) + data)
        head = conversation.receive(struct.calcsize('@N'))
        if len(head) < struct.calcsize('@N'):
            raise ConnectionResetError('multipathd hung up without an answer')
        size, = struct.unpack('@N', head)
        if size > _LARGEST:
            raise ConnectionAbortedError(f'multipathd announced {size} bytes')
        return conversation.receive(size).rstrip(b'\0').decode('utf-8', 'replace')


def multipathd(host: Host) -> dict[str, Any]:
    """Check that maps are made and can be asked for."""
    pids = host.processes('multipathd')
    if not pids and not host.program('multipathd'):
        return verdict.skipped('multipath-tools is not installed: volumes are attached over one path')
    shown = f'runs (pid {", ".join(map(str, pids))})'
    listens = host.listens(MULTIPATHD_SOCKET) or _multipathd_address(host) is not None
    if not listens:
        if not pids:
            return verdict.error('multipathd does not run: attaches use one path, or fail where multipath is enforced',
                                 'systemctl enable --now multipathd')
        return verdict.error(f'{shown}, but its socket is not in this network namespace',
                             'give its container the network namespace of the host')
    if not pids:
        return verdict.warning('somebody listens for it, but it does not run here: systemd starts it at the first '
                               'question, or it runs in a container', 'systemctl enable --now multipathd')
    if _multipathd_address(host) is None:
        return verdict.ok(f'{shown} and listens; not asked below another root')
    try:
        answer = ask_multipathd(host, 'show daemon')
    except OSError as exc:
        return verdict.error(f'{shown}, but {_reason(exc)}',
                             'systemctl restart multipathd; maps and their I/O survive that')
    return verdict.ok(f'{shown} and answers: {" ".join(answer.split())}')
