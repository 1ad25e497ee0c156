# SPDX-License-Identifier: Apache-2.0
"""What every connector offers."""

import abc
from typing import Any, Callable, Optional

from os_brick import exception
from os_brick import executor
from os_brick import initiator


class InitiatorConnector(executor.Executor, metaclass=abc.ABCMeta):
    """Attaches volumes of one protocol to this host and detaches them."""

    #: The machine architecture the connector is for, one of initiator.PLATFORM_*.
    platform = initiator.PLATFORM_ALL
    #: The operating system it is for, one of initiator.OS_TYPE_*.
    os_type = initiator.OS_TYPE_ALL

    def __init__(self, root_helper: Optional[str], driver: Any = None,
                 execute: Optional[Callable] = None,
                 device_scan_attempts: int = initiator.DEVICE_SCAN_ATTEMPTS_DEFAULT,
                 *args: Any, **kwargs: Any) -> None:
        """Take the choices all connectors share; unknown arguments are ignored.

        :param root_helper: see `os_brick.executor.Executor`
        :param driver: ignored here; see `set_driver`
        :param execute: see `os_brick.executor.Executor`
        :param device_scan_attempts: how often to look for a device again
        """
        super().__init__(root_helper, execute, *args, **kwargs)
        self.device_scan_attempts = device_scan_attempts

    def set_driver(self, driver: Any) -> None:
        """Set the object that lists the block devices of the host."""
        self.driver = driver

    @staticmethod
    @abc.abstractmethod
    def get_connector_properties(root_helper: Optional[str], *args: Any,
                                 **kwargs: Any) -> dict[str, Any]:
        """Return what a storage backend has to know about this host for the protocol.

        :param root_helper: see `os_brick.executor.Executor`
        :param kwargs: host, multipath, enforce_multipath and execute, as passed to
            `os_brick.initiator.connector.get_connector_properties`
        """

    @abc.abstractmethod
    def check_valid_device(self, path: Any, run_as_root: bool = True) -> bool:
        """Tell whether the device can be read.

        :param path: the path of the device
        :param run_as_root: has no effect; the test always runs as root
        """

    @abc.abstractmethod
    def connect_volume(self, connection_properties: dict) -> Any:
        """Attach a volume.

        Backends describe a volume differently per protocol.  iSCSI over two paths::

            {'target_portals': ['10.0.0.1:3260', '10.0.1.1:3260'],
             'target_iqns': ['iqn.2010-10.org.example:v1', 'iqn.2010-10.org.example:v1'],
             'target_luns': [3, 3], 'access_mode': 'rw', 'encrypted': False}

        Fibre Channel, where the map names the targets each initiator port may use::

            {'target_wwn': ['20210002ac00383d'], 'target_lun': 1,
             'initiator_target_map': {'100010604b010459': ['20210002ac00383d']},
             'access_mode': 'rw', 'encrypted': False}

        Encryptors replace the path of an encrypted volume, so it must be handed out under
        a link of its own; `os_brick.utils.connect_volume_prepare_result` does that.

        :param connection_properties: the `data` part of the connection information
        :returns: a dictionary with at least `path` and `type`
        """

    @abc.abstractmethod
    def disconnect_volume(self, connection_properties: dict, device_info: Any,
                          force: bool = False, ignore_errors: bool = False) -> None:
        """Detach a volume.

        Methods that need the path before an encryptor replaced it are decorated with
        `os_brick.utils.connect_volume_undo_prepare_result(unlink_after=True)`.

        :param connection_properties: as given to `connect_volume`
        :param device_info: what `connect_volume` returned; may be None
        :param force: go on when a flush fails, losing data
        :param ignore_errors: under force, do not raise the errors at the end
        """

    @abc.abstractmethod
    def get_volume_paths(self, connection_properties: dict) -> list:
        """Return the paths of a volume that exist on this host now."""

    @abc.abstractmethod
    def get_search_path(self) -> Any:
        """Return the directory in which volumes of the protocol appear, if there is one."""

    @abc.abstractmethod
    def extend_volume(self, connection_properties: dict) -> Any:
        """Let the host see the new size of an attached volume.

        :returns: the new size in bytes
        """

    @abc.abstractmethod
    def get_all_available_volumes(self, connection_properties: Optional[dict] = None) -> Any:
        """Return every path in the search directory."""

    def check_IO_handle_valid(self, handle: Any, data_type: type, protocol: str) -> None:
        """Make sure that a handle is of the expected type; an empty one passes.

        :raises InvalidIOHandleObject: it is of another type
        """
        if handle and not isinstance(handle, data_type):
            raise exception.InvalidIOHandleObject(protocol=protocol, actual_type=type(handle))
