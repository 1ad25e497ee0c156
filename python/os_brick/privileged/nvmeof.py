# SPDX-License-Identifier: Apache-2.0
"""The verbs of NVMe-oF that need root: volumes, and the identity of this host.

`connect`, `disconnect`, `extend` and `paths` are what the entrypoints do in the
privileged process; a connector whose caller brought its own `execute` calls these in the
caller's process.
"""

import errno
import os
import tempfile
from typing import Any, Callable, Optional

from oslo_concurrency import processutils as putils
from oslo_log import log as logging

from os_brick import _engine
from os_brick import _native
from os_brick import encrypted_link
from os_brick import privileged
from os_brick.privileged import encrypted_volume
from os_brick.privileged import plain_data
from os_brick.privileged import rootwrap

LOG = logging.getLogger(__name__)

#: The connection properties NVMe-oF understands, in all their formats.
PROPERTIES = (
    'nqn', 'transport_type', 'target_portal', 'target_port', 'volume_nguid', 'ns_id',
    'host_nqn', 'vol_uuid', 'target_nqn', 'portals', 'alias', 'volume_replicas',
    'replica_count', 'encrypted', 'access_mode', 'enforce_multipath', 'device_path',
)
#: Those that hold lists of lists or of dictionaries.
NESTED = ('portals', 'volume_replicas')

Execute = Optional[Callable[..., Any]]

_NVME_DIR = '/etc/nvme'
_PRODUCT_UUID = '/sys/class/dmi/id/product_uuid'
_NQN_PREFIX = 'nqn.2014-08.org.nvmexpress:uuid:'
# What show-hostnqn of old versions of nvme-cli says instead of naming an nqn.
_NO_NQN_TEXTS = ('error: invalid sub-command', 'hostnqn is not available')


def _write_identity(name: str, text: str) -> None:
    """Write a file below /etc/nvme that everybody may read, whole or not at all."""
    os.makedirs(_NVME_DIR, mode=0o755, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=f'.{name}-', dir=_NVME_DIR)
    try:
        with os.fdopen(descriptor, 'w') as stream:
            stream.write(text)
            os.fchmod(stream.fileno(), 0o644)
        os.rename(temporary, os.path.join(_NVME_DIR, name))
    except BaseException:
        os.unlink(temporary)
        raise


def _show_hostnqn() -> str:
    """Return the nqn nvme-cli derives from the firmware or systemd, or an empty text.

    :raises ProcessExecutionError: nvme-cli failed in a way that does not mean "none"
    """
    try:
        out, _err = rootwrap.custom_execute('nvme', 'show-hostnqn')
    except putils.ProcessExecutionError as exc:
        # Which stream an error is on differs between versions, and so does its case.
        text = f'{exc.stdout}\n{exc.stderr}'
        if exc.exit_code == errno.ENOENT or any(
                known in text.casefold() for known in _NO_NQN_TEXTS):
            LOG.debug('nvme-cli knows no host nqn: %s', text)
            return ''
        raise
    return out.strip()


def _gen_hostnqn() -> str:
    out, _err = rootwrap.custom_execute('nvme', 'gen-hostnqn')
    return out.strip()


@privileged.default.entrypoint
def create_hostnqn(system_uuid: Optional[str] = None) -> str:
    """Choose the nqn of this host once and keep it in /etc/nvme/hostnqn.

    A host that changed its nqn could not use the connections it has.

    :param system_uuid: becomes part of the nqn; without it nvme-cli is asked
    :returns: the nqn; empty, with a warning and nothing written, if there is none
    """
    try:
        if system_uuid:
            host_nqn = _NQN_PREFIX + system_uuid
        else:
            host_nqn = _show_hostnqn() or _gen_hostnqn()
        if host_nqn:
            _write_identity('hostnqn', host_nqn)
        return host_nqn
    except Exception as exc:
        LOG.warning('Could not generate host nqn: %s', exc)
        return ''


@privileged.default.entrypoint
def get_system_uuid() -> str:
    """Return the UUID of this machine's board, or an empty text."""
    try:
        with open(_PRODUCT_UUID) as stream:
            return stream.read().strip()
    except OSError as exc:
        LOG.debug('No system UUID in sysfs: %s', exc)
    try:
        out, _err = rootwrap.custom_execute('dmidecode', '-ssystem-uuid')
    except (putils.ProcessExecutionError, OSError) as exc:
        LOG.debug('No system UUID from dmidecode: %s', exc)
        return ''
    if not out:
        LOG.warning('dmidecode returned an empty system UUID')
    return out.strip()


