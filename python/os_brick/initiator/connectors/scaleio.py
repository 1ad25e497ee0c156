# SPDX-License-Identifier: Apache-2.0
"""The connector for PowerFlex, which was called ScaleIO and VxFlex OS.

The storage client in the kernel (SDC) makes a block device of every volume that is mapped
to this host.  Today Cinder maps and unmaps; for attachments made before it did, this
connector does, through the gateway.
"""

import os
from typing import Any, Callable, Optional

from oslo_log import log as logging

from os_brick import exception
from os_brick import initiator
from os_brick import utils
from os_brick.i18n import _
from os_brick.initiator.connectors import base
from os_brick.initiator.connectors import scaleio_gateway
from os_brick.privileged import scaleio as priv_scaleio

LOG = logging.getLogger(__name__)

DEVICE_SCAN_ATTEMPTS_DEFAULT = 3
CONNECTOR_CONF_PATH = '/opt/emc/scaleio/openstack/connector.conf'

#: How often a device that has to appear or to go is looked for, with a second between.
_DEVICE_ATTEMPTS = 15

#: What tells one login from another.
_ACCOUNT = ('serverIP', 'serverPort', 'serverUsername', 'config_group', 'failed_over')


def io(_type: str, nr: int) -> int:
    """Return the number of an ioctl without argument, as _IO of <sys/ioctl.h> does."""
    return ioc(0x0, _type, nr, 0)


def ioc(direction: int, _type: str, nr: int, size: int) -> int:
    """Return the number of an ioctl, as _IOC of <sys/ioctl.h> does."""
    return direction | (size & 0x1fff) << 16 | ord(_type) << 8 | nr


