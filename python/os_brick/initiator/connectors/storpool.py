# SPDX-License-Identifier: Apache-2.0
"""The connector for StorPool, whose client in the kernel makes a block device of a volume.

A volume is attached by its name and from then on known by its global id: a migration can
give the name to another volume while this one is in use.
"""

import os
import pathlib
import time
from typing import Any, Optional

from oslo_log import log as logging

from os_brick import exception
from os_brick import utils
from os_brick.initiator import storpool_utils
from os_brick.initiator.connectors import base

LOG = logging.getLogger(__name__)

DEV_STORPOOL = pathlib.Path('/dev/storpool')
DEV_STORPOOL_BYID = pathlib.Path('/dev/storpool-byid')

#: How often to ask for a detach before it is forced, and the seconds between.  An encryptor
#: may have closed the device only now.
_BUSY_ATTEMPTS = 10
_BUSY_INTERVAL = 0.2

#: How often to look at the device until it is there or has its size, and the seconds between.
_DEVICE_ATTEMPTS = 10
_DEVICE_INTERVAL = 0.1


def path_to_volname(path: pathlib.Path) -> str:
    """Return what StorPool's API calls the volume of a device path.

    :raises BrickException: this is no path of a StorPool volume
    """
    if path.parent == DEV_STORPOOL_BYID:
        return f'~{path.name}'
    if path.parent == DEV_STORPOOL:
        return path.name
    raise exception.BrickException(f'Unexpected device path {path}')


def _is_busy(exc: storpool_utils.StorPoolAPIError) -> bool:
    return exc.name in ('busy', 'invalidParam') and 'is open at' in str(exc.desc)


