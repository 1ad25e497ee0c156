# SPDX-License-Identifier: Apache-2.0
"""What every encryptor has: the key manager, and the hooks around an attach."""

import abc
from typing import Any, Callable, Optional

from os_brick import exception
from os_brick import executor
from os_brick import utils


class VolumeEncryptor(executor.Executor, metaclass=abc.ABCMeta):
    """Puts the decrypted device in the place of an attached volume's device."""

    def __init__(self, root_helper: Optional[str], connection_info: dict[str, Any],
                 keymgr: Any, execute: Optional[Callable] = None,
                 *args: Any, **kwargs: Any) -> None:
        """Keep the key manager; further arguments are ignored.

        :param kwargs: `encryption_key_id` names the key
        """
        super().__init__(root_helper, execute, *args, **kwargs)
        self._key_manager = keymgr
        self.encryption_key_id = kwargs.get('encryption_key_id')

    def _get_key(self, context: Any) -> Any:
        return self._key_manager.get(context, self.encryption_key_id)

    def _get_encryption_key_as_passphrase(self, context: Any) -> str:
        """Return the text that opens the volume; keep it no longer than needed.

        :raises Invalid: the key manager has an empty secret, which would protect nothing
        """
        passphrase = utils.get_passphrase_from_secret(self._get_key(context))
        if not passphrase:
            raise exception.Invalid(f'the encryption key {self.encryption_key_id} is empty')
        return passphrase

    @abc.abstractmethod
    def attach_volume(self, context: Any, **kwargs: Any) -> None:
        """Open the volume, after it was attached to the host and before it is used."""

    @abc.abstractmethod
    def detach_volume(self, **kwargs: Any) -> None:
        """Close the volume, after its last use and before it leaves the host."""

    @abc.abstractmethod
    def extend_volume(self, context: Any, **kwargs: Any) -> Optional[int]:
        """Let an open volume have its device's new size; return what is left for data."""
