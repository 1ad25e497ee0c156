# SPDX-License-Identifier: Apache-2.0
"""What the extension raises beside the exceptions of cinderclient and os-brick."""

from typing import Any, Optional


class BrickInterfaceException(Exception):
    """Base of them; `message` is filled in with the keyword arguments."""

    message = 'An unknown exception occurred.'

    def __init__(self, message: Optional[str] = None, **kwargs: Any) -> None:
        """Take another message, and what is to be filled in."""
        self.message = (message or self.message) % kwargs
        super().__init__(self.message)

    def __str__(self) -> str:
        return self.message


class NicNotFound(BrickInterfaceException):
    message = 'Could not find network interface %(iface)s.'


class IncorrectNic(BrickInterfaceException):
    message = 'Network interface %(iface)s has not ipv4 address assigned.'


class NoAttachmentsFound(BrickInterfaceException):
    message = 'There were no attachments found for %(volume_id)s'


class NeedAttachmentUUID(BrickInterfaceException):
    message = ('Volume %(volume_id)s has more than one attachment. '
               'Please pass in the attachment_uuid you wish to detach.')
