# SPDX-License-Identifier: Apache-2.0
"""Which attachment of a volume is meant, and whether another one uses the same device."""

import socket
from typing import Any, Optional

from cinderclient import exceptions as cinder_exceptions

from brick_cinderclient_ext import exceptions


def hosts(volume: Any) -> dict[str, Optional[str]]:
    """Return the attachments of a volume with their hosts, which only an admin is told."""
    found = getattr(volume, 'attachments', None)
    if not isinstance(found, list):
        return {}
    return {entry.get('attachment_id'): entry.get('host_name') for entry in found}


def ask(volume_id: str, found: dict[str, Optional[str]]) -> exceptions.NeedAttachmentUUID:
    """Return the exception that lists the attachments."""
    names = ', '.join(f'{name} ({host or "host unknown"})' for name, host in sorted(found.items()))
    return exceptions.NeedAttachmentUUID(
        exceptions.NeedAttachmentUUID.message + ' They are: %(names)s.',
        volume_id=volume_id, names=names)


def refuse_several(volume: Any, volume_id: str) -> None:
    """Raise if the volume has more than one attachment.

    :raises NeedAttachmentUUID: it has
    """
    found = hosts(volume)
    if len(found) > 1:
        raise ask(volume_id, found)


def attachment(cinder: Any, volume_id: str, wanted: Optional[str]) -> Any:
    """Return the attachment to detach, with its connection.

    :raises NoAttachmentsFound: there is none
    :raises NeedAttachmentUUID: there are several, none is `wanted`
    :raises CommandError: the wanted one is of another volume
    """
    if wanted:
        found = cinder.attachments.show(wanted)
        if found.volume_id != volume_id:
            raise cinder_exceptions.CommandError(
                f'Attachment {wanted} is of volume {found.volume_id}, not of {volume_id}.')
        return found
    candidates = cinder.attachments.list(search_opts={'volume_id': volume_id})
    if not candidates:
        raise exceptions.NoAttachmentsFound(volume_id=volume_id)
    if len(candidates) > 1:
        known = hosts(cinder.volumes.get(volume_id))
        raise ask(volume_id, {entry.id: known.get(entry.id) for entry in candidates})
    return cinder.attachments.show(candidates[0].id)


def shares_device(cinder: Any, volume_id: str, attachment_id: str) -> bool:
    """Tell whether another attachment of the volume is on this host too: it has the same device."""
    others = hosts(cinder.volumes.get(volume_id))
    others.pop(attachment_id, None)
    return socket.gethostname() in others.values()
