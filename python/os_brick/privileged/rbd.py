# SPDX-License-Identifier: Apache-2.0
"""The verbs of RBD that need root: configuration files, the three commands of `rbd`, a read.

Commands are put together here, from checked values, and never come from the service.
"""

import os
import stat
from collections.abc import Sequence
from typing import Any, Optional

from oslo_utils import fileutils

from os_brick import ceph
from os_brick import exception
from os_brick import privileged
from os_brick.privileged import plain_data
from os_brick.privileged import rootwrap

#: Bytes that prove a volume readable.
_SOME = 4096


@privileged.default.entrypoint
def root_create_ceph_conf(monitor_ips: Sequence[str], monitor_ports: Sequence[Any],
                          cluster_name: str, user: Optional[str], keyring: Optional[str],
                          volume: Optional[str] = None) -> str:
    """Write a temporary configuration file only root can read; see `os_brick.ceph.create_conf`."""
    return ceph.create_conf(monitor_ips, monitor_ports, cluster_name, user, keyring, volume)


@privileged.default.entrypoint
def delete_if_exists(path: str) -> None:
    """Remove a temporary configuration file of ours.

    :raises InvalidParameterValue: that is not the name of one
    """
    if not ceph.is_conf(path):
        raise exception.InvalidParameterValue(err=f'{path!r} is no configuration file of os-brick')
    fileutils.delete_if_exists(path)


@privileged.default.entrypoint
def delete_confs_of(volume: str) -> None:
    """Remove every configuration file written for a volume, also those nobody remembers."""
    for path in ceph.confs_of(str(ceph.Volume.parse(volume))):
        fileutils.delete_if_exists(path)


def _access(user: Any, hosts: Any, ports: Any, conf: Any) -> list[str]:
    """Return the arguments for the cluster; a file root believes must be root's own."""
    if conf is not None:
        plain_data.check_path('conf', conf)
        entry = os.lstat(conf)
        if not (ceph.is_conf(conf) and stat.S_ISREG(entry.st_mode)
                and entry.st_uid == os.geteuid()):
            raise exception.InvalidParameterValue(
                err=f'{conf!r} is no configuration file of os-brick')
    return ceph.access_arguments(user, hosts, ports, conf)


def _run(command: list[str]) -> str:
    out, _err = rootwrap.custom_execute(*command, shell=False, run_as_root=False)
    return out


@privileged.default.entrypoint
def map_volume(volume: str, user: Optional[str], hosts: Any, ports: Any,
               conf: Optional[str]) -> str:
    """Make an image a block device and return what `rbd` printed."""
    return _run(ceph.map_command(ceph.Volume.parse(volume), _access(user, hosts, ports, conf)))


@privileged.default.entrypoint
def list_mapped(user: Optional[str], hosts: Any, ports: Any, conf: Optional[str]) -> str:
    """Return what `rbd showmapped` prints, as JSON text."""
    return _run(ceph.list_command(_access(user, hosts, ports, conf)))


@privileged.default.entrypoint
def unmap_device(device: str, user: Optional[str], hosts: Any, ports: Any,
                 conf: Optional[str], force: bool = False) -> None:
    """Remove a block device /dev/rbdN.

    :raises ProcessExecutionError: it is in use
    """
    _run(ceph.unmap_command(ceph.device(device), _access(user, hosts, ports, conf), bool(force)))


@privileged.default.entrypoint
def check_valid_path(path: str) -> bool:
    """Tell whether the beginning of a device can be read."""
    plain_data.check_path('path', path)
    try:
        with open(path, 'rb', buffering=0) as stream:
            stream.read(_SOME)
    except OSError:
        return False
    return True
