# SPDX-License-Identifier: Apache-2.0
"""What the encryptors with a dm-crypt mapping share: its name, the volume's link, attach.

How a volume is opened and closed is the matter of the format's own module.
"""

import abc
import os
from typing import Any, Callable, Optional

from oslo_concurrency import processutils
from oslo_log import log as logging

from os_brick import encrypted_link
from os_brick import exception
from os_brick.encryptors import base

LOG = logging.getLogger(__name__)

_DEV = '/dev'
_MAPPER = '/dev/mapper'
_SYS_DEV_BLOCK = '/sys/dev/block'

#: Exit codes of cryptsetup, 1.6 and later.
WRONG_KEY = 2
NO_SUCH_MAPPING = 4
IN_USE = 5


class DmCryptEncryptor(base.VolumeEncryptor):
    """An encryptor whose volume becomes a mapping of device-mapper.

    :ivar symlink_path: the path consumers use; it leads to the mapping while it is open
    :ivar dev_name: the name of the mapping
    :ivar dev_path: the encrypted device
    """

    def __init__(self, root_helper: Optional[str], connection_info: dict[str, Any],
                 keymgr: Any, execute: Optional[Callable] = None,
                 *args: Any, **kwargs: Any) -> None:
        """Find out the name of the mapping.

        :raises VolumeEncryptionNotSupported: the volume has no device, as one that QEMU
            reaches over the network
        """
        super().__init__(root_helper, connection_info, keymgr, execute, *args, **kwargs)
        data = connection_info['data']
        path = data.get('device_path')
        if not path or not isinstance(path, str):
            raise exception.VolumeEncryptionNotSupported(
                volume_id=data.get('volume_id') or connection_info.get('serial'),
                volume_type=connection_info.get('driver_volume_type'))
        if not os.path.isabs(path) or not os.path.basename(path):
            raise exception.InvalidParameterValue(
                err=f'device_path must be the absolute path of a device, not {path!r}')
        self.symlink_path = path
        self.dev_name = self._find_open_mapping(data.get('multipath_id'))
        self.dev_path = os.path.realpath(path)

    def _find_open_mapping(self, wwn: Optional[str]) -> str:
        """Return the name of the mapping, of an older release's if that is still open.

        Those used the link's name or the WWN, which are the names of multipath maps too.
        """
        link_name = os.path.basename(self.symlink_path)
        for name in dict.fromkeys((link_name, wwn)):
            if name and self._is_crypt_device_available(name):
                LOG.debug('The volume is open under the name of an older release: %s', name)
                return name
        return f'crypt-{link_name}'

    def _is_crypt_device_available(self, dev_name: str) -> bool:
        """Tell whether there is an encrypted mapping of this name."""
        if not os.path.exists(f'{_MAPPER}/{dev_name}'):
            return False
        try:
            self._execute('cryptsetup', 'status', dev_name, run_as_root=True,
                          root_helper=self._root_helper)
        except processutils.ProcessExecutionError as exc:
            # 1: a device of another kind, which is what multipath maps are.
            if exc.exit_code != 1:
                LOG.warning('cryptsetup status %(dev_name)s exited abnormally '
                            '(status %(exit_code)s): %(err)s',
                            {'dev_name': dev_name, 'exit_code': exc.exit_code,
                             'err': exc.stderr})
            return False
        # Closing a map of somebody else's would take a disk away from under its users.
        uuid = self._read_mapping(dev_name, 'dm/uuid')
        return uuid is None or uuid.startswith('CRYPT-')

    @staticmethod
    def _mapping_directory(dev_name: str) -> Optional[str]:
        try:
            number = os.stat(f'{_MAPPER}/{dev_name}').st_rdev
        except OSError:
            return None
        return f'{_SYS_DEV_BLOCK}/{os.major(number)}:{os.minor(number)}'

    def _read_mapping(self, dev_name: str, attribute: str) -> Optional[str]:
        """Return an attribute of a mapping in sysfs, None if there is none."""
        directory = self._mapping_directory(dev_name)
        try:
            with open(f'{directory}/{attribute}') as stream:
                return stream.read().strip()
        except OSError:
            return None

    def _mapped_device(self) -> Optional[str]:
        """Return the device below the volume's open mapping, None if it is not open."""
        directory = self._mapping_directory(self.dev_name)
        if directory is None:
            return None
        try:
            below = os.listdir(f'{directory}/slaves')
        except OSError:
            return None
        return f'{_DEV}/{below[0]}' if len(below) == 1 else None

    @property
    def _mapping_path(self) -> str:
        return f'{_MAPPER}/{self.dev_name}'

    def _check_link(self) -> None:
        """Make sure that what the mapping will replace is a link.

        :raises InvalidParameterValue: a device node or a volume's file would be removed
        """
        if os.path.lexists(self.symlink_path) and not os.path.islink(self.symlink_path):
            raise exception.InvalidParameterValue(
                err=f'device_path {self.symlink_path} is no symbolic link, so it cannot be '
                    'replaced by the decrypted device; connection properties of an '
                    'encrypted volume have `encrypted` set when it is attached')

    def _find_encrypted_device(self) -> str:
        """Return the device to open, also when the link leads to its mapping already.

        Opened through its own mapping a volume would look as if it was not formatted.
        After a detach the link still leads to the mapping that was there; then its name
        says what the device is.
        """
        device = os.path.realpath(self.symlink_path)
        if device != os.path.realpath(self._mapping_path):
            return device
        return self._mapped_device() or os.path.realpath(
            encrypted_link.device_path_of(self.symlink_path))

    def _attach(self, context: Any, **kwargs: Any) -> None:
        """Open the volume and let its link lead to the mapping, or leave it as it was."""
        self._check_link()
        self.dev_path = self._find_encrypted_device()
        self._open(self._get_encryption_key_as_passphrase(context), **kwargs)
        try:
            self._execute('ln', '--symbolic', '--force', self._mapping_path,
                          self.symlink_path, root_helper=self._root_helper,
                          run_as_root=True, check_exit_code=True)
        except Exception:
            LOG.warning('No link %(link)s to the mapping %(name)s, closing it again',
                        {'link': self.symlink_path, 'name': self.dev_name})
            self._undo_open()
            raise

    def _undo_open(self) -> None:
        try:
            self._close_volume()
        except Exception as exc:
            LOG.warning('The mapping %(name)s remains: %(error)s',
                        {'name': self.dev_name, 'error': exc})

    def _open(self, passphrase: str, **kwargs: Any) -> None:
        """Open the volume, also after an attach that was killed half-way."""
        try:
            self._open_volume(passphrase, **kwargs)
        except processutils.ProcessExecutionError as exc:
            if exc.exit_code != IN_USE or not self._close_leftover():
                raise
            self._open_volume(passphrase, **kwargs)

    def _close_leftover(self) -> bool:
        """Close a mapping of this very device that nobody uses; tell whether it is gone."""
        if self._mapped_device() != self.dev_path:
            return False
        LOG.warning('The volume %(device)s is open already as %(name)s; closing that if '
                    'nobody uses it', {'device': self.dev_path, 'name': self.dev_name})
        try:
            self._close_volume()
        except processutils.ProcessExecutionError:
            return False
        return True

    def detach_volume(self, **kwargs: Any) -> None:
        """Close the volume; one that is not open is as good.

        :raises ProcessExecutionError: somebody uses it
        """
        self._close_volume(**kwargs)

    @abc.abstractmethod
    def _open_volume(self, passphrase: str, **kwargs: Any) -> None:
        """Make the mapping."""

    @abc.abstractmethod
    def _close_volume(self, **kwargs: Any) -> None:
        """Remove the mapping; it may be missing."""


def cipher_options(cipher: Optional[str] = None, key_size: Any = None,
                   **_others: Any) -> list[str]:
    """Return cryptsetup's options for what the encryption metadata asks for.

    :raises InvalidParameterValue: a value makes no sense
    """
    options = []
    if cipher is not None:
        if not isinstance(cipher, str) or not cipher:
            raise exception.InvalidParameterValue(err=f'cipher must be a name, not {cipher!r}')
        options += ['--cipher', cipher]
    if key_size is not None:
        if not str(key_size).isdecimal() or int(key_size) == 0:
            raise exception.InvalidParameterValue(
                err=f'key_size must be a number of bits, not {key_size!r}')
        options += ['--key-size', str(key_size)]
    return options
