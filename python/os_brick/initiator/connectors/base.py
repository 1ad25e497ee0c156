# SPDX-License-Identifier: Apache-2.0
"""What the connectors on Linux share, and the lock decorator of the Python ones."""

import functools
import os
from typing import Any, Callable, Optional

from oslo_concurrency import lockutils
from oslo_log import log as logging
from oslo_utils import strutils
from oslo_utils import timeutils

from os_brick import exception
from os_brick import initiator
from os_brick import utils
from os_brick.initiator import host_driver
from os_brick.initiator import initiator_connector
from os_brick.initiator import linuxscsi
from os_brick.initiator import lock_files

LOG = logging.getLogger(__name__)


def synchronized(name: str, lock_file_prefix: str = lock_files.PREFIX, external: bool = False,
                 lock_path: Optional[str] = None, semaphores: Any = None,
                 delay: float = 0.01, fair: bool = False,
                 blocking: bool = True) -> Callable[[Callable], Callable]:
    """Make a decorator that runs a function under a lock of oslo.concurrency.

    Unlike oslo's own, it finds the lock directory when the function is called, since the
    service configures it after this code was loaded.

    :param name: of the lock; equal names exclude each other
    :param lock_file_prefix: put before the name in the lock file's name
    :param external: exclude other processes too, by a lock file
    :param lock_path: directory of the file; by default `[os_brick] lock_path`
    :param blocking: False gives up, returning None, if the lock is taken
    """
    def decorate(function: Callable) -> Callable:
        @functools.wraps(function)
        def inner(*args: Any, **kwargs: Any) -> Any:
            path = lock_path
            if external and not path:
                path = lock_files.lock_path()
                lock_files.ensure(path, lock_files.name_of(name, lock_file_prefix))
            asked = timeutils.now()
            LOG.debug('Acquiring lock "%s" for "%s"', name, function.__qualname__)
            try:
                with lockutils.lock(name, lock_file_prefix, external, path, do_log=False,
                                    semaphores=semaphores, delay=delay, fair=fair,
                                    blocking=blocking):
                    acquired = timeutils.now()
                    LOG.debug('Lock "%s" acquired after %.3fs', name, acquired - asked)
                    try:
                        return function(*args, **kwargs)
                    finally:
                        LOG.debug('Lock "%s" released after %.3fs', name,
                                  timeutils.now() - acquired)
            except lockutils.AcquireLockFailedException:
                LOG.debug('Lock "%s" is taken, "%s" not called', name, function.__qualname__)
                return None
        return inner
    return decorate


class BaseLinuxConnector(initiator_connector.InitiatorConnector):
    """A connector for Linux hosts."""

    os_type = initiator.OS_TYPE_LINUX
    #: Whether volumes are attached over all their paths.
    use_multipath: bool = False

    def __init__(self, root_helper: Optional[str], driver: Any = None,
                 execute: Optional[Callable] = None, *args: Any, **kwargs: Any) -> None:
        """Take the caller's choices; see InitiatorConnector."""
        self._linuxscsi = linuxscsi.LinuxSCSI(root_helper, execute=execute)
        self.set_driver(driver or host_driver.HostDriver())
        super().__init__(root_helper, driver, execute, *args, **kwargs)

    @staticmethod
    def get_connector_properties(root_helper: Optional[str], *args: Any,
                                 **kwargs: Any) -> dict[str, Any]:
        """Return the caller's wish for multipath, which backends see and hand back."""
        return {'multipath': kwargs['multipath'],
                'enforce_multipath': kwargs['enforce_multipath']}

    def supports_multipath(self) -> bool:
        """Tell whether this host can use several paths; connectors that can override it."""
        return False

    def check_multipath(self, connection_properties: dict) -> None:
        """Compare the wish for multipath with what the host can do.

        :param connection_properties: `enforce_multipath` decides between the two outcomes
            when multipath is wanted and missing: a warning, or
        :raises BrickException: multipath is enforced
        """
        LOG.debug('Connection properties %s',
                  strutils.mask_dict_password(connection_properties))
        if not self.use_multipath or self.supports_multipath():
            return
        # Connection properties of an old Cinder lack the key.
        if connection_properties.get('enforce_multipath', False):
            raise exception.BrickException(
                "Multipathing is enforced but the host doesn't support multipathing.")
        LOG.warning("Multipathing is requested but the host doesn't support multipathing.")

    def check_valid_device(self, path: Any, run_as_root: bool = True) -> bool:
        """Tell whether the first block of a device can be read; always tried as root."""
        return utils.check_valid_device(self, path)

    def get_all_available_volumes(self, connection_properties: Optional[dict] = None) -> list:
        """Return the full paths in the search directory, nothing if it does not exist."""
        directory = self.get_search_path()
        if not directory:
            return []
        try:
            names = os.listdir(directory)
        except (FileNotFoundError, NotADirectoryError):
            return []
        prefix = directory.rstrip('/') + '/'
        return [prefix + name for name in names if not name.startswith('.')]

    def _discover_mpath_device(self, device_wwn: str, connection_properties: dict,
                               device_name: str) -> tuple[str, Optional[str]]:
        """Find the multipath device over a path.

        :param device_wwn: identity of the volume as multipath names it
        :param device_name: a path of the volume, used itself if there is no map
        :returns: the device to use, and the identity if that is a map
        """
        device_path = self._linuxscsi.find_multipath_device_path(device_wwn)
        multipath_id: Optional[str] = device_wwn
        if device_path is None:
            # multipath knows devices by their kernel names only.
            found = self._linuxscsi.find_multipath_device(os.path.realpath(device_name))
            if found:
                device_path = found['device']
            else:
                LOG.debug('No multipath device over %s, using the path itself', device_name)
                device_path, multipath_id = device_name, None
        if connection_properties.get('access_mode', '') != 'ro':
            try:
                self._linuxscsi.wait_for_rw(device_wwn, device_path)
            except exception.BlockDeviceReadOnly:
                LOG.warning('Block device %s is still read-only. Continuing anyway.',
                            device_path)
        return device_path, multipath_id
