# SPDX-License-Identifier: Apache-2.0
"""The encryptors of LUKS volumes, which format a volume that was never used."""

import os
from typing import Any, Callable, ContextManager, Optional

from oslo_concurrency import lockutils
from oslo_concurrency import processutils
from oslo_log import log as logging

from os_brick import exception
from os_brick import utils
from os_brick.encryptors import dm_crypt
from os_brick.encryptors import unformatted
from os_brick.initiator import lock_files
from os_brick.privileged import rootwrap as priv_rootwrap

LOG = logging.getLogger(__name__)

#: Exit code of cryptsetup for what is not LUKS, but also for errors it has no code for.
_NOT_LUKS = 1


def _luks_error(root_helper: Optional[str], device: str,
                execute: Optional[Callable]) -> Optional[processutils.ProcessExecutionError]:
    """Ask cryptsetup whether a device holds LUKS; None means that it does."""
    try:
        (execute or priv_rootwrap.execute)(
            'cryptsetup', 'isLuks', '--verbose', device, run_as_root=True,
            root_helper=root_helper, check_exit_code=True)
    except processutils.ProcessExecutionError as exc:
        return exc
    return None


def is_luks(root_helper: Optional[str], device: str,
            execute: Optional[Callable] = None) -> bool:
    """Tell whether a device is known to hold LUKS.

    False is no reason to format it: it also stands for a device that cannot be read.

    :param execute: runs the command; None for os-brick's own
    """
    error = _luks_error(root_helper, device, execute)
    if error is None:
        return True
    LOG.warning('isLuks exited abnormally (status %(exit_code)s): %(stderr)s',
                {'exit_code': error.exit_code, 'stderr': error.stderr})
    return False


