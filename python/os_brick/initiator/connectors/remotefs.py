# SPDX-License-Identifier: Apache-2.0
"""The connector for volumes that are files of a mounted file system."""

import os
from typing import Any, Callable, Optional

from oslo_log import log as logging

from os_brick import exception
from os_brick import initiator
from os_brick import utils
from os_brick.i18n import _
from os_brick.initiator.connectors import base
from os_brick.remotefs import remotefs
from os_brick.remotefs import vzstorage_share

LOG = logging.getLogger(__name__)


class RemoteFsConnector(base.BaseLinuxConnector):
    """Mounts the file system a volume is in; what is mounted stays.

    For NFS, GlusterFS, Scality, Quobyte and Virtuozzo Storage.
    """

    def __init__(self, mount_type: str, root_helper: Optional[str], driver: Any = None,
                 execute: Optional[Callable] = None,
                 device_scan_attempts: int = initiator.DEVICE_SCAN_ATTEMPTS_DEFAULT,
                 *args: Any, **kwargs: Any) -> None:
        """Keep the choices of the caller; the host is not touched.

        :param mount_type: the file system, in any case
        :param kwargs: `<type>_mount_point_base` is needed, or `conn`, connection
            information with `mount_point_base`; `<type>_mount_options`
        :raises ProtocolNotSupported: the file system is not known
        :raises InvalidParameterValue: there is no base
        """
        mount_type = mount_type.lower()
        key = mount_type + '_mount_point_base'
        conn = kwargs.get('conn')
        if not kwargs.get(key):
            if conn:
                kwargs[key] = conn.get('mount_point_base')
            else:
                LOG.warning('Connection details not present. '
                            'RemoteFsClient may not initialize properly.')
        self._is_vzstorage = mount_type == 'vzstorage'
        if mount_type == 'scality':
            client: Any = remotefs.ScalityRemoteFsClient
        elif self._is_vzstorage:
            client = remotefs.VZStorageRemoteFSClient
        else:
            client = remotefs.RemoteFsClient
        self._remotefsclient = client(mount_type, root_helper, execute, *args, **kwargs)
        super().__init__(root_helper, driver, execute, device_scan_attempts, *args, **kwargs)

    @staticmethod
    def get_connector_properties(root_helper: Optional[str], *args: Any,
                                 **kwargs: Any) -> dict[str, Any]:
        """Return nothing: a server need not know its clients."""
        return {}

    def set_execute(self, execute: Optional[Callable]) -> None:
        """Run every command of this object and its client with `execute`."""
        super().set_execute(execute)
        self._remotefsclient.set_execute(execute)

    def set_root_helper(self, helper: Optional[str]) -> None:
        """Set the command prefix for this object and its client."""
        super().set_root_helper(helper)
        self._remotefsclient.set_root_helper(helper)

    def _hide_secrets(self, text: str) -> str:
        """Return the text of a trace without the password a share may carry."""
        return vzstorage_share.hide_passwords(text) if self._is_vzstorage else text

    def get_search_path(self) -> str:
        """Return the directory of the mount points."""
        return self._remotefsclient.get_mount_base()

    def _get_volume_path(self, connection_properties: dict) -> str:
        """Mount the file system of a volume and return the path of its file."""
        share, name = connection_properties['export'], connection_properties['name']
        options = connection_properties.get('options')
        if not _stays_below(name):
            raise exception.InvalidParameterValue(
                err=_('name %r is no path of a file in a share') % (name,))
        if options and not isinstance(options, str):
            raise exception.InvalidParameterValue(
                err=_('options %r are no arguments of mount') % (options,))
        self._remotefsclient.mount(share, options.split() if options else [])
        return self._remotefsclient.get_mount_point(share) + '/' + name

    def get_volume_paths(self, connection_properties: dict) -> list[str]:
        """Return the path of a volume, mounting the file system that holds it."""
        return [self._get_volume_path(connection_properties)]

    @utils.trace
    def connect_volume(self, connection_properties: dict) -> dict[str, Any]:
        """Mount the file system of a volume.

        :param connection_properties: `export`, the share as mount takes it; `name`, the
            path of the volume in it; `options`, further arguments of mount
        :returns: `path`
        :raises KeyError: `export` or `name` is missing
        :raises InvalidParameterValue: a property makes no sense
        :raises BrickException: NFS could not be mounted
        :raises ProcessExecutionError: another file system could not be mounted
        """
        return {'path': self._get_volume_path(connection_properties)}

    @utils.trace
    def disconnect_volume(self, connection_properties: dict, device_info: Any,
                          force: bool = False, ignore_errors: bool = False) -> None:
        """Do nothing: other volumes use the file system."""

    def extend_volume(self, connection_properties: dict) -> Any:
        """Refuse: whoever writes the file of a volume extends it.

        :raises NotImplementedError: always
        """
        raise NotImplementedError


def _stays_below(name: Any) -> bool:
    """Tell whether a name leads to a file below the directory it is put behind."""
    return (isinstance(name, str) and bool(name) and '\0' not in name
            and not os.path.isabs(name) and '..' not in name.split('/'))