class ScaleIOConnector(base.BaseLinuxConnector):
    """Attaches and detaches PowerFlex volumes.

    The attributes that are not constants tell the volume of the last call.  Nothing reads
    them here: one object serves many volumes at once.
    """

    OK_STATUS_CODE = 200
    # Error codes of the gateway up to release 3.x, and from 4.x on.
    VOLUME_NOT_MAPPED_ERROR = 84
    VOLUME_NOT_MAPPED_ERROR_v4 = 4039
    VOLUME_ALREADY_MAPPED_ERROR = 81
    VOLUME_ALREADY_MAPPED_ERROR_v4 = 4037
    GET_GUID_OP_CODE = io('a', 14)
    RESCAN_VOLS_OP_CODE = io('a', 10)

    def __init__(self, root_helper: Optional[str], driver: Any = None,
                 device_scan_attempts: int = initiator.DEVICE_SCAN_ATTEMPTS_DEFAULT,
                 *args: Any, **kwargs: Any) -> None:
        """Keep the choices of the caller; the host is not touched."""
        super().__init__(root_helper, driver=driver,
                         device_scan_attempts=device_scan_attempts, **kwargs)
        self.local_sdc_ip: Optional[str] = None
        self.server_ip: Optional[str] = None
        self.server_port: Any = None
        self.server_username: Optional[str] = None
        # Secrets are not kept where a dump of the object would show them.
        self.server_password = None
        self.server_token = None
        self.volume_id: Optional[str] = None
        self.volume_name: Optional[str] = None
        self.volume_path: Optional[str] = None
        self.iops_limit: Any = None
        self.bandwidth_limit: Any = None
        self.verify_certificate: Any = None
        self.certificate_path: Optional[str] = None
        self._sessions: dict[tuple, scaleio_gateway.Session] = {}

    @staticmethod
    def get_connector_properties(root_helper: Optional[str], *args: Any,
                                 **kwargs: Any) -> dict[str, str]:
        """Return the GUID of the SDC as `sdc_guid`, or nothing on a host without one."""
        try:
            return {'sdc_guid': priv_scaleio.get_guid(ScaleIOConnector.GET_GUID_OP_CODE)}
        except Exception as exc:
            # Most hosts have no PowerFlex, and what they have must not suffer from it.
            LOG.debug('No SDC: %s', exc)
            return {}

    def get_search_path(self) -> str:
        """Return the directory that names volumes by their id."""
        return '/dev/disk/by-id'

    def get_volume_paths(self, connection_properties: dict) -> list[str]:
        """Return the path of a volume if its device is there; the gateway may be asked."""
        self.get_config(connection_properties)
        path = self._find_volume_path(self._volume_id(connection_properties))
        return [path] if path else []

    def get_config(self, connection_properties: dict) -> dict[str, Any]:
        """Set the attributes of this object from the properties of a volume.

        :returns: the device information, with the path of the last attach
        :raises InvalidParameterValue: they name no volume
        """
        take = connection_properties.get
        for name in ('scaleIO_volume_id', 'scaleIO_volname'):
            if take(name) is not None and not isinstance(take(name), str):
                raise exception.InvalidParameterValue(
                    f'the connection property {name} must be a text, and is {take(name)!r}')
        if not (take('scaleIO_volume_id') or take('scaleIO_volname')):
            raise exception.InvalidParameterValue(
                'the connection properties have neither scaleIO_volume_id nor scaleIO_volname')
        self.volume_name = take('scaleIO_volname')
        self.volume_id = take('scaleIO_volume_id')
        self.local_sdc_ip = take('hostIP')
        self.server_ip = take('serverIP')
        self.server_port = take('serverPort')
        self.server_username = take('serverUsername')
        self.iops_limit = take('iopsLimit')
        self.bandwidth_limit = take('bandwidthLimit')
        self.verify_certificate = take('verify_certificate')
        self.certificate_path = take('certificate_path')
        return {'type': 'block', 'path': self.volume_path}

    @utils.trace
    @utils.connect_volume_prepare_result
    @base.synchronized('scaleio', 'scaleio-', external=True)
    def connect_volume(self, connection_properties: dict) -> dict[str, str]:
        """Attach a volume to this host.

        :param connection_properties: `scaleIO_volume_id` or `scaleIO_volname`; `sdc_guid`
            if the volume has been mapped already; otherwise `serverIP`, `serverPort`,
            `config_group`, and as far as they apply `serverUsername`, `failed_over`,
            `verify_certificate`, `certificate_path`, `iopsLimit`, `bandwidthLimit`
        :returns: `type` ('block') and `path`
        :raises InvalidParameterValue: the properties make no sense
        :raises BrickException: anything else; a mapping that was made is gone again
        """
        self.get_config(connection_properties)
        if 'sdc_guid' in connection_properties:
            LOG.info('ScaleIO map volume %s handle on driver side',
                     connection_properties.get('scaleIO_volname'))
            path = self._wait_for_volume_path(self._volume_id(connection_properties))
        else:
            path = self._map_volume(connection_properties)
        self.volume_path = path
        return {'type': 'block', 'path': path}

    @utils.trace
    @base.synchronized('scaleio', 'scaleio-', external=True)
    @utils.connect_volume_undo_prepare_result(unlink_after=True)
    def disconnect_volume(self, connection_properties: dict, device_info: Any,
                          force: bool = False, ignore_errors: bool = False) -> None:
        """Detach a volume from this host; it need not be attached, or exist, any more.

        :param connection_properties: as for `connect_volume`; with `sdc_guid` there is
            nothing to do, because the volume is unmapped where it was mapped
        :param device_info: what `connect_volume` returned; may be None
        :param force: has an effect with ignore_errors only
        :param ignore_errors: under force, log an error instead of raising it
        :raises BrickException: the volume is still mapped, or its device still there
        """
        self.get_config(connection_properties)
        if 'sdc_guid' in connection_properties:
            LOG.info('ScaleIO volume : (%s) unmap handle on driver side.',
                     connection_properties.get('scaleIO_volname'))
            return
        try:
            self._unmap_volume(connection_properties,
                               utils.get_dev_path(connection_properties, device_info))
        except exception.BrickException as exc:
            if not (force and ignore_errors):
                raise
            LOG.warning('Detached with errors, leftovers may remain on the host: %s', exc)

    @base.synchronized('scaleio', 'scaleio-', external=True)
    @utils.connect_volume_undo_prepare_result
    def extend_volume(self, connection_properties: dict) -> Optional[int]:
        """Let the host see the new size of an attached volume.

        :returns: the size in bytes
        :raises BrickException: the volume is not attached, or the SDC could not be asked
        """
        self.get_config(connection_properties)
        volume_id = self._volume_id(connection_properties)
        LOG.info('ScaleIO rescan volumes')
        try:
            priv_scaleio.rescan_vols(self.RESCAN_VOLS_OP_CODE)
        except OSError as exc:
            raise exception.BrickException(_('Error querying volumes: %s') % exc) from exc
        return utils.get_device_size(self, self._wait_for_volume_path(volume_id))

    def _map_volume(self, properties: dict) -> str:
        """Map a volume to this host and return its path."""
        gateway = self._gateway(properties)
        guid = self._get_guid()
        volume_id = self._volume_id(properties, gateway)
        answer = gateway.map_volume(volume_id, guid)
        name = self._shown(properties)
        if answer.error_code in (self.VOLUME_ALREADY_MAPPED_ERROR,
                                 self.VOLUME_ALREADY_MAPPED_ERROR_v4):
            LOG.warning('Ignoring error mapping volume %s: volume already mapped.', name)
        elif not answer.ok:
            raise exception.BrickException(
                _('Error mapping volume %(volume_name)s: %(err)s')
                % {'volume_name': name, 'err': answer.message})
        try:
            path = self._wait_for_volume_path(volume_id)
        except Exception:
            # A mapping that was there may be that of another server on this host.
            if answer.ok:
                self._undo_map(gateway, volume_id, guid)
            raise
        self._set_limits(gateway, properties, volume_id, guid)
        return path

    @staticmethod
    def _undo_map(gateway: scaleio_gateway.Gateway, volume_id: str, guid: str) -> None:
        try:
            answer = gateway.unmap_volume(volume_id, guid)
            error = None if answer.ok else answer.message
        except exception.BrickException as exc:
            error = str(exc)
        if error:
            LOG.error('ScaleIO volume %(volume_id)s remains mapped to this host: %(err)s',
                      {'volume_id': volume_id, 'err': error})

    def _set_limits(self, gateway: scaleio_gateway.Gateway, properties: dict, volume_id: str,
                    guid: str) -> None:
        """Set the limits of the volume if there are any; a failure is logged."""
        wanted = {'bandwidthLimitInKbps': properties.get('bandwidthLimit'),
                  'iopsLimit': properties.get('iopsLimit')}
        limits = {name: value for name, value in wanted.items() if value is not None}
        if not limits:
            return
        try:
            answer = gateway.set_limits(volume_id, guid, limits)
            error = None if answer.ok else answer.message
        except exception.BrickException as exc:
            error = str(exc)
        if error:
            LOG.error('Error setting client limits for volume %(volume_name)s: %(err)s',
                      {'volume_name': self._shown(properties), 'err': error})

    def _unmap_volume(self, properties: dict, device_path: Any) -> None:
        """Unmap a volume from this host and wait until its device is gone."""
        gateway = self._gateway(properties)
        name = self._shown(properties)
        try:
            volume_id = self._volume_id(properties, gateway)
        except exception.NotFound:
            LOG.warning('ScaleIO volume %s does not exist, so it is not mapped.', name)
            return
        answer = gateway.unmap_volume(volume_id, self._get_guid())
        if answer.error_code in (self.VOLUME_NOT_MAPPED_ERROR,
                                 self.VOLUME_NOT_MAPPED_ERROR_v4):
            LOG.warning('Ignoring error unmapping volume %s: volume not mapped.', name)
        elif answer.error_code in scaleio_gateway.NOT_FOUND:
            LOG.warning('ScaleIO volume %s does not exist, so it is not mapped.', name)
        elif not answer.ok:
            raise exception.BrickException(
                _('Error unmapping volume %(volume_id)s: %(err)s')
                % {'volume_id': name, 'err': answer.message})
        elif isinstance(device_path, str) and device_path:
            self._wait_for_remove_volume_path(volume_id, device_path)

    def _get_guid(self) -> str:
        try:
            return priv_scaleio.get_guid(self.GET_GUID_OP_CODE)
        except (OSError, ValueError) as exc:
            raise exception.BrickException(_('Failed to query sdc guid: %s') % exc) from exc

    def _volume_id(self, properties: dict,
                   gateway: Optional[scaleio_gateway.Gateway] = None) -> str:
        """Return the id of a volume; that of an old attachment is asked for by its name."""
        volume_id = properties.get('scaleIO_volume_id')
        if not volume_id:
            gateway = gateway or self._gateway(properties)
            volume_id = gateway.find_volume_id(properties['scaleIO_volname'])
        self.volume_id = volume_id
        return volume_id

    @staticmethod
    def _shown(properties: dict) -> Any:
        return properties.get('scaleIO_volname') or properties.get('scaleIO_volume_id')

    def _gateway(self, properties: dict) -> scaleio_gateway.Gateway:
        """Return the gateway of a volume with the login of earlier calls, if there is one."""
        account = tuple(properties.get(name) for name in _ACCOUNT)
        session = self._sessions.setdefault(account, scaleio_gateway.Session())
        if 'serverPassword' in properties and session.token is None:
            session.username = properties.get('serverUsername')
            session.token = properties.get('serverToken') or None
        return scaleio_gateway.Gateway(properties, session, self._account_reader(properties))

    def _account_reader(self, properties: dict) -> Callable[[], tuple[str, str]]:
        def read() -> tuple[str, str]:
            if 'serverPassword' in properties:
                # An attachment that was stored with its password, before that was forbidden.
                username, password = None, properties['serverPassword']
            else:
                username, password = self._configured_account(properties)
            username = username or properties.get('serverUsername')
            if not username:
                raise exception.InvalidParameterValue(
                    'neither the connection property serverUsername nor '
                    f'{CONNECTOR_CONF_PATH} names the account of the PowerFlex gateway')
            self.server_username = username
            return username, password
        return read

    @staticmethod
    def _configured_account(properties: dict) -> tuple[Optional[str], str]:
        LOG.info('Get ScaleIO connector password from configuration file')
        group = properties.get('config_group')
        if not group:
            raise exception.InvalidParameterValue(
                'the connection properties have neither config_group nor sdc_guid')
        try:
            return priv_scaleio.get_connector_username_password(
                CONNECTOR_CONF_PATH, group, bool(properties.get('failed_over', False)))
        except Exception as exc:
            raise exception.BrickException(
                _('Error getting ScaleIO connector password from configuration file: %s')
                % exc) from exc

    def _find_volume_path(self, volume_id: str) -> Optional[str]:
        """Return the link of a volume that leads to a device, or None.

        :raises BrickException: links lead to different devices
        """
        directory = self.get_search_path()
        try:
            names = os.listdir(directory)
        except (FileNotFoundError, NotADirectoryError):
            return None
        paths = [os.path.join(directory, name) for name in sorted(names)
                 if name.startswith('emc-vol-') and name.endswith(f'-{volume_id}')]
        # A link whose device has gone is udev's to remove, and may be there a little longer.
        paths = [path for path in paths if os.path.exists(path)]
        if len({os.path.realpath(path) for path in paths}) > 1:
            raise exception.BrickException(
                _('ScaleIO volume %(volume_id)s has several devices: %(paths)s')
                % {'volume_id': volume_id, 'paths': ', '.join(paths)})
        return paths[0] if paths else None

    @utils.retry(exception.BrickException, retries=_DEVICE_ATTEMPTS, backoff_rate=1)
    def _wait_for_volume_path(self, volume_id: str) -> str:
        path = self._find_volume_path(volume_id)
        if path:
            LOG.info('Full disk name is %s', path)
            return path
        if not os.path.isdir(self.get_search_path()):
            raise exception.BrickException(
                _('ScaleIO volume %(volume_id)s not found at expected path.')
                % {'volume_id': volume_id})
        raise exception.BrickException(
            _('ScaleIO volume %(volume_id)s not found.') % {'volume_id': volume_id})

    @utils.retry(exception.BrickException, retries=_DEVICE_ATTEMPTS, backoff_rate=1)
    def _wait_for_remove_volume_path(self, volume_id: str, path: str) -> None:
        if os.path.exists(path):
            raise exception.BrickException(
                _('ScaleIO volume %(volume_id)s found after disconnect operation at path '
                  '%(path)s') % {'volume_id': volume_id, 'path': path})
