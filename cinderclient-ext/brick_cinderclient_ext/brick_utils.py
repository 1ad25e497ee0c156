# SPDX-License-Identifier: Apache-2.0
"""Addresses of this host, and what running as root means."""

import functools
import os
import socket
from typing import Any, Callable, Optional

from cinderclient import exceptions
from oslo_concurrency import processutils
import psutil

from brick_cinderclient_ext import exceptions as exc

# Nothing is sent: connecting a datagram socket only looks up the route.
_ELSEWHERE = '8.8.8.8', 80


def get_my_ip() -> Optional[str]:
    """Return the address this host uses towards the Internet, None without a route."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(_ELSEWHERE)
            return probe.getsockname()[0]
    except OSError:
        return None


def get_ip(nic_name: Optional[str] = None) -> Optional[str]:
    """Return the IPv4 address of a network interface, or `get_my_ip()` without a name.

    :raises NicNotFound: there is no such interface
    :raises IncorrectNic: it has no IPv4 address
    """
    if not nic_name:
        return get_my_ip()
    interfaces = psutil.net_if_addrs()
    if nic_name not in interfaces:
        raise exc.NicNotFound(iface=nic_name)
    for address in interfaces[nic_name]:
        if address.family == socket.AF_INET:
            return address.address
    raise exc.IncorrectNic(iface=nic_name)


def get_root_helper() -> str:
    """Return what os-brick is given as its root helper."""
    return 'sudo'


def require_root(f: Callable) -> Callable:
    """Decorate a command: for others than root it fails before it does anything."""
    @functools.wraps(f)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if os.getuid() != 0:
            raise exceptions.CommandError('This command requires root permissions.')
        return f(*args, **kwargs)
    return wrapper


def safe_execute(cmd: list) -> None:
    """Run a command as root; print its failure instead of raising it."""
    try:
        processutils.execute(*cmd, root_helper=get_root_helper(), run_as_root=True)
    except processutils.ProcessExecutionError as failure:
        print(f'Command "{failure.cmd}" execution returned {failure.exit_code} exit code:')
        print(f'Stderr: {failure.stderr}')
        print(f'Stdout: {failure.stdout}')
