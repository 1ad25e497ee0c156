# SPDX-License-Identifier: Apache-2.0
"""The names by which storage knows the host: there, well-formed, and nobody else's."""

import os
import re
from typing import Any, Optional
import uuid

from os_brick import exception
from os_brick.cli.doctor import verdict
from os_brick.cli.doctor.host import Host
from os_brick.initiator import inventory

INITIATOR = '/etc/iscsi/initiatorname.iscsi'
HOST_NQN = '/etc/nvme/hostnqn'
HOST_ID = '/etc/nvme/hostid'
#: Written when a machine is first started, and emptied in images that are meant to be cloned.
_MACHINE_ID = '/etc/machine-id'

_NEW_INITIATOR = (f'echo "InitiatorName=$(iscsi-iname)" > {INITIATOR}, restart iscsid, tell the storage; '
                  'only when nothing is attached')
_NEW_NVME = f'nvme gen-hostnqn > {HOST_NQN}, its UUID to {HOST_ID}; only when nothing is attached'
_RFC_NAME = re.compile(r'iqn\.\d{4}-\d{2}\.[a-z0-9][a-z0-9.-]*(:\S+)?|eui\.[0-9A-Fa-f]{16}|naa\.[0-9A-Fa-f]{16,32}')
#: Names of documentation and of images that were not made one's own.
_COPIED = (
    re.compile(r'iqn\.\d{4}-\d{2}\.(com|org|net)\.example\b'),
    re.compile(r'iqn\.1987-05\.com\.cisco:01\.4438aca09387'),
    re.compile(r'iqn\.1994-05\.com\.redhat:(rhel\d*|client\d*|localhost)?$'),
    re.compile(r'iqn\.[^:]*(:\d{0,2})?$'),
)
_NQN = re.compile(r'nqn\.\d{4}-\d{2}\.\S+')
_NQN_UUID = re.compile(r'nqn\.2014-08\.org\.nvmexpress:uuid:(.*)')
#: UUIDs that boards and hypervisors have when nobody gave them one.
_NO_UUIDS = {uuid.UUID(text) for text in (
    '00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff',
    '03000200-0400-0500-0006-000700080009', '12345678-1234-5678-90ab-cddeefaabbcc')}


def _in_doubt(host: Host, file: str) -> list[str]:
    """Return the signs that sessions or controllers were made under another name than the file's."""
    try:
        findings = inventory.find_orphans(host.root)['findings']
    except (exception.BrickException, OSError):
        return []
    return [f"{seen['place']}: {seen['value']}" for finding in findings
            if finding['kind'] == 'host_name_in_doubt' and finding['subject'] == file
            for seen in finding['evidence']]


def initiator(host: Host) -> dict[str, Any]:
    """Check the name of the iSCSI initiator."""
    if not host.program('iscsiadm'):
        return verdict.skipped('open-iscsi is not installed: no iscsiadm')
    text = host.text(INITIATOR)
    if text is None:
        return verdict.error(f'{INITIATOR} is missing', _NEW_INITIATOR)
    found = [line.partition('=')[2].strip() for line in text.splitlines() if line.strip().startswith('InitiatorName=')]
    if not found:
        return verdict.error(f'{INITIATOR} has no line InitiatorName=', _NEW_INITIATOR)
    evidence = [f'{INITIATOR}: {name}' for name in found]
    if len(set(found)) > 1:
        return verdict.error([*evidence, 'several names; which one counts depends on who reads'],
                             f'one line InitiatorName= in {INITIATOR}')
    name = found[0]
    if not _RFC_NAME.fullmatch(name):
        return verdict.error([*evidence, 'no name as iSCSI has them, iqn.YYYY-MM.DOMAIN:UNIQUE in lower case'],
                             _NEW_INITIATOR)
    if any(pattern.match(name) for pattern in _COPIED):
        return verdict.error([*evidence, 'the name of an example or an image; other hosts have it too'], _NEW_INITIATOR)
    doubt = _in_doubt(host, INITIATOR)
    if doubt:
        return verdict.warning([*evidence, *doubt, 'sessions have another name'], _NEW_INITIATOR)
    if _is_of_the_image(host, INITIATOR):
        return verdict.warning([*evidence, f'older than {_MACHINE_ID}: the image may have brought it to every clone'],
                               f'compare with other hosts; if one has it: {_NEW_INITIATOR}')
    return verdict.ok(evidence)


def _is_of_the_image(host: Host, file: str) -> bool:
    """Tell whether a file was written long before the machine got its identity."""
    try:
        return os.stat(host.path(file)).st_mtime < os.stat(host.path(_MACHINE_ID)).st_mtime - 3600
    except OSError:
        return False


def _uuid(text: str) -> Optional[uuid.UUID]:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def nvme(host: Host) -> dict[str, Any]:
    """Check the name and the id of the NVMe host, which belong together."""
    nqn, host_id = host.text(HOST_NQN), host.text(HOST_ID)
    if nqn is None and host_id is None:
        return verdict.skipped(f'neither {HOST_NQN} nor {HOST_ID}: both are made by the first service that asks for them')
    if nqn is None or host_id is None:
        return verdict.warning(f'{HOST_NQN if nqn is None else HOST_ID} is missing, and the other is there',
                               'os-brick properties, as root, makes the missing one; compare both afterwards')
    nqn, host_id = nqn.strip(), host_id.strip()
    evidence = [f'{HOST_NQN}: {nqn}', f'{HOST_ID}: {host_id}']
    own = _uuid(host_id)
    if not _NQN.fullmatch(nqn) or len(nqn) > 223:
        return verdict.error([*evidence, 'the first is no name as NVMe has them'], _NEW_NVME)
    if own is None:
        return verdict.error([*evidence, 'the second is no UUID'], _NEW_NVME)
    match = _NQN_UUID.fullmatch(nqn)
    of_name = _uuid(match[1]) if match else None
    if match and of_name is None:
        return verdict.error([*evidence, 'the name ends in no UUID'], _NEW_NVME)
    if own in _NO_UUIDS or of_name in _NO_UUIDS:
        return verdict.error([*evidence, 'the UUID of a board nobody gave one; other hosts have it too'], _NEW_NVME)
    doubt = _in_doubt(host, HOST_NQN)
    if doubt:
        return verdict.warning([*evidence, *doubt, 'controllers have another name'], _NEW_NVME)
    if of_name is not None and of_name != own:
        return verdict.warning([*evidence, 'two UUIDs; newer kernels refuse one id under two names'],
                               f'the UUID of {HOST_NQN} in {HOST_ID}; only when nothing is attached')
    return verdict.ok(evidence)
