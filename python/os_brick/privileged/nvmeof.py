# SPDX-License-Identifier: Apache-2.0
"""The verbs of NVMe-oF that need root: the identity of this host."""

import errno
import os
import tempfile
from typing import Optional

from oslo_concurrency import processutils as putils
from oslo_log import log as logging

from os_brick import privileged
from os_brick.privileged import rootwrap

LOG = logging.getLogger(__name__)

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
