# SPDX-License-Identifier: Apache-2.0
"""The connector of RBD: an image as a file of librbd's, or as a block device of the kernel's."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any, Optional

from oslo_concurrency import lockutils
from oslo_concurrency import processutils as putils
from oslo_log import log as logging
from oslo_utils import fileutils

from os_brick import ceph
from os_brick import exception
from os_brick import initiator
from os_brick import utils
from os_brick.i18n import _
from os_brick.initiator import linuxrbd
from os_brick.initiator.connectors import base
from os_brick.initiator.connectors import base_rbd
from os_brick.privileged import rbd as rbd_privsep

LOG = logging.getLogger(__name__)

_SYS_RBD = '/sys/devices/rbd'
#: Bytes that prove a volume readable.
_SOME = 4096


class RBDConnector(base_rbd.RBDConnectorMixin, base.BaseLinuxConnector):
    """Opens images with librbd, or maps them to block devices when `do_local_attach` says so."""

    def __init__(self, root_helper: Optional[str], driver: Any = None,
                 use_multipath: bool = False,
                 device_scan_attempts: int = initiator.DEVICE_SCAN_ATTEMPTS_DEFAULT,
                 *args: Any, **kwargs: Any) -> None:
        """Keep the choices of the caller.

        :param kwargs: `do_local_attach`, for volumes whose properties do not say it
        """
        super().__init__(root_helper, *args, driver=driver,
                         device_scan_attempts=device_scan_attempts, **kwargs)
        self.do_local_attach = kwargs.get('do_local_attach', False)

    @staticmethod
    def get_connector_properties(root_helper: Optional[str], *args: Any,
                                 **kwargs: Any) -> dict[str, Any]:
        """Return the caller's wish for block devices."""
        return {'do_local_attach': kwargs.get('do_local_attach', False)}

    def get_volume_paths(self, connection_properties: dict[str, Any]) -> list[str]:
        """Return nothing: files of librbd's have no paths."""
        return []

    def get_search_path(self) -> None:
        """Return None: there is no directory of volumes."""
        return None

    def get_all_available_volumes(
            self, connection_properties: Optional[dict[str, Any]] = None) -> list[str]:
        """Return nothing, see `get_search_path`."""
        return []

    @staticmethod
    def get_rbd_device_name(pool: str, volume: str) -> str:
        """Return the link that udev makes for an image the kernel has mapped."""
        return f'/dev/rbd/{pool}/{volume}'

    # Configuration files.

    @staticmethod
    def _check_or_get_keyring_contents(keyring: Optional[str], cluster_name: str,
                                       user: Optional[str]) -> str:
        return ceph.keyring_contents(keyring, cluster_name, user)

    @classmethod
    def _create_ceph_conf(cls, monitor_ips: list[str], monitor_ports: list[str],
                          cluster_name: str, user: Optional[str],
                          keyring: Optional[str]) -> str:
        """Write a temporary configuration file for this user and return its path."""
        keyring = cls._check_or_get_keyring_contents(keyring, cluster_name, user)
        return ceph.create_conf(monitor_ips, monitor_ports, cluster_name, user, keyring)

    @classmethod
    def create_non_openstack_config(cls, connection_properties: dict[str, Any]) -> Optional[str]:
        """Write a temporary configuration file for root, if the properties hold the key.

        OpenStack's do not: there the host has the keyring.

        :returns: its path, or None
        :raises BrickException: the properties make no sense
        """
        if not connection_properties.get('keyring'):
            return None
        given = _required(connection_properties)
        return rbd_privsep.root_create_ceph_conf(
            given['hosts'], given['ports'], given['cluster_name'], given['auth_username'],
            connection_properties['keyring'], str(given['name']))

    @contextlib.contextmanager
    def _conf_of(self, connection_properties: dict[str, Any],
                 device_info: Any) -> Iterator[Optional[str]]:
        """Give the file of the attach, or one for the moment if it is lost or unknown."""
        conf = device_info.get('conf') if isinstance(device_info, Mapping) else None
        # A service that restarts may find its private /tmp empty.
        if ceph.is_conf(conf) and os.path.exists(conf):
            yield conf
            return
        temporary = self.create_non_openstack_config(connection_properties)
        try:
            yield temporary
        finally:
            _forget(rbd_privsep.delete_if_exists, temporary)

    # Images as files.

    def _get_rbd_handle(self, connection_properties: dict[str, Any],
                        read_only: bool = False) -> linuxrbd.RBDVolumeIOWrapper:
        """Open an image; its configuration file stays until the detach.

        :raises BrickException: the properties make no sense, or there is no connection
        :raises rbd.Error: the image cannot be opened
        """
        given = _required(connection_properties)
        name, user, cluster = given['name'], given['auth_username'], given['cluster_name']
        conf = self._create_ceph_conf(given['hosts'], given['ports'], cluster, user,
                                      connection_properties.get('keyring'))
        try:
            client = linuxrbd.RBDClient(user, name.pool, conffile=conf,
                                        rbd_cluster_name=cluster)
            if name.namespace:
                try:
                    client.ioctx.set_namespace(name.namespace)
                except BaseException:
                    client.disconnect()
                    raise
            snapshot = {'snapshot': name.snapshot} if name.snapshot else {}
            volume = linuxrbd.RBDVolume(client, name.image, **snapshot,
                                        read_only=read_only or bool(snapshot))
            return linuxrbd.RBDVolumeIOWrapper(
                linuxrbd.RBDImageMetadata(volume, name.pool, user, conf))
        except BaseException:
            _forget(fileutils.delete_if_exists, conf)
            raise

    @staticmethod
    def _close_handle(handle: Any) -> None:
        try:
            handle.close()
        finally:
            _forget(fileutils.delete_if_exists, getattr(handle, 'rbd_conf', None))

    # Images as block devices.

    # Each of the three commands runs in the privileged process, or by the caller's `execute`.

    def _find_root_device(self, connection_properties: dict[str, Any],
                          conf: Optional[str]) -> Optional[str]:
        """Find the kernel's device of an image; a link may lead to what is on top of it.

        :returns: /dev/rbdN, or None if the image is not mapped
        """
        name = ceph.Volume.parse(connection_properties.get('name'))
        execute = self._injected_execute()
        if execute is None:
            listing = rbd_privsep.list_mapped(*_access(connection_properties), conf)
        else:
            access = self._get_rbd_args(connection_properties, conf)
            listing, _err = execute(*ceph.list_command(access), run_as_root=True)
        return ceph.find_device(listing, name)

    def _map(self, connection_properties: dict[str, Any], conf: Optional[str],
             name: ceph.Volume) -> None:
        execute = self._injected_execute()
        if execute is None:
            rbd_privsep.map_volume(str(name), *_access(connection_properties), conf)
        else:
            access = self._get_rbd_args(connection_properties, conf)
            execute(*ceph.map_command(name, access), run_as_root=True)

    def _unmap(self, connection_properties: dict[str, Any], conf: Optional[str], device: str,
               force: bool) -> None:
        execute = self._injected_execute()
        if execute is None:
            rbd_privsep.unmap_device(device, *_access(connection_properties), conf, force)
        else:
            access = self._get_rbd_args(connection_properties, conf)
            execute(*ceph.unmap_command(device, access, force), run_as_root=True)

    def _require_program(self) -> None:
        try:
            self._execute('which', 'rbd')
        except putils.ProcessExecutionError:
            message = _('ceph-common package is not installed.')
            LOG.error(message)
            raise exception.BrickException(message=message)

    def _local_attach_volume(self, connection_properties: dict[str, Any]) -> dict[str, Any]:
        name = ceph.Volume.parse(connection_properties.get('name'))
        self._get_rbd_args(connection_properties)
        self._require_program()
        path = self.get_rbd_device_name(name.folder, name.leaf)
        conf = self.create_non_openstack_config(connection_properties)
        try:
            with _lock(name):
                device = self._find_root_device(connection_properties, conf)
                if device:
                    LOG.debug('Volume %(name)s is mapped to %(device)s already',
                              {'name': name, 'device': device})
                else:
                    self._map(connection_properties, conf, name)
        except BaseException:
            _forget(rbd_privsep.delete_if_exists, conf)
            raise
        if not os.path.exists(path):
            LOG.warning('Volume %(name)s is mapped, but there is no %(path)s: is udev running, '
                        'with the rules of ceph-common?', {'name': name, 'path': path})
        return {'path': path, 'type': 'block', **({'conf': conf} if conf else {})}

    def _local_detach_volume(self, connection_properties: dict[str, Any], device_info: Any,
                             force: bool) -> None:
        name = ceph.Volume.parse(connection_properties.get('name'))
        with self._conf_of(connection_properties, device_info) as conf, _lock(name):
            device = self._find_root_device(connection_properties, conf)
            if device:
                self._unmap_in_two_steps(connection_properties, conf, device, force)
            else:
                LOG.debug('Volume %s is not mapped', name)
        conf = device_info.get('conf') if isinstance(device_info, Mapping) else None
        if conf or connection_properties.get('keyring'):
            _forget(rbd_privsep.delete_if_exists, conf)
            _forget(rbd_privsep.delete_confs_of, str(name))

    def _unmap_in_two_steps(self, connection_properties: dict[str, Any], conf: Optional[str],
                            device: str, force: bool) -> None:
        """Unmap as usual, which loses no data; by force only if that fails."""
        try:
            self._unmap(connection_properties, conf, device, False)
        except putils.ProcessExecutionError as exc:
            if not force:
                raise
            LOG.warning('Unmapping %(device)s failed, now by force: %(error)s',
                        {'device': device, 'error': exc})
            self._unmap(connection_properties, conf, device, True)

    # What callers use.

    def _is_local(self, connection_properties: dict[str, Any]) -> bool:
        return connection_properties.get('do_local_attach', self.do_local_attach)

    @utils.trace
    @utils.connect_volume_prepare_result
    def connect_volume(self, connection_properties: dict[str, Any]) -> dict[str, Any]:
        """Open an image, or map it to a block device.

        :param connection_properties: `name` ('pool/image'), `hosts`, `ports`,
            `cluster_name`, `auth_username`; `keyring` outside OpenStack; `do_local_attach`
        :returns: `path`, the open file; or `path` of the device, `type` ('block') and, if
            there was a keyring, `conf`, a file that the detach removes
        :raises BrickException: the properties make no sense, there is no connection, or
            no `rbd`
        :raises ProcessExecutionError: `rbd` failed
        """
        if self._is_local(connection_properties):
            return self._local_attach_volume(connection_properties)
        return {'path': self._get_rbd_handle(connection_properties)}

    @utils.trace
    @utils.connect_volume_undo_prepare_result(unlink_after=True)
    def disconnect_volume(self, connection_properties: dict[str, Any], device_info: Any,
                          force: bool = False, ignore_errors: bool = False) -> None:
        """Close an image, or unmap its device; it need not be attached any more.

        :param device_info: what `connect_volume` returned; may be None
        :param force: unmap a device that is open, and go on after errors
        :param ignore_errors: under force, log the errors instead of raising them
        :raises ExceptionChainer: under force, all errors once everything was tried
        :raises ProcessExecutionError: without force, the device is in use
        """
        handle = device_info.get('path') if isinstance(device_info, Mapping) else None
        chain = exception.ExceptionChainer()
        with chain.context(force, 'Detaching rbd volume %s failed',
                           connection_properties.get('name')):
            # A path was attached as a device, whatever is configured by now.
            is_path = isinstance(handle, str) and os.path.isabs(handle)
            if self._is_local(connection_properties) or is_path:
                self._local_detach_volume(connection_properties, device_info, force)
            elif hasattr(handle, 'close'):
                self._close_handle(handle)
        if chain and not ignore_errors:
            raise chain

    @utils.trace
    @utils.connect_volume_undo_prepare_result
    def extend_volume(self, connection_properties: dict[str, Any]) -> int:
        """Return the size in bytes that the image has now; the host sees it by itself.

        :raises BrickException: it should be a block device and is not mapped
        """
        if not self._is_local(connection_properties):
            handle = self._get_rbd_handle(connection_properties, read_only=True)
            try:
                handle.seek(0, os.SEEK_END)
                return handle.tell()
            finally:
                self._close_handle(handle)
        with self._conf_of(connection_properties, None) as conf:
            device = self._find_root_device(connection_properties, conf)
        if not device:
            raise exception.BrickException(message=_('Cannot extend non mapped device.'))
        # The size in /sys/class/block is not always that of the image.
        path = os.path.join(_SYS_RBD, device.removeprefix('/dev/rbd'), 'size')
        try:
            with open(path) as stream:
                return int(stream.read())
        except (OSError, ValueError) as exc:
            raise exception.BrickException(
                message=_('Cannot read the size of %(device)s from %(path)s')
                % {'device': device, 'path': path}) from exc

    @staticmethod
    def _check_valid_device(rbd_handle: Any) -> bool:
        """Tell whether a handle can be read where it stands; it stays there."""
        try:
            offset = rbd_handle.tell()
            try:
                rbd_handle.read(_SOME)
            finally:
                rbd_handle.seek(offset, os.SEEK_SET)
        except Exception as exc:
            LOG.error('Failed to access RBD device handle: %(error)s', {'error': exc})
            return False
        return True

    def check_valid_device(self, path: Any, run_as_root: bool = True) -> bool:
        """Tell whether a volume can be read.

        :param path: a file `connect_volume` has opened, or the path of a device
        :param run_as_root: read the path as root; has no effect on files
        """
        path = utils.convert_str(path)
        if not path:
            return False
        if not isinstance(path, str):
            return self._check_valid_device(path)
        if run_as_root:
            return rbd_privsep.check_valid_path(path)
        try:
            with open(path, 'rb') as stream:
                return self._check_valid_device(stream)
        except OSError as exc:
            LOG.error('Failed to open %(path)s: %(error)s', {'path': path, 'error': exc})
            return False


