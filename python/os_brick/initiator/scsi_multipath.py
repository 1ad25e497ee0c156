# SPDX-License-Identifier: Apache-2.0
"""The commands of multipath-tools, each with the one reading of its output."""

import os
import re
import time
from typing import Any, Callable, Optional

from oslo_concurrency import processutils as putils
from oslo_config import cfg
from oslo_log import log as logging

from os_brick import exception
from os_brick import executor
from os_brick import utils
from os_brick.privileged import rootwrap as priv_rootwrap

LOG = logging.getLogger(__name__)
CONF = cfg.CONF

#: A line of multipath's log in front of its output.
MULTIPATH_ERROR_REGEX = re.compile(r"\w{3} \d+ \d\d:\d\d:\d\d \|.*$")
#: The identity of a map that goes by another name.
MULTIPATH_WWID_REGEX = re.compile(r"\((?P<wwid>.+)\)")
#: What multipath may say it did, in front of a map's name.
MULTIPATH_DEVICE_ACTIONS = ['unchanged:', 'reject:', 'reload:',
                            'switchpg:', 'rename:', 'create:',
                            'resize:']
#: Seconds to go on asking a multipathd that is busy to resize a map.
MULTIPATHD_RESIZE_TIMEOUT = 120

# `multipathd show status` of old versions exits 0 with this when no daemon answers.
_NO_DAEMON = 'error receiving packet'
_PATH_LINE = re.compile(r'[\s|`-]*(\d+):(\d+):(\d+):(\d+)\s+(\S+)')


