# SPDX-License-Identifier: Apache-2.0
"""The LightOS connector: NVMe over TCP through the discovery client of LightOS.

A file below the client's directory tells it which cluster to connect to; the client logs
in and the kernel makes the device.  Nothing is connected or disconnected here.
"""

import functools
import glob
import http.client
import os
import re
import stat
import tempfile
import time
from typing import Any, Callable, Optional

from oslo_config import cfg
from oslo_log import log as logging
from oslo_utils import netutils
import psutil

from os_brick import exception
from os_brick import utils
from os_brick.i18n import _
from os_brick.initiator import discovery_file
from os_brick.initiator import lock_files
from os_brick.initiator.connectors import base
from os_brick.privileged import lightos as priv_lightos

DEVICE_SCAN_ATTEMPTS_DEFAULT = 5
LOG = logging.getLogger(__name__)

#: The single paths of a namespace under native multipathing, such as nvme0c1n1.
nvmec_pattern = ".*nvme[0-9]+[cp][0-9]+.*"
nvmec_match = re.compile(nvmec_pattern)

_opts = [
    cfg.HostAddressOpt('lightos_discovery_client_address',
                       default='localhost',
                       help='Host of the metrics of the discovery client of LightOS.'),
    cfg.PortOpt('lightos_discovery_client_port',
                default=6060,
                help='Port of the metrics of the discovery client of LightOS.'),
    cfg.StrOpt('lightos_discovery_client_dir_path',
               default='/etc/discovery-client/discovery.d/',
               help='Directory of the files that tell the discovery client of LightOS '
                    'where to connect to.'),
]

cfg.CONF.register_opts(_opts, group='os_brick')

_SYS = '/sys'
_DEV = '/dev'
_LOCK = 'volume_op'
#: Seconds the discovery client has to answer whether it is there.
_ANSWER_TIMEOUT = 5
#: Seconds between two looks for a device, the first and the longest.
_FIRST_LOOK, _LONGEST_LOOK = 0.05, 1
#: Seconds between two looks of the monitor.
_MONITOR_INTERVAL = 1


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """List the options for the sample configuration file generator."""
    return [('os_brick', _opts)]


def _one_at_a_time(function: Callable) -> Callable:
    """Exclude all that handles LightOS volumes on this host, in other processes too.

    A caller that has no lock_path, and never needed one for LightOS, excludes its own
    threads only.
    """
    here = base.synchronized(_LOCK)(function)
    everywhere = base.synchronized(_LOCK, external=True)(function)

    @functools.wraps(function)
    def locked(*args: Any, **kwargs: Any) -> Any:
        return (everywhere if lock_files.configured_path() else here)(*args, **kwargs)
    return locked


