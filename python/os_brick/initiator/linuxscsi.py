# SPDX-License-Identifier: Apache-2.0
"""LinuxSCSI: the SCSI and multipath helpers of connectors written in Python.

The connectors of the engine do not use what changes the host here; it is kept for other
projects and for the connectors that have no engine.
"""

import glob
import os
import time
from collections.abc import Iterable
from typing import Any, Optional

from oslo_concurrency import processutils as putils
from oslo_config import cfg
from oslo_log import log as logging

from os_brick import exception
from os_brick import utils
from os_brick.initiator import scsi_multipath
from os_brick.initiator import scsi_sysfs
from os_brick.initiator.scsi_multipath import MULTIPATH_DEVICE_ACTIONS  # noqa: F401
from os_brick.initiator.scsi_multipath import MULTIPATH_ERROR_REGEX  # noqa: F401
from os_brick.initiator.scsi_multipath import MULTIPATH_WWID_REGEX  # noqa: F401
from os_brick.initiator.scsi_multipath import MULTIPATHD_RESIZE_TIMEOUT  # noqa: F401
from os_brick.privileged import rootwrap as priv_rootwrap

LOG = logging.getLogger(__name__)
CONF = cfg.CONF

_SYS = '/sys'
_DEV = '/dev/'
#: Seconds a path that has just failed may take to go, and between two looks.
_REMOVAL_TIMEOUT = 30
_REMOVAL_POLL = 0.5


