# SPDX-License-Identifier: Apache-2.0
"""The VMDK connector: a volume of vCenter as a local file, for backups of Cinder.

A volume is the disk of a virtual machine that is never started, its backing.  An attach
downloads the disk; a detach uploads the file if it was changed, as a restore does.
"""

import contextlib
import importlib
import os
import stat
import tempfile
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Optional

from oslo_log import log as logging
from oslo_utils import fileutils

from os_brick import exception
from os_brick import utils
from os_brick.i18n import _
from os_brick.initiator import initiator_connector
from os_brick.initiator import vmdk_backing

LOG = logging.getLogger(__name__)

# oslo.vmware, loaded for the first connector: it is no dependency, and services that
# never back up from vCenter need not wait for it.
api: Any = None
datastore: Any = None
image_transfer: Any = None
oslo_vmw_exceptions: Any = None
rw_handles: Any = None
vim_util: Any = None

_LIBRARY = {
    'api': 'oslo_vmware.api',
    'datastore': 'oslo_vmware.objects.datastore',
    'image_transfer': 'oslo_vmware.image_transfer',
    'oslo_vmw_exceptions': 'oslo_vmware.exceptions',
    'rw_handles': 'oslo_vmware.rw_handles',
    'vim_util': 'oslo_vmware.vim_util',
}

_DOWNLOAD_NEEDS = ('volume_id', 'volume', 'vmdk_path', 'vmdk_size', 'config')
_UPLOAD_NEEDS = ('volume_id', 'volume', 'vmdk_path', 'datastore', 'datacenter', 'config')
#: Where each key of the configuration of Cinder's driver is kept.
_CONFIG = {
    'vmware_host_ip': '_ip',
    'vmware_host_port': '_port',
    'vmware_host_username': '_username',
    'vmware_host_password': '_password',
    'vmware_api_retry_count': '_api_retry_count',
    'vmware_task_poll_interval': '_task_poll_interval',
    'vmware_ca_file': '_ca_file',
    'vmware_insecure': '_insecure',
    'vmware_tmp_dir': '_tmp_dir',
    'vmware_image_transfer_timeout_secs': '_timeout',
}


def _load_library() -> None:
    try:
        loaded = {name: importlib.import_module(module) for name, module in _LIBRARY.items()
                  if globals()[name] is None}
    except ImportError as exc:
        raise exception.BrickException(message=_(
            'Missing oslo_vmware python module, ensure oslo.vmware library is installed '
            'and available.')) from exc
    globals().update(loaded)


def _invalid(text: str) -> exception.InvalidParameterValue:
    return exception.InvalidParameterValue(err=text)


def _check_mapping(name: str, value: Any, keys: Collection[str]) -> None:
    """Make sure that all keys are there; their values may be secrets and are not shown."""
    if not isinstance(value, Mapping):
        raise _invalid(f'{name} must be a dictionary, not {type(value).__name__}')
    missing = [key for key in keys if key not in value]
    if missing:
        raise _invalid(f'{name} needs {", ".join(missing)}')


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.remove(path)


@contextlib.contextmanager
def _logged(what: str) -> Iterator[None]:
    """Let a step of cleaning up fail without hiding how the work itself went."""
    try:
        yield
    except Exception as exc:
        LOG.warning('%(what)s failed: %(error)s', {'what': what, 'error': exc})


def _age(path: str) -> float:
    """Give a file a time of modification that any later change differs from.

    A change within the same tick of the clock would not, and the fraction of a second
    may not survive where the caller stores it.
    """
    past = int(os.path.getmtime(path)) - 1
    os.utime(path, (past, past))
    return os.path.getmtime(path)


