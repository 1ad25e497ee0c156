# SPDX-License-Identifier: Apache-2.0
"""The NVMe-oF connector: checks, one call to the engine, the answer in its known shape.

Decisions about portals, controllers, namespaces and mirrors are the engine's.
"""

import errno
from typing import Any, Optional, Sequence

from oslo_concurrency import processutils as putils
from oslo_config import cfg
from oslo_log import log as logging

from os_brick import exception
from os_brick import utils
from os_brick.initiator.connectors import by_engine
from os_brick.initiator.connectors import nvmeof_raid
from os_brick.initiator.connectors.nvmeof_properties import ALIAS  # noqa: F401
from os_brick.initiator.connectors.nvmeof_properties import HOST_NQN  # noqa: F401
from os_brick.initiator.connectors.nvmeof_properties import NGUID  # noqa: F401
from os_brick.initiator.connectors.nvmeof_properties import NQN  # noqa: F401
from os_brick.initiator.connectors.nvmeof_properties import NSID  # noqa: F401
from os_brick.initiator.connectors.nvmeof_properties import NVMeOFConnProps
from os_brick.initiator.connectors.nvmeof_properties import OLD_NQN  # noqa: F401
from os_brick.initiator.connectors.nvmeof_properties import PORT  # noqa: F401
from os_brick.initiator.connectors.nvmeof_properties import PORTAL  # noqa: F401
from os_brick.initiator.connectors.nvmeof_properties import PORTALS  # noqa: F401
from os_brick.initiator.connectors.nvmeof_properties import REPLICA_COUNT  # noqa: F401
from os_brick.initiator.connectors.nvmeof_properties import REPLICAS  # noqa: F401
from os_brick.initiator.connectors.nvmeof_properties import TRANSPORT  # noqa: F401
from os_brick.initiator.connectors.nvmeof_properties import UUID  # noqa: F401
from os_brick.initiator.connectors.nvmeof_raid import RAID_PATH  # noqa: F401
from os_brick.initiator.connectors.nvmeof_target import blk_property  # noqa: F401
from os_brick.initiator.connectors.nvmeof_target import BLK_SYSFS_PATH  # noqa: F401
from os_brick.initiator.connectors.nvmeof_target import ctrl_property  # noqa: F401
from os_brick.initiator.connectors.nvmeof_target import DEV_SEARCH_PATH
from os_brick.initiator.connectors.nvmeof_target import NVME_CTRL_SYSFS_PATH  # noqa: F401
from os_brick.initiator.connectors.nvmeof_target import nvme_basename  # noqa: F401
from os_brick.initiator.connectors.nvmeof_target import Portal  # noqa: F401
from os_brick.initiator.connectors.nvmeof_target import sysfs_property  # noqa: F401
from os_brick.initiator.connectors.nvmeof_target import Target  # noqa: F401
from os_brick.privileged import nvmeof as priv_nvmeof
from os_brick.privileged import rootwrap as priv_rootwrap

LOG = logging.getLogger(__name__)
CONF = cfg.CONF

DEVICE_SCAN_ATTEMPTS_DEFAULT = 5

#: The agent that heals mirrors is not part of os-brick; nobody has it here.
nvmeof_agent = None

_MULTIPATH = '/sys/module/nvme_core/parameters/multipath'