class MultipathCommands(executor.Executor):
    """Asks multipath and multipathd."""

    def _run_as_root(self, *cmd: str, **kwargs: Any) -> tuple[str, str]:
        return self._execute(*cmd, run_as_root=True, root_helper=self._root_helper, **kwargs)

    @staticmethod
    def is_multipath_running(root_helper: Optional[str],
                             execute: Optional[Callable] = None) -> bool:
        """Tell whether multipathd runs; a missing program counts as no.

        :param root_helper: see `os_brick.executor.Executor`
        :param execute: see there
        """
        if execute is None:
            execute = priv_rootwrap.execute
        try:
            out, _err = execute('multipathd', 'show', 'status', run_as_root=True,
                                root_helper=root_helper)
        except putils.ProcessExecutionError as exc:
            LOG.debug('multipathd does not run: %s', exc)
            return False
        return not (out and out.startswith(_NO_DAEMON))

    def find_multipath_device(self, device: str) -> Optional[dict[str, Any]]:
        """Ask multipath for the map over a device.

        :param device: a kernel device such as /dev/sda
        :returns: device (/dev/mapper/...), id, name and devices, each of those with
            device, host, channel, id and lun; None if there is no map
        :raises CommandExecutionFailed: multipath failed
        """
        try:
            out, _err = self._run_as_root('multipath', '-l', device)
        except putils.ProcessExecutionError as exc:
            LOG.warning('multipath call failed exit %s', exc.exit_code)
            raise exception.CommandExecutionFailed(cmd=f'multipath -l {device}')
        lines = [line for line in (out or '').strip().split('\n')
                 if line.strip() and not MULTIPATH_ERROR_REGEX.match(line)]
        return self._parse_map(lines) if lines else None

    @staticmethod
    def _parse_map(lines: list[str]) -> Optional[dict[str, Any]]:
        words = lines[0].split()
        name = words[1] if words[0] in MULTIPATH_DEVICE_ACTIONS else words[0]
        device = f'/dev/mapper/{name}'
        if not os.path.exists(device):
            LOG.warning("Couldn't find multipath device %s", device)
            return None
        wwid = MULTIPATH_WWID_REGEX.search(lines[0])
        paths = []
        for match in filter(None, map(_PATH_LINE.match, lines[1:])):
            host, channel, target, lun, path = match.groups()
            paths.append({'device': f'/dev/{path}', 'host': host, 'channel': channel,
                          'id': target, 'lun': lun})
        return {'device': device, 'id': wwid.group('wwid') if wwid else name, 'name': name,
                'devices': paths}

    def find_multipath_device_path(self, wwn: str) -> Optional[str]:
        """Wait a few seconds for the map of a volume.

        :param wwn: the identity of the volume
        :returns: udev's link to the map, or /dev/mapper/<wwn>, or None
        """
        LOG.info('Find Multipath device file for volume WWN %s', wwn)
        for path in (f'/dev/disk/by-id/dm-uuid-mpath-{wwn}', f'/dev/mapper/{wwn}'):
            try:
                self.wait_for_path(path)
                return path
            except exception.VolumeDeviceNotFound:
                LOG.debug('No multipath device at %s', path)
        LOG.warning("couldn't find a valid multipath device path for %s", wwn)
        return None

    @utils.retry(exception.VolumeDeviceNotFound)
    def wait_for_path(self, volume_path: str) -> None:
        """Wait a few seconds for a path to appear.

        :raises VolumeDeviceNotFound: it did not
        """
        if not os.path.exists(volume_path):
            raise exception.VolumeDeviceNotFound(device=volume_path)

    def wait_for_mpath_device(self, mpath: str) -> None:
        """Wait until a map can do I/O, as long as [os_brick] wait_mpath_device_* says.

        :param mpath: its kernel name, such as dm-0
        :raises ProcessExecutionError: it could not in time
        """
        try:
            self._run_as_root('multipath', '-C', mpath,
                              attempts=CONF.os_brick.wait_mpath_device_attempts,
                              interval=CONF.os_brick.wait_mpath_device_interval)
        except putils.ProcessExecutionError as exc:
            LOG.error('Failed to get mpath device %(mpath)s ready for I/O: %(error)s',
                      {'mpath': mpath, 'error': exc})
            raise

    def flush_multipath_device(self, device_map_name: str) -> None:
        """Flush and remove a map, with two retries.

        :param device_map_name: the name device-mapper has for it; never its identity,
            for which multipath does nothing and reports success
        :raises ProcessExecutionError: it is still there
        """
        LOG.debug('Flush multipath device %s', device_map_name)
        self._run_as_root('multipath', '-f', device_map_name, attempts=3, timeout=300,
                          interval=10)

    def multipath_reconfigure(self) -> str:
        """Let multipathd read the state of all devices again; return what it says."""
        out, _err = self._run_as_root('multipathd', 'reconfigure')
        return out

    def multipath_resize_map(self, dm_path: str) -> None:
        """Let a map take the size of its paths.

        :param dm_path: its kernel device, such as /dev/dm-0
        :raises ProcessExecutionError: multipathd refused, or was busy for two minutes
        """
        deadline = time.monotonic() + MULTIPATHD_RESIZE_TIMEOUT
        while True:
            try:
                self._multipath_resize_map(dm_path)
                return
            except putils.ProcessExecutionError as exc:
                # multipathd says so while it reconfigures itself.
                if 'timeout' not in (exc.stdout or '') or time.monotonic() >= deadline:
                    raise
                LOG.debug('multipathd is busy, resizing %s again in a second', dm_path)
                time.sleep(1)

    def _multipath_resize_map(self, dm_path: str) -> str:
        cmd = ('multipathd', 'resize', 'map', dm_path)
        out, err = self._run_as_root(*cmd)
        # It exits with 0 whatever happened.
        if 'fail' in out or 'timeout' in out:
            raise putils.ProcessExecutionError(stdout=out, stderr=err, exit_code=1,
                                               cmd=' '.join(cmd))
        return out

    def multipath_add_wwid(self, wwid: str) -> bool:
        """Let multipath make a map for this identity even over one path.

        :returns: whether it was added
        """
        out, _err = self._run_as_root('multipath', '-a', wwid, check_exit_code=False)
        return out.strip() == f"wwid '{wwid}' added"

    def multipath_add_path(self, realpath: str) -> bool:
        """Let multipathd look at a path such as /dev/sda again; tell whether it did."""
        return self._multipathd_path('add', realpath)

    def multipath_del_path(self, realpath: str) -> bool:
        """Let multipathd forget a path such as /dev/sda; tell whether it did."""
        return self._multipathd_path('del', realpath)

    def _multipathd_path(self, action: str, realpath: str) -> bool:
        out, _err = self._run_as_root('multipathd', action, 'path', realpath, timeout=5,
                                      check_exit_code=False)
        return out.strip() == 'ok'

    def multipath_show_paths(self, fmt: str) -> str:
        """Return multipathd's list of paths in a format such as %d."""
        out, _err = self._run_as_root('multipathd', 'show', 'paths', 'raw', 'format', fmt,
                                      timeout=5, check_exit_code=False)
        return out

    @utils.retry(exception.MultipathdPathsNotRemoved)
    def wait_multipathd_remove_paths(self, existing_devices: set[str]) -> None:
        """Wait a few seconds for multipathd to notice that devices are gone.

        :param existing_devices: kernel names such as sda
        :raises MultipathdPathsNotRemoved: it still lists one
        """
        listed = set(self.multipath_show_paths('%d').split())
        if listed.intersection(existing_devices):
            raise exception.MultipathdPathsNotRemoved(devices=existing_devices)