class VmdkConnector(initiator_connector.InitiatorConnector):
    """Downloads and uploads volumes of the VMDK driver, for backup and restore."""

    #: The folder of a datastore in which uploads wait to become the volume.
    TMP_IMAGES_DATASTORE_FOLDER_PATH = "cinder_temp"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take the choices all connectors share.

        :raises BrickException: oslo.vmware is not installed
        """
        _load_library()
        super().__init__(*args, **kwargs)
        self._ip: Any = None
        self._port: Any = None
        self._username: Any = None
        self._password: Any = None
        self._api_retry_count: Any = None
        self._task_poll_interval: Any = None
        self._ca_file: Any = None
        self._insecure: Any = None
        self._tmp_dir: Any = None
        self._timeout: Any = None

    @staticmethod
    def get_connector_properties(root_helper: Optional[str], *args: Any,
                                 **kwargs: Any) -> dict[str, Any]:
        """Return nothing: vCenter need not know the host."""
        return {}

    def check_valid_device(self, path: Any, *args: Any, **kwargs: Any) -> bool:
        """Tell whether the downloaded file can be read and has content."""
        try:
            with open(path, 'rb') as stream:
                return bool(stream.read(1))
        except (OSError, TypeError, ValueError) as exc:
            LOG.error('Failed to access the device on the path %(path)s: %(error)s',
                      {'path': path, 'error': exc})
            return False

    def get_volume_paths(self, connection_properties: dict) -> list[str]:
        """Return nothing: a volume has no path before it is downloaded."""
        return []

    def get_search_path(self) -> None:
        """Return None: no directory holds the volumes."""
        return None

    def get_all_available_volumes(self, connection_properties: Optional[dict] = None) -> None:
        """Return None: no directory holds the volumes."""
        return None

    def _load_config(self, connection_properties: dict) -> None:
        config = connection_properties['config']
        _check_mapping('config', config, _CONFIG)
        for key, attribute in _CONFIG.items():
            setattr(self, attribute, config[key])

    def _create_session(self) -> Any:
        return api.VMwareAPISession(self._ip, self._username, self._password,
                                    self._api_retry_count, self._task_poll_interval,
                                    port=self._port, cacert=self._ca_file,
                                    insecure=self._insecure)

    @contextlib.contextmanager
    def _logged_in(self) -> Iterator[Any]:
        """Lend a session of vCenter, which allows an account only so many."""
        session = self._create_session()
        try:
            yield session
        finally:
            with _logged('Logging out of vCenter'):
                session.logout()

    def _create_temp_file(self, *args: Any, **kwargs: Any) -> str:
        fileutils.ensure_tree(self._tmp_dir)
        descriptor, path = tempfile.mkstemp(*args, dir=self._tmp_dir, **kwargs)
        os.close(descriptor)
        return path

    def _download_vmdk(self, tmp_file_path: str, session: Any, backing: Any, vmdk_path: str,
                       vmdk_size: int) -> None:
        with open(tmp_file_path, 'wb') as stream:
            image_transfer.copy_stream_optimized_disk(
                None, self._timeout, stream, session=session, host=self._ip,
                port=self._port, vm=backing, vmdk_file_path=vmdk_path, vmdk_size=vmdk_size)

    def connect_volume(self, connection_properties: dict) -> dict[str, Any]:
        """Download a volume.

        :param connection_properties: `volume_id`, `volume` (the backing), `vmdk_path`,
            `vmdk_size` and `config`, the options of Cinder's driver
        :returns: `path` of the file and its time as `last_modified`, both for
            `disconnect_volume`
        :raises InvalidParameterValue: a property is missing
        :raises Exception: those of oslo.vmware; no file and no session remain
        """
        _check_mapping('connection_properties', connection_properties, _DOWNLOAD_NEEDS)
        volume_id = connection_properties['volume_id']
        if not isinstance(volume_id, str) or not volume_id or '/' in volume_id:
            raise _invalid(f'volume_id must be a text without slashes, not {volume_id!r}')
        self._load_config(connection_properties)
        path = self._create_temp_file(suffix='.vmdk', prefix=volume_id)
        try:
            with self._logged_in() as session:
                backing = vim_util.get_moref(connection_properties['volume'], 'VirtualMachine')
                self._download_vmdk(path, session, backing,
                                    connection_properties['vmdk_path'],
                                    connection_properties['vmdk_size'])
            return {'path': path, 'last_modified': _age(path)}
        except BaseException:
            with _logged(f'Removing {path}'):
                _remove(path)
            raise

    def disconnect_volume(self, connection_properties: dict, device_info: Any,
                          force: bool = False, ignore_errors: bool = False) -> None:
        """Upload the file of a volume if it was changed, and remove it.

        :param connection_properties: as for `connect_volume`, and `datastore` and
            `datacenter`; looked at only when the file was changed
        :param device_info: what `connect_volume` returned
        :param force: has no effect
        :param ignore_errors: do not mind that the file is gone; changes that cannot be
            uploaded are an error in any case
        :raises InvalidParameterValue: something is missing; nothing was touched
        :raises NotFound: there is no such file
        :raises BrickException: the backing has snapshots or no such disk
        :raises Exception: those of oslo.vmware
        """
        if not isinstance(device_info, Mapping):
            raise _invalid('device_info must be what connect_volume returned, '
                           f'not {device_info!r}')
        path = utils.get_dev_path(connection_properties or {}, device_info)
        if not path or not isinstance(path, str):
            raise _invalid(f'device_info needs path, not {path!r}')
        if not os.path.lexists(path):
            text = _('Vmdk: %s not found.') % path
            if not ignore_errors:
                raise exception.NotFound(message=text)
            LOG.warning(text)
            return
        changed = self._is_changed(path, device_info)
        if changed:
            _check_mapping('connection_properties', connection_properties, _UPLOAD_NEEDS)
            self._load_config(connection_properties)
        try:
            if changed:
                with self._logged_in() as session:
                    self._replace_volume(session, path, connection_properties)
        except BaseException:
            with _logged(f'Removing {path}'):
                _remove(path)
            raise
        _remove(path)

    @staticmethod
    def _is_changed(path: str, device_info: Mapping) -> bool:
        """Tell whether a file was changed since its download; it is removed in the end."""
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode):
            raise _invalid(f'device_info needs the path of a regular file, not {path!r}')
        last_modified = device_info.get('last_modified')
        if not isinstance(last_modified, (int, float)):
            raise _invalid(f'device_info needs last_modified as a number, not {last_modified!r}')
        # Not only later: the clock of the host may have been set back.
        return status.st_mtime != last_modified

    def _replace_volume(self, session: Any, path: str, properties: dict) -> None:
        """Make the content of a file the content of a volume.

        The file is in a compressed format.  vCenter turns it into the one of the volume by
        a copy between two places of the datastore, so it is uploaded beside the volume
        first.  The volume's disk leaves the backing meanwhile: vSphere would keep the
        size and the UUID of the old one.  With the disk its old content is gone.
        """
        backing = vmdk_backing.Backing(
            session, vim_util, vim_util.get_moref(properties['volume'], 'VirtualMachine'))
        vmdk_path = properties['vmdk_path']
        disk = self._disk_to_replace(backing, properties['volume_id'], vmdk_path)
        ds_ref = vim_util.get_moref(properties['datastore'], 'Datastore')
        dc_ref = vim_util.get_moref(properties['datacenter'], 'Datacenter')
        store = datastore.get_datastore_by_ref(session, ds_ref)
        upload = store.build_path(self.TMP_IMAGES_DATASTORE_FOLDER_PATH, os.path.basename(path))
        try:
            vmdk_backing.make_folder(session, str(upload.parent), dc_ref)
        except oslo_vmw_exceptions.FileAlreadyExistsException:
            LOG.debug('The folder %s is there', upload.parent)
        try:
            self._upload_file(session, path, dc_ref, store.name, upload.rel_path)
            backing.detach_disk(disk)
            vmdk_backing.copy_disk(session, str(upload), vmdk_path, dc_ref)
            backing.attach_disk(disk)
        except BaseException:
            self._save_upload(session, backing, vmdk_path, str(upload), dc_ref)
            raise
        with _logged(f'Deleting {upload}'):
            vmdk_backing.delete_file(session, str(upload), dc_ref)

    @staticmethod
    def _disk_to_replace(backing: vmdk_backing.Backing, volume_id: str, vmdk_path: str) -> Any:
        if backing.has_snapshots():
            raise exception.BrickException(message=_(
                'Backing of volume: %s contains one or more snapshots; cannot disconnect.')
                % volume_id)
        disk = backing.find_disk(vmdk_path)
        if disk is None:
            raise exception.BrickException(message=_(
                'Backing of volume: %(volume)s has no disk %(path)s; cannot disconnect.')
                % {'volume': volume_id, 'path': vmdk_path})
        return disk

    @staticmethod
    def _save_upload(session: Any, backing: vmdk_backing.Backing, vmdk_path: str, upload: str,
                     dc_ref: Any) -> None:
        """Delete what was uploaded, unless it may be all that is left of the volume."""
        disk = None
        with _logged(f'Looking for the disk {vmdk_path}'):
            disk = backing.find_disk(vmdk_path)
        if disk is not None:
            with _logged(f'Deleting {upload}'):
                vmdk_backing.delete_file(session, upload, dc_ref)
            return
        LOG.error('The volume %(path)s may have lost its disk; its new content may be in '
                  '%(upload)s', {'path': vmdk_path, 'upload': upload})

    def _upload_file(self, session: Any, path: str, dc_ref: Any, ds_name: str,
                     rel_path: str) -> None:
        dc_name = session.invoke_api(vim_util, 'get_object_property', session.vim, dc_ref,
                                     'name')
        with open(path, 'rb') as stream:
            self._upload_vmdk(stream, self._ip, self._port, dc_name, ds_name,
                              session.vim.client.cookiejar, rel_path, os.path.getsize(path),
                              self._ca_file or not self._insecure, self._timeout)

    def _upload_vmdk(self, read_handle: Any, host: Any, port: Any, dc_name: str, ds_name: str,
                     cookies: Any, upload_file_path: str, file_size: int, cacerts: Any,
                     timeout_secs: Any) -> None:
        write_handle = rw_handles.FileWriteHandle(host, port, dc_name, ds_name, cookies,
                                                  upload_file_path, file_size,
                                                  cacerts=cacerts)
        answers = vmdk_backing.remember_answers(write_handle)
        image_transfer._start_transfer(read_handle, write_handle, timeout_secs)
        if answers is not None and not any(200 <= status < 300 for status in answers):
            raise exception.BrickException(message=_(
                'vCenter did not take %(path)s; HTTP status %(status)s')
                % {'path': upload_file_path, 'status': answers[0] if answers else None})

    def extend_volume(self, connection_properties: dict) -> None:
        """Volumes are not extended while they are files.

        :raises NotImplementedError: always
        """
        raise NotImplementedError