class StorPoolConnector(base.BaseLinuxConnector):
    """Attaches and detaches StorPool volumes."""

    def __init__(self, root_helper: Optional[str], driver: Any = None,
                 *args: Any, **kwargs: Any) -> None:
        """Read StorPool's configuration of this host.

        :raises BrickException: there is none, or something is missing in it
        """
        super().__init__(root_helper, driver=driver, **kwargs)
        try:
            self._config = storpool_utils.get_conf()
            self._sp_api = storpool_utils.StorPoolAPI(self._config['SP_API_HTTP_HOST'],
                                                      self._config['SP_API_HTTP_PORT'],
                                                      self._config['SP_AUTH_TOKEN'])
        except Exception as exc:
            reason = f'there is no {exc.args[0]}' if isinstance(exc, KeyError) else exc
            raise exception.BrickException(
                f'Could not initialize the StorPool API: {reason}') from exc
        self._volume_prefix = self._config.get('SP_OPENSTACK_VOLUME_PREFIX', 'os')
        if not self._config.get('SP_OURID'):
            raise exception.BrickException(
                'Could not read "SP_OURID" from the StorPool configuration')

    @staticmethod
    def get_connector_properties(root_helper: Optional[str], *args: Any,
                                 **kwargs: Any) -> dict[str, Any]:
        """Return nothing: StorPool finds a host by its name."""
        return {}

    @utils.connect_volume_prepare_result
    def connect_volume(self, connection_properties: dict) -> dict[str, str]:
        """Attach a volume to this host.

        :param connection_properties: `client_id`, `volume` and `access_mode`, which is
            'rw' or 'ro'
        :returns: `type` ('block') and `path`, below /dev/storpool-byid
        :raises BrickException: the properties make no sense, or StorPool refused
        """
        self._check_client(connection_properties)
        volume = self._volume_name(connection_properties)
        mode = connection_properties.get('access_mode')
        if mode not in ('rw', 'ro'):
            raise exception.BrickException(
                f'Invalid access_mode specified in the connection data: {mode!r}')
        client = self._config['SP_OURID']
        self._ask(self._sp_api.volumes_reassign_wait,
                  {'reassign': [{'volume': volume, mode: [client]}]})
        try:
            info = self._ask(self._sp_api.volume_get_info, volume)
            global_id = self._global_id(volume, info)
        except Exception:
            self._undo_attach(volume)
            raise
        path = DEV_STORPOOL_BYID / global_id
        self._wait_for_device(path)
        return {'type': 'block', 'path': str(path)}

    @utils.connect_volume_undo_prepare_result(unlink_after=True)
    def disconnect_volume(self, connection_properties: dict, device_info: Any,
                          force: bool = False, ignore_errors: bool = False) -> None:
        """Detach a volume from this host; it need not exist any more.

        A device that stays open is pulled away after two seconds, whatever `force` says.

        :param connection_properties: `client_id` and `device_path`
        :param device_info: what `connect_volume` returned, if there is no `device_path`
        :param force: has an effect with ignore_errors only
        :param ignore_errors: under force, log an error instead of raising it
        :raises BrickException: the properties make no sense, or StorPool refused
        """
        self._check_client(connection_properties)
        path = connection_properties.get('device_path')
        if path is None and device_info:
            path = device_info.get('path')
        if path is None:
            raise exception.BrickException(
                'Invalid StorPool connection data, no device_path specified.')
        volume = path_to_volname(pathlib.Path(path))
        try:
            self._ask(self._detach_retry, self._config['SP_OURID'], volume)
        except exception.BrickException as exc:
            if not (force and ignore_errors):
                raise
            LOG.warning('StorPool volume %(volume)s may still be attached: %(error)s',
                        {'volume': volume, 'error': exc})

    def get_search_path(self) -> str:
        """Return the directory that names volumes by their name."""
        return str(DEV_STORPOOL)

    def get_volume_paths(self, connection_properties: dict) -> list[str]:
        """Return the path of an attached volume.

        :param connection_properties: `volume`, and the `device_path` of its attach if known
        :raises BrickException: the device path is that of another volume
        """
        path = str(DEV_STORPOOL / self._volume_name(connection_properties))
        device_path = connection_properties.get('device_path')
        if device_path is None or device_path == path:
            return [path]
        if pathlib.Path(device_path).parent == DEV_STORPOOL_BYID:
            # The name may be another volume's by now, the id never.
            return [device_path]
        raise exception.BrickException(
            f'Internal error: StorPool volume path {path} does not match '
            f'device path {device_path}')

    def get_all_available_volumes(self, connection_properties: Optional[dict] = None) -> list[str]:
        """Return the OpenStack ids of the volumes that have a device on this host."""
        prefix = storpool_utils.os_to_sp_volume_name(self._volume_prefix, '')
        try:
            names = os.listdir(DEV_STORPOOL)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return [name[len(prefix):] for name in names if name.startswith(prefix)
                and (DEV_STORPOOL / name).is_symlink() and not (DEV_STORPOOL / name).is_dir()]

    @utils.connect_volume_undo_prepare_result
    def extend_volume(self, connection_properties: dict) -> Optional[int]:
        """Wait until the device of an extended volume has its new size.

        StorPool's client resizes it by itself.

        :param connection_properties: `volume`, and the `device_path` of its attach if known
        :returns: the size in bytes the device has by then
        :raises BrickException: StorPool does not know the volume
        """
        path, = self.get_volume_paths(connection_properties)
        volume = path_to_volname(pathlib.Path(path))
        wanted = self._ask(self._sp_api.volume, volume)[0]['size']
        size = utils.get_device_size(self, path)
        for _attempt in range(_DEVICE_ATTEMPTS):
            if size == wanted:
                break
            LOG.debug('%(path)s has %(size)s bytes and will have %(wanted)s',
                      {'path': path, 'size': size, 'wanted': wanted})
            time.sleep(_DEVICE_INTERVAL)
            size = utils.get_device_size(self, path)
        return size

    @staticmethod
    def _check_client(properties: dict) -> None:
        if properties.get('client_id') is None:
            raise exception.BrickException(
                'Invalid StorPool connection data, no client ID specified.')

    def _volume_name(self, properties: dict) -> str:
        volume_id = properties.get('volume')
        if volume_id is None:
            raise exception.BrickException(
                'Invalid StorPool connection data, no volume ID specified.')
        text = str(volume_id)
        # It becomes part of a URL and of a path.
        if not text.isascii() or not text.isprintable() or not text or set(text) & set(' /?#%'):
            raise exception.BrickException(
                f'Invalid StorPool connection data, {volume_id!r} is no volume ID.')
        return storpool_utils.os_to_sp_volume_name(self._volume_prefix, text)

    @staticmethod
    def _global_id(volume: str, info: Any) -> str:
        found = info.get('globalId') if isinstance(info, dict) else None
        if not isinstance(found, str) or not found or '/' in found or found.startswith('.'):
            raise exception.BrickException(
                f'Communication with the StorPool API failed: the volume {volume} has no '
                f'globalId but {found!r}')
        return found

    @staticmethod
    def _ask(call: Any, *args: Any) -> Any:
        try:
            return call(*args)
        except Exception as exc:
            raise exception.BrickException(
                f'Communication with the StorPool API failed: {exc}') from exc

    def _detach_retry(self, sp_ourid: str, volume: str) -> None:
        """Detach a volume, waiting until its device is closed, but not for long."""
        for attempt in range(_BUSY_ATTEMPTS + 1):
            last = attempt == _BUSY_ATTEMPTS
            try:
                self._detach(sp_ourid, volume, force=last)
                return
            except storpool_utils.StorPoolAPIError as exc:
                if exc.name == 'objectDoesNotExist':
                    LOG.warning('StorPool volume %s does not exist, so it is not attached',
                                volume)
                    return
                if last or not _is_busy(exc):
                    raise
            time.sleep(_BUSY_INTERVAL)

    def _detach(self, sp_ourid: str, volume: str, force: bool) -> None:
        self._sp_api.volumes_reassign_wait(
            {'reassign': [{'volume': volume, 'detach': [sp_ourid], 'force': force}]})

    def _undo_attach(self, volume: str) -> None:
        """Detach what was attached just now, unless it was attached before and is open."""
        try:
            self._detach(self._config['SP_OURID'], volume, force=False)
        except Exception as exc:
            LOG.error('StorPool volume %(volume)s remains attached to this host: %(error)s',
                      {'volume': volume, 'error': exc})

    @staticmethod
    def _wait_for_device(path: pathlib.Path) -> None:
        """Wait for the link udev makes; a service in a container may never see it."""
        for _attempt in range(_DEVICE_ATTEMPTS):
            if path.exists():
                return
            time.sleep(_DEVICE_INTERVAL)
        LOG.warning('StorPool has attached a volume whose device %s does not show up', path)