class LightOSConnector(base.BaseLinuxConnector):
    """Attaches and detaches volumes of a LightOS cluster."""

    #: Seconds a volume has to appear.
    WAIT_DEVICE_TIMEOUT = 60

    def __init__(self, root_helper: Optional[str], driver: Any = None,
                 execute: Optional[Callable] = None,
                 device_scan_attempts: int = DEVICE_SCAN_ATTEMPTS_DEFAULT,
                 message_queue: Any = None, *args: Any, **kwargs: Any) -> None:
        """Keep the choices of the caller; the host is not touched.

        :param message_queue: where to tell `lightos_monitor` of attaches and detaches
        """
        super().__init__(root_helper, driver=driver, execute=execute,
                         device_scan_attempts=device_scan_attempts, **kwargs)
        self.message_queue = message_queue
        self._monitor_failures: dict[str, str] = {}
        options = cfg.CONF.os_brick
        self.discovery_dir_path = options.lightos_discovery_client_dir_path
        self.discovery_address = options.lightos_discovery_client_address
        self.discovery_port = options.lightos_discovery_client_port

    def set_execute(self, execute: Optional[Callable]) -> None:
        """Run every command of this object and its helpers with `execute`."""
        super().set_execute(execute)
        self._linuxscsi.set_execute(execute)

    @staticmethod
    def get_ip_addresses() -> list[str]:
        """Return the addresses of this host but those of the loopback interface.

        IPv6 addresses come without their scope, and not at all when IPv6 is disabled.
        """
        with_ipv6 = netutils.is_ipv6_enabled()
        found = []
        for interface, entries in psutil.net_if_addrs().items():
            if interface == 'lo':
                continue
            for address in (entry.address for entry in entries if entry.address):
                if netutils.is_valid_ipv4(address):
                    found.append(address)
                elif with_ipv6 and netutils.is_valid_ipv6(address):
                    found.append(netutils.get_noscope_ipv6(address))
        return found

    @staticmethod
    def get_connector_properties(root_helper: Optional[str], *args: Any,
                                 **kwargs: Any) -> dict[str, Any]:
        """Return `nqn`, `found_dsc` and `host_ips`, or nothing if the host has no nqn."""
        connector = LightOSConnector(root_helper=root_helper, message_queue=None,
                                     execute=kwargs.get('execute'))
        host_nqn = utils.get_host_nqn()
        if not host_nqn:
            LOG.debug('LIGHTOS: this host has no nqn.')
            return {}
        return {'nqn': host_nqn, 'found_dsc': connector.find_dsc(),
                'host_ips': connector.get_ip_addresses()}

    def dsc_file_name(self, uuid: str) -> str:
        """Return the path of a volume's discovery file."""
        return os.path.join(self.discovery_dir_path, f'{uuid}.conf')

    def find_dsc(self) -> str:
        """Return 'found' if the discovery client answers on this host, else an empty text."""
        connection = http.client.HTTPConnection(self.discovery_address, self.discovery_port,
                                                timeout=_ANSWER_TIMEOUT)
        try:
            connection.request('HEAD', '/metrics')
            status = connection.getresponse().status
        except Exception as exc:
            LOG.debug('LIGHTOS: no discovery client at %(host)s port %(port)s: %(error)s',
                      {'host': self.discovery_address, 'port': self.discovery_port,
                       'error': exc})
            return ''
        finally:
            connection.close()
        return 'found' if status == http.client.OK else ''

    def dsc_need_connect(self, connection_info: dict) -> bool:
        """Tell whether the discovery client has not been told of a volume."""
        return not self._is_written(discovery_file.volume_uuid(connection_info))

    def _is_written(self, uuid: str) -> bool:
        try:
            status = os.stat(self.dsc_file_name(uuid))
        except OSError:
            return False
        # An empty file is what a crash left; the client got nothing from it.
        return stat.S_ISREG(status.st_mode) and status.st_size > 0

    def dsc_connect_volume(self, connection_info: dict) -> None:
        """Tell the discovery client to connect to a volume, unless it knows.

        :raises InvalidParameterValue: the properties make no sense
        :raises BrickException: this host has no nqn, or the file could not be written
        """
        if not self.dsc_need_connect(connection_info):
            return
        uuid = discovery_file.volume_uuid(connection_info)
        host_nqn = utils.get_host_nqn()
        if not host_nqn:
            raise exception.BrickException(_('This host has no nqn.'))
        text = discovery_file.content(uuid, connection_info, host_nqn)
        path = self.dsc_file_name(uuid)
        descriptor, temporary = tempfile.mkstemp(prefix='os-brick-lightos-')
        try:
            with os.fdopen(descriptor, 'w') as stream:
                stream.write(text)
            priv_lightos.move_dsc_file(temporary, path)
        except Exception as exc:
            # An OSError has lost its path on its way from the privileged process.
            raise exception.BrickException(
                _('Failed to create the discovery file %(path)s: %(error)s')
                % {'path': path, 'error': exc}) from exc
        finally:
            try:
                os.unlink(temporary)
            except FileNotFoundError:
                LOG.debug('LIGHTOS: %s was moved', temporary)

    def dsc_disconnect_volume(self, connection_info: dict) -> None:
        """Remove the discovery file of a volume; one that is gone is fine."""
        path = self.dsc_file_name(discovery_file.volume_uuid(connection_info))
        try:
            priv_lightos.delete_dsc_file(path)
        except Exception as exc:
            LOG.warning('LIGHTOS: Failed to delete the discovery file %(path)s: %(error)s',
                        {'path': path, 'error': exc})
            raise

    def monitor_db(self, lightos_db: dict) -> None:
        """Write the discovery files that are missing; a failure holds up no other."""
        for uuid, connection_info in list(lightos_db.items()):
            try:
                self.dsc_connect_volume(connection_info)
            except Exception as exc:
                # The monitor comes again every second.
                if self._monitor_failures.get(uuid) != str(exc):
                    LOG.warning('LIGHTOS: volume %(uuid)s is not connected: %(error)s',
                                {'uuid': uuid, 'error': exc})
                self._monitor_failures[uuid] = str(exc)
            else:
                self._monitor_failures.pop(uuid, None)

    def monitor_message_queue(self, message_queue: Any, lightos_db: dict) -> bool:
        """Bring the volumes of the monitor up to date with the messages that wait.

        :param message_queue: holds ('add', properties), ('delete', properties) and, to end
            the monitor, ('stop', None)
        :param lightos_db: the properties of the attached volumes by their uuid
        :returns: False if the monitor has to end
        """
        while not message_queue.empty():
            operation, properties = message_queue.get()
            if operation == 'stop':
                return False
            uuid = properties['uuid']
            LOG.debug('LIGHTOS: %s volume %s', operation, uuid)
            if operation == 'add':
                lightos_db[uuid] = properties
            elif operation == 'delete' and lightos_db.pop(uuid, None) is None:
                LOG.warning('LIGHTOS: volume %s is not known to the monitor', uuid)
        return True

    @_one_at_a_time
    def _monitor_once(self, lightos_db: dict, message_queue: Any) -> bool:
        # Under the lock a detach has both sent its message and removed its file, or
        # neither, so no file of a volume that is gone is written again.
        if not self.monitor_message_queue(message_queue, lightos_db):
            return False
        self.monitor_db(lightos_db)
        return True

    def lightos_monitor(self, lightos_db: dict, message_queue: Any) -> None:
        """Keep the discovery files of attached volumes there, as after a reboot.

        Returns when it gets the message ('stop', None).

        :param lightos_db: the properties of the attached volumes by their uuid
        :param message_queue: that of the connectors, see `monitor_message_queue`
        """
        while True:
            idle = message_queue.empty() and all(map(self._is_written, lightos_db))
            if not idle and not self._monitor_once(lightos_db, message_queue):
                return
            time.sleep(_MONITOR_INTERVAL)

    def get_search_path(self) -> str:
        """Return the directory of the devices."""
        return _DEV

    def get_volume_paths(self, connection_properties: dict) -> list[str]:
        """Return the device of a volume as the properties remember it, or as found."""
        path = connection_properties.get('device_path')
        if not path:
            uuid = discovery_file.volume_uuid(connection_properties)
            path = self._get_device_by_uuid(uuid, wait=False)
        return [path] if path else []

    def _check_device_exists_using_dev_lnk(self, uuid: str) -> Optional[str]:
        link = f'{_DEV}/disk/by-id/nvme-uuid.{uuid}'
        if not os.path.exists(link):
            return None
        device = os.path.realpath(link)
        return device if device.startswith(f'{_DEV}/nvme') else None

    def _check_device_exists_reading_block_class(self, uuid: str) -> Optional[str]:
        wanted = f'uuid.{uuid}'.lower()
        for path in glob.glob(f'{_SYS}/class/block/*/wwid'):
            name = os.path.basename(os.path.dirname(path))
            if nvmec_match.match(name):
                continue
            try:
                with open(path) as stream:
                    found = stream.readline().strip().lower()
            except OSError as exc:
                # Devices come and go meanwhile.
                LOG.debug('LIGHTOS: %s', exc)
                continue
            if found == wanted:
                return f'{_DEV}/{name}'
        return None

    @utils.trace
    def _get_device_by_uuid(self, uuid: str, wait: bool = True) -> Optional[str]:
        """Return the device of a volume, the one that spans its paths, or None.

        :param wait: wait for it up to WAIT_DEVICE_TIMEOUT seconds
        """
        end = time.monotonic() + (self.WAIT_DEVICE_TIMEOUT if wait else 0)
        interval = _FIRST_LOOK
        while True:
            device = (self._check_device_exists_using_dev_lnk(uuid)
                      or self._check_device_exists_reading_block_class(uuid))
            left = end - time.monotonic()
            if device or left <= 0:
                return device or None
            time.sleep(min(interval, left))
            interval = min(2 * interval, _LONGEST_LOOK)

    def _get_size_by_uuid(self, uuid: str) -> int:
        device = self._get_device_by_uuid(uuid, wait=False)
        if not device:
            raise exception.VolumeDeviceNotFound(device=f'{_DEV}/disk/by-id/nvme-uuid.{uuid}')
        with open(f'{_SYS}/class/block/{os.path.basename(device)}/size') as stream:
            return int(stream.read()) * 512

    @utils.trace
    @utils.connect_volume_prepare_result
    @_one_at_a_time
    def connect_volume(self, connection_properties: dict) -> dict[str, str]:
        """Attach a volume to this host.

        :param connection_properties: `uuid` of the volume, `subsysnqn` of its cluster and
            `lightos_nodes`, a dictionary of dictionaries with `transport_type`,
            `target_portal` and `target_port`
        :returns: `type` ('block') and `path`
        :raises InvalidParameterValue: the properties make no sense
        :raises BrickException: the volume did not appear; its discovery file is removed
        """
        uuid = discovery_file.volume_uuid(connection_properties)
        self.dsc_connect_volume(connection_properties)
        try:
            path = self._get_device_by_uuid(uuid)
            if not path:
                raise exception.BrickException(
                    message=_('Device with uuid %s did not show up') % uuid)
        except BaseException:
            try:
                self.dsc_disconnect_volume(connection_properties)
            except Exception:
                LOG.debug('LIGHTOS: the file of volume %s remains', uuid)
            raise
        if self.message_queue is not None:
            self.message_queue.put(('add', connection_properties))
        return {'type': 'block', 'path': path}

    @utils.trace
    @_one_at_a_time
    @utils.connect_volume_undo_prepare_result(unlink_after=True)
    def disconnect_volume(self, connection_properties: dict, device_info: Any,
                          force: bool = False, ignore_errors: bool = False) -> None:
        """Detach a volume from this host; it need not be attached any more.

        :param connection_properties: as for `connect_volume`; `uuid` is enough
        :param device_info: not needed
        :param force: go on when the device cannot be flushed, losing data
        :param ignore_errors: go on as well, and do not raise the errors at the end
        :raises ProcessExecutionError: without force, the flush failed; the discovery file
            remains
        :raises ExceptionChainer: all errors, once everything was tried
        """
        uuid = discovery_file.volume_uuid(connection_properties)
        # First, so that the monitor does not write the file again whatever fails here.
        if self.message_queue is not None:
            self.message_queue.put(('delete', connection_properties))
        exc = exception.ExceptionChainer()
        device = self._get_device_by_uuid(uuid, wait=False)
        if device:
            with exc.context(force or ignore_errors, 'Flushing %s failed', device):
                self._linuxscsi.flush_device_io(device)
        with exc.context(True):
            self.dsc_disconnect_volume(connection_properties)
        if exc and not ignore_errors:
            raise exc

    @utils.trace
    @_one_at_a_time
    @utils.connect_volume_undo_prepare_result
    def extend_volume(self, connection_properties: dict) -> int:
        """Return the size of a volume in bytes; the kernel follows the cluster by itself.

        :raises VolumeDeviceNotFound: the volume is not attached
        """
        return self._get_size_by_uuid(discovery_file.volume_uuid(connection_properties))
