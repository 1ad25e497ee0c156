# SPDX-License-Identifier: Apache-2.0
"""What the client of a Ceph cluster is told: monitors, key, configuration file, arguments of `rbd`.

The service and the privileged process both use this module.  Everything from connection
properties is checked here before it becomes a line of a file or an argument.
"""

import glob
import hashlib
import ipaddress
import json
import os
import re
import stat
import tempfile
from typing import Any, NamedTuple, Optional

from os_brick import exception
from os_brick.i18n import _

CONF_PREFIX = 'brickrbd_'

# What separates or ends values in a configuration file, or would be a line of its own.
_UNSAFE = re.compile(r'[\s,;#"\'\\\x00-\x1f]')
# Names of pools and images are arguments only.
_CONTROL = re.compile(r'[\x00-\x1f]')
_PORT = re.compile(r'[0-9]{1,5}(/[0-9]+)?')
_DEVICE = re.compile(r'/dev/rbd[0-9]+')


def malformed(text: str) -> exception.BrickException:
    """Return the exception for connection properties that make no sense."""
    return exception.BrickException(
        message=_('Connect volume failed, malformed connection properties: %s') % text)


def _text(field: str, value: Any, forbidden: re.Pattern = _UNSAFE) -> str:
    """Return a value as text that is fit for a file and an argument."""
    if isinstance(value, bytes):
        value = value.decode('utf-8', errors='surrogateescape')
    if not isinstance(value, str) or forbidden.search(value) or value.startswith('-'):
        raise malformed(f'{field} cannot be {value!r}')
    return value


class Volume(NamedTuple):
    """The name of an image: `pool/image` or `pool/namespace/image`, perhaps with `@snapshot`."""

    pool: str
    namespace: str
    image: str
    snapshot: str

    @classmethod
    def parse(cls, name: Any) -> 'Volume':
        """Take a name apart.

        :raises BrickException: it is no such name
        """
        path, at, snapshot = _text('name', name, _CONTROL).partition('@')
        parts = path.split('/')
        words = [*parts, snapshot] if at else parts
        if len(parts) not in (2, 3) or '/' in snapshot or '@' in snapshot or any(
                word in ('', '.', '..') or word.startswith('-') for word in words):
            raise malformed(f'name must be pool/image, not {name!r}')
        return cls(parts[0], parts[1] if len(parts) == 3 else '', parts[-1], snapshot)

    @property
    def folder(self) -> str:
        """The pool, with the namespace if there is one."""
        return f'{self.pool}/{self.namespace}' if self.namespace else self.pool

    @property
    def leaf(self) -> str:
        """The image, with the snapshot if it is one."""
        return f'{self.image}@{self.snapshot}' if self.snapshot else self.image

    def __str__(self) -> str:
        return f'{self.folder}/{self.leaf}'


def bracketed(host: str) -> str:
    """Return the address of a monitor as it stands before a port: IPv6 in brackets."""
    protocol, separator, address = host.partition(':')
    if not (separator and protocol in ('v1', 'v2')):
        protocol, separator, address = '', '', host
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        return host
    return f'{protocol}{separator}[{address}]'


def monitors(hosts: Any, ports: Any) -> str:
    """Return the monitors as one value of `mon_host`.

    :raises BrickException: naming what cannot be an address or a port
    """
    for field, values in (('hosts', hosts), ('ports', ports)):
        if not isinstance(values, (list, tuple)) or not values:
            raise malformed(f'{field} must be a list, not {values!r}')
    if len(hosts) != len(ports):
        raise malformed(f'there are {len(hosts)} hosts and {len(ports)} ports')
    pairs = []
    for host, port in zip(hosts, ports):
        text = str(port)
        if isinstance(port, bool) or not _PORT.fullmatch(text) or int(text.split('/')[0]) > 65535:
            raise malformed(f'ports cannot hold {port!r}')
        if not host:
            raise malformed(f'hosts cannot hold {host!r}')
        pairs.append(f'{bracketed(_text("hosts", host))}:{text}')
    return ','.join(pairs)


def user_name(user: Any) -> str:
    """Return the name of the client; empty if the cluster asks for none.

    :raises BrickException: it cannot be one
    """
    return _text('auth_username', user) if user else ''


def keyring_contents(keyring: Any, cluster_name: Any, user: Any) -> str:
    """Return the text of the keyring: what was given, else that of this host's file.

    :param user: without one there is no file either, as cephx must be disabled
    :raises BrickException: the file cannot be read
    """
    if keyring is not None:
        if isinstance(keyring, bytes):
            keyring = keyring.decode('utf-8')
        if not isinstance(keyring, str):
            # Its value is a secret, whatever it is.
            raise malformed(f'keyring must be a text, not {type(keyring).__name__}')
        return keyring
    user = user_name(user)
    if not user:
        return ''
    path = f'/etc/ceph/{cluster(cluster_name)}.client.{_file_name("auth_username", user)}.keyring'
    try:
        with open(path) as stream:
            return stream.read()
    except (OSError, ValueError) as exc:
        raise exception.BrickException(
            message=_('Keyring path %s is not readable.') % path) from exc


