# SPDX-License-Identifier: Apache-2.0
"""The iSCSI connector: checks, one call to the engine, the answer in its known shape.

Decisions about portals, logins, devices and maps are the engine's.  No command is run and
no device looked for here.
"""

from typing import Any, Callable, Optional, TypedDict

from oslo_concurrency import processutils as putils
from oslo_log import log as logging

from os_brick import _engine
from os_brick import _native
from os_brick import encrypted_link
from os_brick import initiator
from os_brick import utils
from os_brick.initiator.connectors import base_iscsi
from os_brick.initiator.connectors import by_engine
from os_brick.privileged import iscsi as priv_iscsi

LOG = logging.getLogger(__name__)

_INITIATOR_FILE = '/etc/iscsi/initiatorname.iscsi'


class ConnData(TypedDict):
    """The counters of an attach as upstream's workers share them; a name for annotations."""

    stop_connecting: bool
    num_logins: int
    failed_logins: int
    stopped_threads: int
    found_devices: list[str]
    just_added_devices: list[str]


class ISCSIConnector(by_engine.ScsiConnector, base_iscsi.BaseISCSIConnector):
    """Attaches and detaches iSCSI volumes, over TCP, iSER or an offload interface."""

    _verbs = priv_iscsi

    #: Transports an interface may have.
    supported_transports = ['be2iscsi', 'bnx2i', 'cxgb3i', 'default',
                            'cxgb4i', 'qla4xxx', 'ocs', 'iser', 'tcp']
    #: How the sessions we use are marked in iscsiadm's output.
    VALID_SESSIONS_PREFIX = ('tcp:', 'iser:')

    def __init__(self, root_helper: Optional[str], driver: Any = None,
                 execute: Optional[Callable] = None, use_multipath: bool = False,
                 device_scan_attempts: int = initiator.DEVICE_SCAN_ATTEMPTS_DEFAULT,
                 transport: str = 'default', *args: Any, **kwargs: Any) -> None:
        """Keep the choices of the caller; the host is not touched.

        :param use_multipath: attach all paths of a volume as one device
        :param device_scan_attempts: how often to look for a device again
        :param transport: `default`, `iser` or the name of an iscsiadm interface
        """
        super().__init__(root_helper, driver=driver, execute=execute,
                         device_scan_attempts=device_scan_attempts,
                         transport=transport, **kwargs)
        self.use_multipath = use_multipath
        self.transport = transport or 'default'

    @staticmethod
    def get_connector_properties(root_helper: Optional[str], *args: Any,
                                 **kwargs: Any) -> dict[str, str]:
        """Return the initiator's name as `initiator`, or nothing if the host has none."""
        connector = ISCSIConnector(root_helper=root_helper, execute=kwargs.get('execute'))
        name = connector.get_initiator()
        return {'initiator': name} if name else {}

    def _get_transport(self) -> str:
        return self.transport

    def _settings(self) -> dict[str, Any]:
        """Return also by which interface to log in."""
        return {**super()._settings(), 'interface': self._get_transport()}

    @utils.trace
    def connect_volume(self, connection_properties: dict) -> dict[str, str]:
        """Attach a volume to this host.

        :param connection_properties: `target_portal`, `target_iqn` and `target_lun`, or
            their plurals for several paths; CHAP and the other keys of
            `os_brick.privileged.iscsi.PROPERTIES` as far as they apply
        :returns: `type` ('block'), `scsi_wwn`, `path` and, if a multipath device was
            made, `multipath_id`; the path of an encrypted volume is a link of its own
        :raises InvalidParameterValue: the properties make no sense
        :raises VolumeDeviceNotFound: no portal led to the device
        :raises TargetPortalNotFound: discovery did not find the target
        :raises BrickException: anything else; the host is left as it was
        """
        return self._attach(connection_properties)

    @utils.trace
    def disconnect_volume(self, connection_properties: dict, device_info: Any,
                          force: bool = False, ignore_errors: bool = False) -> None:
        """Detach a volume from this host; it need not be attached any more.

        :param connection_properties: as for `connect_volume`
        :param device_info: what `connect_volume` returned; the properties are enough
            when it is None or carries no path
        :param force: go on after errors and leave a clean host, even if data is lost
        :param ignore_errors: under force, log the errors instead of raising them
        :raises ExceptionChainer: under force, all errors once everything was tried
        :raises BrickException: without force; the volume stays attached
        """
        self._detach(connection_properties, device_info, force, ignore_errors)

    @utils.trace
    def extend_volume(self, connection_properties: dict) -> int:
        """Let the host see the new size of an attached volume.

        :param connection_properties: as for `connect_volume`
        :returns: the size in bytes that every path and the map now have
        :raises VolumePathsNotFound: the volume is not attached
        :raises BrickException: a path is down or did not grow
        """
        return self._extend(connection_properties)

    def get_volume_paths(self, connection_properties: dict) -> list[str]:
        """Return the /dev/disk/by-path names of a volume that exist; logs in nowhere.

        :raises InvalidParameterValue: the properties make no sense
        """
        properties = self._select(connection_properties)
        if 'target_portal' not in properties and 'target_portals' not in properties:
            return []
        if 'device_path' in properties:
            properties['device_path'] = encrypted_link.device_path_of(properties['device_path'])
        return list(_native.call(_engine.iscsi.volume_paths, properties, self._settings()))

    def get_initiator(self) -> Optional[str]:
        """Return the name of this host's initiator, or None with a warning."""
        name: Optional[str] = None
        try:
            if self._injected_execute() is None:
                name = priv_iscsi.get_initiator()
            else:
                name = self._read_initiator_file()
        except (putils.ProcessExecutionError, OSError) as exc:
            LOG.debug('Reading %(file)s failed: %(error)s',
                      {'file': _INITIATOR_FILE, 'error': exc})
        if not name:
            LOG.warning('No iSCSI initiator name in %s', _INITIATOR_FILE)
            return None
        return name

    def _read_initiator_file(self) -> Optional[str]:
        out, _err = self._execute('cat', _INITIATOR_FILE, run_as_root=True,
                                  root_helper=self._root_helper)
        for line in out.splitlines():
            key, separator, value = line.partition('=')
            if separator and key == 'InitiatorName':
                return value.strip()
        return None

    def _get_iscsi_sessions_full(self) -> list[tuple[str, str, str, str, str]]:
        """Return (transport, session id, portal, portal group tag, iqn) of all sessions."""
        return [(f"{session.get('transport') or 'tcp'}:", str(session['sid']),
                 session['portal'], str(session['tpgt']), session['iqn'])
                for session in _native.call(_engine.iscsi.sessions) if session['portal']]

    def _get_iscsi_sessions(self) -> list[str]:
        """Return the portals of all sessions."""
        return [session[2] for session in self._get_iscsi_sessions_full()]