class NVMeOFConnector(by_engine.EngineConnector):
    """Attaches and detaches volumes over NVMe-oF."""

    _verbs = priv_nvmeof

    #: Found out once: it changes with a reboot only.
    native_multipath_supported: Optional[bool] = None
    #: Seconds a lost connection gets to come back, beside the kernel's own delay.
    TIME_TO_CONNECT = 10

    def __init__(self, root_helper: Optional[str], driver: Any = None,
                 use_multipath: bool = False,
                 device_scan_attempts: int = DEVICE_SCAN_ATTEMPTS_DEFAULT,
                 *args: Any, **kwargs: Any) -> None:
        """Keep the choices of the caller; the host is not touched.

        :param use_multipath: connect all portals of a volume, if the kernel joins paths
        :param device_scan_attempts: how often to look for a namespace again
        """
        super().__init__(root_helper, driver, *args,
                         device_scan_attempts=device_scan_attempts, **kwargs)
        self.use_multipath = use_multipath
        self._set_native_multipath_supported()
        if self.use_multipath and not self.native_multipath_supported:
            LOG.warning('native multipath is not enabled')

    @staticmethod
    def get_search_path() -> str:
        """Return the directory volumes appear in."""
        return DEV_SEARCH_PATH

    # What the host is to backends.

    @classmethod
    def nvme_present(cls) -> bool:
        """Tell whether nvme-cli is installed."""
        try:
            priv_rootwrap.custom_execute('nvme', 'version')
            return True
        except Exception as exc:
            if isinstance(exc, OSError) and exc.errno == errno.ENOENT:
                LOG.debug('nvme-cli is not installed')
            else:
                LOG.warning('Unknown error when checking presence of nvme: %s', exc)
            return False

    @classmethod
    def get_connector_properties(cls, root_helper: Optional[str], *args: Any,
                                 **kwargs: Any) -> dict[str, Any]:
        """Return the identities of this host, those it has.

        :returns: `uuid` of the root file system, `system uuid` of the board, `nqn` and
            `nvme_hostid` of the NVMe host, `nvme_native_multipath`
        """
        execute = kwargs.get('execute') or priv_rootwrap.execute
        connector = NVMeOFConnector(root_helper=root_helper, execute=execute)
        nqn = hostid = None
        uuid = connector._get_host_uuid()
        system_uuid = priv_nvmeof.get_system_uuid()
        if cls.nvme_present():
            nqn = utils.get_host_nqn(system_uuid)
            hostid = utils.get_nvme_host_id(system_uuid)
        known = {'nvme_hostid': hostid, 'uuid': uuid, 'system uuid': system_uuid, 'nqn': nqn}
        found: dict[str, Any] = {key: value for key, value in known.items() if value}
        found['nvme_native_multipath'] = cls._set_native_multipath_supported()
        return found

    def _get_host_uuid(self) -> Optional[str]:
        """Return the UUID of the root file system, or None."""
        try:
            out, _err = self._execute('findmnt', '-v', '/', '-n', '-o', 'SOURCE',
                                      run_as_root=True, root_helper=self._root_helper)
            source = out.split('\n')[0]
            # The root of a container is on no device of its own.
            if source == 'overlay':
                return None
            out, _err = self._execute('blkid', source, '-s', 'UUID', '-o', 'value',
                                      run_as_root=True, root_helper=self._root_helper)
            return out.split('\n')[0]
        except putils.ProcessExecutionError as exc:
            LOG.warning('The UUID of the root file system is not known: %s', exc)
            return None

    @classmethod
    def _set_native_multipath_supported(cls) -> bool:
        if cls.native_multipath_supported is None:
            cls.native_multipath_supported = cls._is_native_multipath_supported()
        return cls.native_multipath_supported

    @staticmethod
    def _is_native_multipath_supported() -> bool:
        try:
            with open(_MULTIPATH) as stream:
                return stream.read().strip() == 'Y'
        except Exception:
            LOG.warning('Could not find nvme_core/parameters/multipath')
            return False

    def supports_multipath(self) -> Optional[bool]:
        """Tell whether the kernel joins the paths to a namespace."""
        return self.native_multipath_supported

    # Volumes.

    @utils.trace
    def connect_volume(self, connection_properties: dict) -> dict[str, str]:
        """Attach a volume to this host.

        :param connection_properties: in any of the formats of NVMeOFConnProps
        :returns: `type` ('block') and `path`; the path of an encrypted volume is a link of
            its own
        :raises InvalidParameterValue: the properties make no sense
        :raises VolumeDeviceNotFound: no portal led to the namespace
        :raises BrickException: anything else; the host is left as it was
        """
        return self._attach(connection_properties)

    @utils.trace
    def disconnect_volume(self, connection_properties: dict, device_info: Any,
                          force: bool = False, ignore_errors: bool = False) -> None:
        """Detach a volume from this host; it need not be attached any more.

        Connections that lead to other volumes stay.

        :param connection_properties: as for `connect_volume`
        :param device_info: what `connect_volume` returned, if it is known
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
        :returns: the size in bytes the device has now
        :raises VolumeDeviceNotFound: the volume is not attached
        :raises BrickException: the device, or the mirror over it, did not grow
        """
        return self._extend(connection_properties)

    def get_volume_paths(self, connection_properties: Any,
                         device_info: Optional[dict] = None) -> list[str]:
        """Return where a volume is on this host, connecting nothing.

        :param connection_properties: a dictionary, or an instance of NVMeOFConnProps
        :param device_info: what `connect_volume` returned; its path is believed
        """
        if device_info and device_info.get('path'):
            return [device_info['path']]
        properties = connection_properties
        if isinstance(properties, NVMeOFConnProps):
            properties = properties._conn_props
        if properties.get('device_path'):
            return [properties['device_path']]
        return list(self._call('volume_paths', 'paths', self._select(properties),
                               self._settings()))

    # Single commands.

    def _run(self, *cmd: str, **kwargs: Any) -> tuple[str, str]:
        return self._execute(*cmd, run_as_root=True, root_helper=self._root_helper, **kwargs)

    def run_nvme_cli(self, nvme_command: Sequence[str], **kwargs: Any) -> tuple[str, str]:
        """Run `nvme` with these arguments and return its outputs.

        :raises ProcessExecutionError: it failed
        """
        out, err = self._run('nvme', *nvme_command, check_exit_code=True)
        LOG.debug('nvme %(cmd)s: stdout=%(out)s stderr=%(err)s',
                  {'cmd': nvme_command, 'out': out, 'err': err})
        return out, err

    def rescan(self, controller_name: str) -> None:
        """Have a controller look for namespaces.

        :raises CommandExecutionFailed: nvme-cli failed
        """
        command = ('ns-rescan', DEV_SEARCH_PATH + controller_name)
        try:
            self.run_nvme_cli(command)
        except Exception as exc:
            raise exception.CommandExecutionFailed(exc, cmd=command)

    def run_mdadm(self, cmd: Sequence[str], raise_exception: bool = False) -> Optional[str]:
        """Run a command and return the first line it printed, or None if it failed."""
        return nvmeof_raid.mdadm(self._run, cmd, raise_exception)

    def _is_device_in_raid(self, device_path: str) -> bool:
        return nvmeof_raid.names_itself(self._run, '--examine', device_path)

    def is_raid_exists(self, device_path: str) -> bool:
        """Tell whether an array is assembled under this path."""
        return nvmeof_raid.names_itself(self._run, '--detail', device_path)

    @staticmethod
    def ks_readlink(dest: str) -> str:
        """Return where a link points to, or an empty text."""
        return nvmeof_raid.link_target(dest)

    @staticmethod
    def get_md_name(device_name: str) -> Optional[str]:
        """Return the md device that has a device such as `nvme0n1` as a leg, or None."""
        return nvmeof_raid.array_of(device_name)

    def create_raid(self, drives: list[str], raid_type: str, device_name: str, name: str,
                    read_only: bool) -> None:
        """Make an array and wait for its name below /dev/md."""
        nvmeof_raid.create(self._run, drives, raid_type, device_name, name, read_only)

    def assemble_raid(self, drives: list[str], md_path: str, read_only: bool) -> bool:
        """Assemble an array from the legs that are there."""
        return nvmeof_raid.assemble(self._run, drives, md_path, read_only)

    def stop_and_assemble_raid(self, drives: list[str], md_path: str,
                               read_only: bool) -> None:
        """Assemble an array under its name, unless udev has."""
        nvmeof_raid.stop_and_assemble(self, drives, md_path, read_only)

    def end_raid(self, device_path: str) -> None:
        """Stop an array, trying again while it is busy."""
        nvmeof_raid.end(self, device_path)

    def stop_raid(self, md_path: str, raise_exception: bool = False) -> Optional[str]:
        """Stop an array, trying once."""
        return self.run_mdadm(['mdadm', '--stop', md_path], raise_exception)

    def remove_raid(self, device_path: str) -> None:
        """Remove what is left of an array that was stopped."""
        self.run_mdadm(['mdadm', '--remove', device_path])

    def _get_fs_type(self, device_path: str) -> Optional[str]:
        # It fails for a device that holds nothing, which is no error here.
        out, _err = self._run('blkid', device_path, '-s', 'TYPE', '-o', 'value',
                              check_exit_code=False)
        return out.split('\n')[0] or None

    def _is_raid_device(self, device: str) -> bool:
        return self._get_fs_type(device) == 'linux_raid_member'
