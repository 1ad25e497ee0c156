# SPDX-License-Identifier: Apache-2.0
"""The encryptor of volumes without a header: plain dm-crypt, deprecated."""

from typing import Any, Callable, Optional

from oslo_log import log as logging
from oslo_log import versionutils

from os_brick.encryptors import dm_crypt

LOG = logging.getLogger(__name__)


class CryptsetupEncryptor(dm_crypt.DmCryptEncryptor):
    """Opens plain dm-crypt volumes.  Nothing on them tells whether a key is the right one."""

    def __init__(self, root_helper: Optional[str], connection_info: dict[str, Any],
                 keymgr: Any, execute: Optional[Callable] = None,
                 *args: Any, **kwargs: Any) -> None:
        """See DmCryptEncryptor."""
        super().__init__(root_helper, connection_info, keymgr, execute, *args, **kwargs)

    def _open_volume(self, passphrase: str, **kwargs: Any) -> None:
        LOG.debug('Opening the encrypted volume %s', self.dev_path)
        # Without a key file cryptsetup would strip a newline at the end of the passphrase.
        self._execute('cryptsetup', 'create', '--key-file=-',
                      *dm_crypt.cipher_options(**kwargs), self.dev_name, self.dev_path,
                      process_input=passphrase, check_exit_code=True, run_as_root=True,
                      root_helper=self._root_helper)

    def attach_volume(self, context: Any, **kwargs: Any) -> None:
        """Open the volume and let its link lead to the decrypted device.

        :param kwargs: `cipher` and `key_size`; others are ignored
        :raises InvalidParameterValue: the volume's path is not a link
        :raises ProcessExecutionError: it could not be opened
        """
        versionutils.report_deprecated_feature(
            LOG,
            'The plain CryptsetupEncryptor is deprecated and will be removed in a future '
            'release. Retype volumes that use it to a type with the luks or luks2 format.')
        dm_crypt.cipher_options(**kwargs)
        self._attach(context, **kwargs)

    def _close_volume(self, **kwargs: Any) -> None:
        LOG.debug('Closing the encrypted volume %s', self.dev_path)
        # A host that is recovering detaches volumes that are not open.
        self._execute('cryptsetup', 'remove', self.dev_name, run_as_root=True,
                      check_exit_code=[0, dm_crypt.NO_SUCH_MAPPING],
                      root_helper=self._root_helper)

    def extend_volume(self, context: Any, **kwargs: Any) -> None:
        """Not possible for volumes without a header."""
        raise NotImplementedError()