def _required(connection_properties: dict[str, Any]) -> dict[str, Any]:
    """Return the properties without which there is no connection, checked.

    :raises BrickException: naming the one that is missing or wrong
    """
    given = {}
    for key in ('name', 'hosts', 'ports', 'cluster_name', 'auth_username'):
        try:
            given[key] = connection_properties[key]
        except KeyError:
            raise ceph.malformed(f'{key} is missing') from None
    ceph.monitors(given['hosts'], given['ports'])
    given['name'] = ceph.Volume.parse(given['name'])
    given['cluster_name'] = ceph.cluster(given['cluster_name'])
    given['auth_username'] = ceph.user_name(given['auth_username']) or None
    return given


def _access(connection_properties: dict[str, Any]) -> tuple[Any, Any, Any]:
    """Return who asks whom, as the privileged verbs take it."""
    user, hosts, ports = (connection_properties.get(key)
                          for key in ('auth_username', 'hosts', 'ports'))
    return user, hosts, ports


def _lock(name: ceph.Volume) -> contextlib.AbstractContextManager:
    """Exclude the other threads that attach or detach the same image."""
    return lockutils.lock(f'os-brick-rbd-{name}', do_log=False)


def _forget(remove: Any, what: Optional[str]) -> None:
    """Remove a configuration file; that it stays is not what the caller waits to hear."""
    if not what:
        return
    try:
        remove(what)
    except Exception as exc:
        LOG.warning('Could not remove config file %(filename)s: %(exc)s',
                    {'filename': what, 'exc': exc})