@privileged.default.entrypoint
def create_hostid(uuid: str) -> Optional[str]:
    """Keep the NVMe host id of this host in /etc/nvme/hostid.

    :param uuid: the id
    :returns: the id, or None with a warning if it could not be written
    """
    try:
        _write_identity('hostid', f'{uuid}\n')
    except Exception as exc:
        LOG.warning('Could not generate nvme host id: %s', exc)
        return None
    return uuid


def _check(properties: dict[str, Any],
           settings: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    return encrypted_volume.check(properties, settings, PROPERTIES, NESTED)


def _name_host() -> None:
    """Give the host a name, if it never got one: its connections are known by it."""
    if not os.path.exists(os.path.join(_NVME_DIR, 'hostnqn')):
        create_hostnqn(get_system_uuid())


def connect(properties: dict[str, Any], settings: dict[str, Any],
            execute: Execute = None) -> dict[str, Any]:
    """Attach a volume in this process.

    :param properties: connection properties, keys of PROPERTIES only
    :param settings: see `_engine.nvmeof.connect_volume`
    :param execute: runs every command; None for the engine's own runner
    :returns: type and path
    :raises BrickException: of the kind that tells what failed; nothing stays attached
    """
    properties, settings = _check(properties, settings)
    _name_host()
    result = _native.call(_engine.nvmeof.connect_volume, properties, settings, execute)
    return encrypted_volume.hand_out(properties, result, lambda path: _native.call(
        _engine.nvmeof.disconnect_volume, properties, path, settings, True, execute))


def _links(properties: dict[str, Any], settings: dict[str, Any],
           execute: Execute) -> list[str]:
    found = _native.call(_engine.nvmeof.volume_paths, properties, settings, execute)
    return [encrypted_link.name_for(path) for path in found]


def disconnect(properties: dict[str, Any], device_path: Optional[str],
               settings: dict[str, Any], force: bool, execute: Execute = None) -> list[str]:
    """Detach a volume in this process, with the link of an encrypted one.

    :param device_path: the path the attach returned, or None when it is not known
    :param force: carry on after errors, even if data is lost
    :returns: the errors collected under force
    :raises BrickException: without force, the first error; the volume stays attached
    """
    link = properties.get('device_path') if isinstance(properties, dict) else None
    properties, settings = _check(properties, settings)
    device_path = plain_data.check_path('device_path', device_path)
    links = encrypted_volume.links(properties, device_path or link,
                                   lambda: _links(properties, settings, execute))
    errors = _native.call(_engine.nvmeof.disconnect_volume, properties,
                          encrypted_link.device_path_of(device_path), settings, bool(force),
                          execute)
    encrypted_volume.remove_links(links)
    return list(errors)


def extend(properties: dict[str, Any], settings: dict[str, Any],
           execute: Execute = None) -> int:
    """Let the host see the new size of an attached volume, in this process.

    :returns: the new size in bytes
    :raises BrickException: the host did not take over the size
    """
    properties, settings = _check(properties, settings)
    return _native.call(_engine.nvmeof.extend_volume, properties, settings, execute)


def paths(properties: dict[str, Any], settings: dict[str, Any],
          execute: Execute = None) -> list[str]:
    """Return where a volume is on this host, looked up in this process."""
    properties, settings = _check(properties, settings)
    return list(_native.call(_engine.nvmeof.volume_paths, properties, settings, execute))


@privileged.default.entrypoint
def connect_volume(properties: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Attach a volume as root; see `connect`."""
    return connect(properties, settings)


@privileged.default.entrypoint
def disconnect_volume(properties: dict[str, Any], device_path: Optional[str],
                      settings: dict[str, Any], force: bool) -> list[str]:
    """Detach a volume as root; see `disconnect`."""
    return disconnect(properties, device_path, settings, force)


@privileged.default.entrypoint
def extend_volume(properties: dict[str, Any], settings: dict[str, Any]) -> int:
    """Extend an attached volume as root; see `extend`."""
    return extend(properties, settings)


@privileged.default.entrypoint
def volume_paths(properties: dict[str, Any], settings: dict[str, Any]) -> list[str]:
    """Find an attached volume as root: what a leg of a mirror is, only root can read."""
    return paths(properties, settings)
