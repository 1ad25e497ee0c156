# SPDX-License-Identifier: Apache-2.0
"""The encryptor of volumes that this host does not encrypt."""

from typing import Any, Callable, Optional

from os_brick.encryptors import base


class NoOpEncryptor(base.VolumeEncryptor):
    """Does nothing, so that callers need not ask whether a volume is encrypted."""

    def __init__(self, root_helper: Optional[str], connection_info: dict[str, Any],
                 keymgr: Any, execute: Optional[Callable] = None,
                 *args: Any, **kwargs: Any) -> None:
        """Take what the other encryptors take."""
        super().__init__(root_helper, connection_info, keymgr, execute, *args, **kwargs)

    def attach_volume(self, context: Any, **kwargs: Any) -> None:
        """Do nothing."""

    def detach_volume(self, **kwargs: Any) -> None:
        """Do nothing."""

    def extend_volume(self, context: Any, **kwargs: Any) -> None:
        """Do nothing."""