class LinuxSCSI(scsi_sysfs.ScsiSysfs, scsi_multipath.MultipathCommands):
    """Scans for SCSI devices, grows them and removes them."""

    def echo_scsi_command(self, path: str, content: str) -> None:
        """Write to an attribute in sysfs as root."""
        self._run_as_root('tee', '-a', path, process_input=content)

    def scan_iscsi(self, host: Any, channel: Any = '-', target: Any = '-',
                   lun: Any = '-') -> None:
        """Let a host adapter look for devices; '-' stands for all."""
        self.echo_scsi_command(f'/sys/class/scsi_host/host{host}/scan',
                               f'{channel} {target} {lun}')

    def get_scsi_wwn(self, path: str) -> str:
        """Ask a device itself for its identity (page 0x83); blocks while it is dead."""
        out, _err = self._run_as_root('/lib/udev/scsi_id', '--page', '0x83',
                                      '--whitelisted', path)
        return out.strip()

    def find_multipath_device(self, device: str) -> Optional[dict[str, Any]]:
        """Find the map over a device, or that a device is; read from sysfs if it is there.

        :param device: a kernel device such as /dev/sda, or a link to it; multipath is asked
            for what is none of this host, or has no map
        :returns: device (/dev/mapper/...), id, name and devices, each of those with
            device, host, channel, id and lun; None if there is no map
        :raises CommandExecutionFailed: multipath failed
        """
        return self._sysfs_multipath_device(device) or super().find_multipath_device(device)

    def flush_device_io(self, device: str) -> None:
        """Write out what the kernel holds back for a device, with two retries.

        :raises ProcessExecutionError: it could not; no-op if the device is gone
        """
        if not os.path.exists(device):
            return
        LOG.debug('Flushing IO for device %s', device)
        try:
            self._run_as_root('blockdev', '--flushbufs', device, attempts=3, timeout=300,
                              interval=10)
        except putils.ProcessExecutionError as exc:
            LOG.warning('Failed to flush IO buffers prior to removing device: %s',
                        exc.exit_code)
            raise

    def remove_scsi_device(self, device: str, force: bool = False,
                           exc: Optional[exception.ExceptionChainer] = None,
                           flush: bool = True) -> None:
        """Remove a device from the kernel; no-op if it is gone.

        :param device: such as /dev/sda
        :param force: store errors in `exc` and go on, instead of raising before removal
        :param exc: collects errors
        :param flush: flush it first
        """
        path = f'{_SYS}/block/{device.removeprefix(_DEV)}/device/delete'
        if not os.path.exists(path):
            return
        exc = exception.ExceptionChainer() if exc is None else exc
        if flush:
            with exc.context(force, 'Flushing %s failed', device):
                self.flush_device_io(device)
        LOG.debug('Remove SCSI device %(device)s with %(path)s',
                  {'device': device, 'path': path})
        with exc.context(force, 'Removing %s failed', device):
            self.echo_scsi_command(path, '1')

    def wait_for_volumes_removal(self, volumes_names: Iterable[str]) -> None:
        """Wait up to half a minute for the nodes of devices to go.

        :param volumes_names: kernel names such as sda
        :raises VolumePathNotRemoved: naming those still there
        """
        left = [_DEV + name for name in volumes_names]
        # Counted, not clocked: a service that was stopped meanwhile still looks once more.
        for number in range(int(_REMOVAL_TIMEOUT / _REMOVAL_POLL) + 1):
            if number:
                time.sleep(_REMOVAL_POLL)
            left = [path for path in left if os.path.exists(path)]
            if not left:
                return
            if number % 10 == 1:
                LOG.debug('Waiting for %s to be removed', ', '.join(left))
        raise exception.VolumePathNotRemoved(volume_path=left)

    def remove_connection(self, devices_names: Iterable[str], force: bool = False,
                          exc: Optional[exception.ExceptionChainer] = None,
                          path_used: Optional[str] = None,
                          was_multipath: bool = False) -> Optional[str]:
        """Remove the paths of a volume and the map over them.

        :param devices_names: kernel names such as sda
        :param force: store errors in `exc` and go on
        :param exc: collects errors
        :param path_used: what the caller did its I/O with
        :param was_multipath: whether that was a multipath device
        :returns: the kernel name of the map, such as dm-0, if it could not be flushed
        """
        names = set(devices_names)
        if not names:
            return None
        exc = exception.ExceptionChainer() if exc is None else exc
        left_map, daemon_runs = self._flush_map_of(names, force, exc)

        for name in sorted(names):
            flush = self.requires_flush(_DEV + name, path_used, was_multipath)
            self.remove_scsi_device(_DEV + name, force, exc, flush)
        with exc.context(force, 'Some devices remain from %s', sorted(names)):
            try:
                self.wait_for_volumes_removal(sorted(names))
            finally:
                # The next disk with one of these names must not inherit an identity.
                self._remove_scsi_symlinks(names)
        if daemon_runs:
            self._forget_paths(names)
        return left_map

    def _flush_map_of(self, names: set[str], force: bool,
                      exc: exception.ExceptionChainer) -> tuple[Optional[str], bool]:
        """Flush the map over the devices.

        :returns: its kernel name if that failed, and whether multipathd runs
        """
        dm = self.find_sysfs_multipath_dm(sorted(names))
        name = self.get_dm_name(dm) if dm else ''
        if not name:
            return None, self.is_multipath_running(root_helper=self._root_helper,
                                                   execute=self._injected_execute())
        with exc.context(force, 'Flushing %s failed', name):
            self.flush_multipath_device(name)
            dm = None
        return dm, True

    def _forget_paths(self, names: set[str]) -> None:
        try:
            self.wait_multipathd_remove_paths(names)
        except exception.MultipathdPathsNotRemoved:
            # Only now: earlier, it would meet the removal multipathd does by itself.
            LOG.debug('multipathd still lists some of %s, removing them', sorted(names))
            for name in sorted(names):
                self.multipath_del_path(_DEV + name)

    def _remove_scsi_symlinks(self, devices_names: Iterable[str]) -> None:
        devices = {_DEV + name for name in devices_names}
        links = [link for link in glob.glob('/dev/disk/by-id/scsi-*')
                 if os.path.realpath(link) in devices]
        if links:
            priv_rootwrap.unlink_root(*links, no_errors=True)

    @utils.retry((putils.ProcessExecutionError, exception.BrickException), retries=3)
    def multipath_del_map(self, mpath: str) -> None:
        """Let multipathd give up a map and see that it goes.

        :param mpath: its kernel name, such as dm-0
        :raises BrickException: it is still there
        """
        name = self.get_dm_name(mpath)
        if name:
            self._run_as_root('multipathd', 'del', 'map', name, timeout=5)
            if self.get_dm_name(mpath):
                raise exception.BrickException("Multipath doesn't go away")
        LOG.debug('Multipath %s no longer present', mpath)

    @utils.retry(exception.BlockDeviceReadOnly, retries=5)
    def wait_for_rw(self, wwn: str, device_path: str) -> None:
        """Wait until the map of a volume, and of its partitions, can be written.

        :param wwn: the identity of the volume
        :param device_path: named in the error
        :raises BlockDeviceReadOnly: it cannot after some reloads
        """
        read_only = self._read_only_maps(wwn)
        if not read_only:
            return
        LOG.debug('%(maps)s of %(device)s are read-only',
                  {'maps': ', '.join(read_only), 'device': device_path})
        self._run_as_root('multipath', '-r', check_exit_code=[0, 1, 21])
        raise exception.BlockDeviceReadOnly(device=device_path)

    def extend_volume(self, volume_paths: list, use_multipath: bool = False) -> Optional[int]:
        """Let the kernel see the new size of a volume.

        :param volume_paths: all of its paths
        :param use_multipath: resize the map over them too
        :returns: the new size in bytes
        :raises BrickException: a path is down; nothing has been changed then
        """
        for path in volume_paths:
            if not utils.check_valid_device(self, path):
                LOG.error('Path status is down for path %s', path)
                raise exception.BrickException('All paths need to be up to extend the device.')
        new_size = None
        for path in volume_paths:
            new_size = self._rescan_size(path)
        if use_multipath:
            mpath = self.find_multipath_device_path(self.get_scsi_wwn(volume_paths[0]))
            if mpath:
                self.multipath_reconfigure()
                self.multipath_resize_map(os.path.realpath(mpath))
                new_size = utils.get_device_size(self, mpath)
                LOG.info('mpath(%(device)s) new size %(size)s',
                         {'device': mpath, 'size': new_size})
        return new_size

    def _rescan_size(self, path: str) -> Optional[int]:
        info = self.get_device_info(path)
        address = ':'.join(str(info[part]) for part in ('host', 'channel', 'id', 'lun'))
        self.echo_scsi_command(f'/sys/bus/scsi/drivers/sd/{address}/rescan', '1')
        size = utils.get_device_size(self, path)
        LOG.debug('Size of %(path)s after the rescan: %(size)s', {'path': path, 'size': size})
        return size