def cluster(name: Any) -> str:
    """Return the name of a cluster.

    :raises BrickException: it cannot be one
    """
    if not name:
        raise malformed(f'cluster_name cannot be {name!r}')
    return _file_name('cluster_name', name)


def _file_name(field: str, value: Any) -> str:
    text = _text(field, value)
    if '/' in text:
        raise malformed(f'{field} cannot be {value!r}')
    return text


def create_conf(hosts: Any, ports: Any, cluster_name: Any, user: Any, keyring: Any,
                volume: Optional[str] = None) -> str:
    """Write a temporary configuration file that only its owner can read.

    :param volume: lets `confs_of` find the file again
    :returns: its path
    :raises BrickException: a value is malformed, the keyring cannot be read or the file
        not be written; then there is no file
    """
    # Octopus and later take settings in a section only.
    lines = f'[global]\nmon_host = {monitors(hosts, ports)}\n' \
            f'{keyring_contents(keyring, cluster_name, user)}\n'
    path = os.path.join(tempfile.gettempdir(), CONF_PREFIX)
    try:
        descriptor, path = tempfile.mkstemp(prefix=CONF_PREFIX, suffix=_suffix(volume))
        try:
            with os.fdopen(descriptor, 'w') as stream:
                stream.write(lines)
        except BaseException:
            os.unlink(path)
            raise
    except OSError as exc:
        raise exception.BrickException(
            message=_('Failed to write data to %s.') % path) from exc
    return path


def _suffix(volume: Optional[str]) -> str:
    # Not the name itself, which may be longer than a file name.
    return '_' + hashlib.sha256(volume.encode()).hexdigest()[:16] if volume else ''


def is_conf(path: Any) -> bool:
    """Tell whether this can be the path of a file made by `create_conf`."""
    return (isinstance(path, str) and os.path.isabs(path) and '\0' not in path
            and os.path.basename(path).startswith(CONF_PREFIX))


def confs_of(volume: str) -> list[str]:
    """Return the configuration files this user has written for a volume."""
    found = []
    for path in glob.glob(os.path.join(glob.escape(tempfile.gettempdir()),
                                       f'{CONF_PREFIX}*{_suffix(volume)}')):
        try:
            entry = os.lstat(path)
        except FileNotFoundError:
            continue
        if stat.S_ISREG(entry.st_mode) and entry.st_uid == os.geteuid():
            found.append(path)
    return sorted(found)


def access_arguments(user: Any, hosts: Any, ports: Any, conf: Optional[str]) -> list[str]:
    """Return the arguments that tell `rbd` who asks whom; what is not known is left out.

    :raises BrickException: a value is malformed
    """
    arguments = []
    if user:
        arguments += ['--id', user_name(user)]
    if hosts and ports:
        # In one argument: of several, `rbd` uses the last.
        arguments += ['--mon_host', monitors(hosts, ports)]
    if conf:
        arguments += ['--conf', conf]
    return arguments


# `rbd device map` and the like are the newer spelling; every version knows this one.

def map_command(volume: Volume, access: list[str]) -> list[str]:
    """Return the command that makes an image a block device."""
    namespace = ['--namespace', volume.namespace] if volume.namespace else []
    return ['rbd', 'map', volume.leaf, '--pool', volume.pool, *namespace, *access]


def list_command(access: list[str]) -> list[str]:
    """Return the command that lists the images that are block devices."""
    return ['rbd', 'showmapped', '--format=json', *access]


def unmap_command(device: str, access: list[str], force: bool = False) -> list[str]:
    """Return the command that removes a block device, with `force` even while it is open."""
    return ['rbd', 'unmap', device, *access, *(['-o', 'force'] if force else [])]


def find_device(listing: str, volume: Volume) -> Optional[str]:
    """Find the block device of an image in the output of `list_command`.

    :returns: /dev/rbdN, or None if the image is none
    :raises BrickException: the output makes no sense
    """
    try:
        mappings = json.loads(listing) if listing and listing.strip() else []
        # An object keyed by number until Ceph 13.2, since then a list.
        for mapping in mappings.values() if isinstance(mappings, dict) else mappings:
            snapshot = mapping.get('snap') or '-'
            if (mapping.get('pool'), mapping.get('namespace') or '', mapping.get('name'),
                    '' if snapshot == '-' else snapshot) == volume:
                return device(mapping.get('device'))
    except (ValueError, TypeError, AttributeError) as exc:
        raise exception.BrickException(
            message=_('The output of rbd showmapped makes no sense: %s') % exc) from exc
    return None


def device(path: Any) -> str:
    """Return the path of a block device of rbd's.

    :raises ValueError: it is none
    """
    if not isinstance(path, str) or not _DEVICE.fullmatch(path):
        raise ValueError(f'{path!r} is no device of rbd')
    return path