class LuksEncryptor(dm_crypt.DmCryptEncryptor):
    """Opens LUKS volumes; formats new ones as LUKS1, which every QEMU can read."""

    def __init__(self, root_helper: Optional[str], connection_info: dict[str, Any],
                 keymgr: Any, execute: Optional[Callable] = None,
                 *args: Any, **kwargs: Any) -> None:
        """See DmCryptEncryptor."""
        super().__init__(root_helper, connection_info, keymgr, execute, *args, **kwargs)

    def _format_volume(self, passphrase: str, **kwargs: Any) -> None:
        self._format_luks_volume(passphrase, 'luks1', **kwargs)

    def _format_luks_volume(self, passphrase: str, version: str, **kwargs: Any) -> None:
        """Put a LUKS header on a volume that has never been used.

        A volume that somebody formatted meanwhile with the same key is as good.

        :param version: `luks1` or `luks2`; plain `luks` is what cryptsetup prefers
        :param kwargs: `cipher` and `key_size`; others are ignored
        :raises BrickException: the volume may hold something
        """
        options = dm_crypt.cipher_options(**kwargs)
        with self._format_lock():
            error = _luks_error(self._root_helper, self.dev_path, self._execute)
            if error is None:
                LOG.info('%s has been formatted by somebody else', self.dev_path)
                self._check_key(passphrase)
                return
            if error.exit_code != _NOT_LUKS:
                raise exception.BrickException(
                    f'{self.dev_path} is not formatted as an encrypted volume because '
                    f'cryptsetup cannot tell what it is: {error}')
            unformatted.check(self, self.dev_path)
            LOG.info('Formatting %(device)s as %(version)s for its first use',
                     {'device': self.dev_path, 'version': version})
            self._execute('cryptsetup', '--batch-mode', 'luksFormat', '--type', version,
                          '--key-file=-', *options, self.dev_path,
                          process_input=passphrase, check_exit_code=True, run_as_root=True,
                          root_helper=self._root_helper, attempts=3)

    def _format_lock(self) -> ContextManager:
        """Let one process at a time decide about a device, or its key would be replaced."""
        name = f'luks_format-{os.path.basename(self.dev_path)}'
        path = None
        if lock_files.configured_path():
            path = lock_files.prepare_file(lock_files.PREFIX + name)
        return lockutils.lock(name, lock_files.PREFIX, external=path is not None,
                              lock_path=path)

    def _check_key(self, passphrase: str) -> None:
        try:
            self._execute('cryptsetup', 'luksOpen', '--test-passphrase', '--key-file=-',
                          self.dev_path, process_input=passphrase, run_as_root=True,
                          check_exit_code=True, root_helper=self._root_helper)
        except processutils.ProcessExecutionError as exc:
            self._explain(exc)
            raise

    def _explain(self, exc: processutils.ProcessExecutionError) -> None:
        """Say in an error of cryptsetup what it means for the volume."""
        if exc.exit_code == dm_crypt.WRONG_KEY:
            exc.description = (f'The key {self.encryption_key_id} does not open '
                               f'{self.dev_path}.')

    def _open_volume(self, passphrase: str, **kwargs: Any) -> None:
        LOG.debug('Opening the encrypted volume %s', self.dev_path)
        # Without a key file cryptsetup would strip a newline at the end of the passphrase.
        self._execute('cryptsetup', 'luksOpen', '--key-file=-', self.dev_path,
                      self.dev_name, process_input=passphrase, run_as_root=True,
                      check_exit_code=True, root_helper=self._root_helper)

    def _open(self, passphrase: str, **kwargs: Any) -> None:
        """Open the volume, after formatting it if it was never used."""
        try:
            super()._open(passphrase, **kwargs)
        except processutils.ProcessExecutionError as exc:
            self._explain(exc)
            if exc.exit_code != _NOT_LUKS:
                raise
            error = _luks_error(self._root_helper, self.dev_path, self._execute)
            if error is None:
                # Somebody may be formatting it: the header comes first, the key later.
                with self._format_lock():
                    LOG.debug('%s is LUKS by now', self.dev_path)
            elif error.exit_code == _NOT_LUKS:
                self._format_volume(passphrase, **kwargs)
            else:
                raise
            super()._open(passphrase, **kwargs)

    def attach_volume(self, context: Any, **kwargs: Any) -> None:
        """Open the volume and let its link lead to the decrypted device.

        A volume that was never used is formatted.  One that holds, or may hold, anything
        is not; see `unformatted`.

        :param kwargs: `cipher` and `key_size` for a format; others are ignored
        :raises InvalidParameterValue: the volume's path is not a link
        :raises ProcessExecutionError: it could not be opened; 2 is a wrong key
        :raises BrickException: it is not LUKS and may hold something
        """
        self._attach(context, **kwargs)

    def _close_volume(self, **kwargs: Any) -> None:
        LOG.debug('Closing the encrypted volume %s', self.dev_path)
        # A host that is recovering detaches volumes that are not open.
        self._execute('cryptsetup', 'luksClose', self.dev_name, run_as_root=True,
                      check_exit_code=[0, dm_crypt.NO_SUCH_MAPPING],
                      root_helper=self._root_helper, attempts=3)

    def extend_volume(self, context: Any, **kwargs: Any) -> Optional[int]:
        """Let the open volume have its device's new size.

        :returns: the bytes of the decrypted device, None if its size is not known
        :raises ProcessExecutionError: it is not open, or the key is wrong
        """
        link = self.symlink_path
        if not os.path.lexists(link):
            link = self._mapping_path
        LOG.debug('Resizing the mapping %s to match the underlying device', link)
        self._execute('cryptsetup', 'resize', link,
                      process_input=self._get_encryption_key_as_passphrase(context),
                      run_as_root=True, check_exit_code=True,
                      root_helper=self._root_helper)
        size = utils.get_device_size(self, link)
        LOG.debug('The mapping %(link)s has %(size)s bytes now', {'link': link, 'size': size})
        return size


class Luks2Encryptor(LuksEncryptor):
    """Opens LUKS volumes; formats new ones as LUKS2."""

    def __init__(self, root_helper: Optional[str], connection_info: dict[str, Any],
                 keymgr: Any, execute: Optional[Callable] = None,
                 *args: Any, **kwargs: Any) -> None:
        """See DmCryptEncryptor."""
        super().__init__(root_helper, connection_info, keymgr, execute, *args, **kwargs)

    def _format_volume(self, passphrase: str, **kwargs: Any) -> None:
        self._format_luks_volume(passphrase, 'luks2', **kwargs)
