# SPDX-License-Identifier: Apache-2.0
"""One volume group of LVM: its volumes, snapshots and thin pool.

What LVM's reports say is read in `lvm_report`; here is what is run, and when.
"""

import contextlib
import os
from typing import Any, Callable, Optional

from oslo_concurrency import processutils as putils
from oslo_log import log as logging

from os_brick import exception
from os_brick import executor as brick_executor
from os_brick import utils
from os_brick.i18n import _
from os_brick.local_dev import lvm_programs
from os_brick.local_dev import lvm_report
from os_brick.local_dev import lvm_sizes
from os_brick.privileged import rootwrap as priv_rootwrap

LOG = logging.getLogger(__name__)


class LVM(brick_executor.Executor):
    """A volume group.

    :ivar pv_list: its physical volumes, as `get_physical_volumes` returns them
    :ivar vg_thin_pool: the name of its thin pool; None without one
    :ivar vg_size: gibibytes, like the other sizes, known by `update_volume_group_info`
    """

    #: How programs that report are started.  Every object has its own; this one, of the
    #: object made last, is for the static methods.
    LVM_CMD_PREFIX = ['env', 'LC_ALL=C']

    def __init__(self, vg_name: str, root_helper: str, create_vg: bool = False,
                 physical_volumes: Optional[list] = None,
                 lvm_type: Optional[str] = 'default',
                 executor: Optional[Callable[..., tuple[str, str]]] = None,
                 lvm_conf: Optional[str] = None,
                 suppress_fd_warn: Optional[bool] = False) -> None:
        """Find the volume group, or create it.

        :param create_vg: create it from `physical_volumes`, the paths of devices
        :param lvm_type: `thin` makes and activates the pool `<group>-pool`
        :param executor: see `os_brick.executor.Executor`
        :param lvm_conf: a configuration file to use instead of the host's
        :param suppress_fd_warn: keep LVM from warning of inherited descriptors
        :raises InvalidParameterValue: a name makes no sense
        :raises VolumeGroupCreationFailed: it could not be created
        :raises VolumeGroupNotFound: it does not exist
        """
        super().__init__(execute=executor, root_helper=root_helper)
        lvm_programs.check_name('volume group', vg_name)
        self.vg_name = vg_name
        self.pv_list: list[dict[str, Any]] = []
        self.vg_size = 0.0
        self.vg_free_space = 0.0
        self.vg_lv_count = 0
        self.vg_uuid: Optional[str] = None
        self.vg_thin_pool: Optional[str] = None
        self.vg_thin_pool_size = 0.0
        self.vg_thin_pool_free_space = 0.0
        self.vg_provisioned_capacity = 0.0
        self._set_environment(lvm_conf, suppress_fd_warn)

        if create_vg and physical_volumes is not None:
            self._create_group(physical_volumes)
        if not self._vg_exists():
            LOG.error('Unable to locate Volume Group %s', vg_name)
            raise exception.VolumeGroupNotFound(vg_name=vg_name)
        if lvm_type == 'thin':
            self._prepare_thin_pool()
        self.get_physical_volumes()

    def _set_environment(self, lvm_conf: Optional[str],
                         suppress_fd_warn: Optional[bool]) -> None:
        prefix = ['env', 'LC_ALL=C']
        # Programs that change something are started without, unless they need the conf.
        self._change_prefix: list[str] = []
        if lvm_conf and os.path.isfile(lvm_conf):
            prefix.append('LVM_SYSTEM_DIR=' + os.path.dirname(os.path.abspath(lvm_conf)))
            self._change_prefix = prefix
        if suppress_fd_warn:
            prefix.append('LVM_SUPPRESS_FD_WARNINGS=1')
        self.LVM_CMD_PREFIX = LVM.LVM_CMD_PREFIX = prefix

    def _create_group(self, physical_volumes: list[str]) -> None:
        try:
            with lvm_programs.logged('Error creating Volume Group'):
                self._create_vg(physical_volumes)
        except putils.ProcessExecutionError as exc:
            raise exception.VolumeGroupCreationFailed(vg_name=self.vg_name) from exc

    def _prepare_thin_pool(self) -> None:
        pool = f'{self.vg_name}-pool'
        if self.get_volume(pool) is None:
            try:
                self.create_thin_pool(pool)
            except putils.ProcessExecutionError:
                # Another service that starts now may have been quicker.
                if self.get_volume(pool) is None:
                    raise
        self.vg_thin_pool = pool
        self.activate_lv(pool)

    def _change(self, *command: str, **options: Any) -> None:
        """Run a program that changes something."""
        self._execute(*self._change_prefix, *command, root_helper=self._root_helper,
                      run_as_root=True, **options)

    def _query(self, command: list[str]) -> tuple[str, str]:
        """Run a program that reports, or one LVM is known to crash in."""
        return self._run_lvm_command(self.LVM_CMD_PREFIX + command)

    @lvm_programs.retry_crash
    def _run_lvm_command(self, cmd_arg_list: list[str], root_helper: Optional[str] = None,
                         run_as_root: bool = True) -> tuple[str, str]:
        return self._execute(*cmd_arg_list, root_helper=root_helper or self._root_helper,
                             run_as_root=run_as_root)

    def _path(self, name: Any, kind: str = 'volume') -> str:
        """Return how programs know a volume.

        :raises InvalidParameterValue: it is no name; with an empty one they would take
            the whole group
        """
        lvm_programs.check_name(kind, name)
        return f'{self.vg_name}/{name}'

    def _vg_exists(self) -> bool:
        return self.vg_name in lvm_report.group_field(self._query, 'name', self.vg_name)

    def _create_vg(self, pv_list: list[str]) -> None:
        if (not isinstance(pv_list, (list, tuple)) or not pv_list
                or any(not isinstance(pv, str) or pv[:1] in ('', '-') for pv in pv_list)):
            raise exception.InvalidParameterValue(
                err=_('physical_volumes %r are no list of paths') % (pv_list,))
        self._change('vgcreate', self.vg_name, *pv_list)

    def _get_vg_uuid(self) -> list[str]:
        return lvm_report.group_field(self._query, 'uuid', self.vg_name)

    def _get_thin_pool_free_space(self, vg_name: str, thin_pool_name: str) -> float:
        """Return the free gibibytes of a thin pool, 0 if they cannot be found out."""
        try:
            with lvm_programs.logged('Error querying thin pool about data_percent'):
                return lvm_report.thin_pool_free_space(self._query, vg_name, thin_pool_name)
        except putils.ProcessExecutionError:
            return 0.0

    @staticmethod
    def get_lvm_version(root_helper: str) -> tuple:
        """Return the version of LVM as three numbers.

        :raises BrickException: it does not tell it
        """
        return lvm_report.version(_static_query(root_helper))

    @staticmethod
    def get_lv_info(root_helper: str, vg_name: Optional[str] = None,
                    lv_name: Optional[str] = None) -> list[dict[str, Any]]:
        """Return `vg`, `name` and `size` (a text) of volumes, nothing if there are none.

        :param vg_name: those of this group only
        :param lv_name: this volume of the group only
        """
        return lvm_report.logical_volumes(_static_query(root_helper), vg_name, lv_name)

    def get_volumes(self, lv_name: Optional[str] = None) -> list[dict]:
        """Return the volumes of the group, or one of them; see `get_lv_info`."""
        return lvm_report.logical_volumes(self._query, self.vg_name, lv_name)

    def get_volume(self, name: str) -> Optional[dict]:
        """Return a volume of the group, or None."""
        return next((volume for volume in self.get_volumes(name) if volume['name'] == name),
                    None)

    @staticmethod
    def get_all_physical_volumes(root_helper: str,
                                 vg_name: Optional[str] = None) -> list[dict[str, Any]]:
        """Return `vg`, `name`, `size` and `available` of the host's physical volumes."""
        return lvm_report.physical_volumes(_static_query(root_helper), vg_name)

    def get_physical_volumes(self) -> list[dict[str, Any]]:
        """Return the physical volumes of the group, and remember them."""
        self.pv_list = lvm_report.physical_volumes(self._query, self.vg_name)
        return self.pv_list

    @staticmethod
    def get_all_volume_groups(root_helper: str,
                              vg_name: Optional[str] = None) -> list[dict[str, Any]]:
        """Return `name`, `size`, `available`, `lv_count` and `uuid` of volume groups.

        :raises ProcessExecutionError: the one asked for does not exist
        """
        return lvm_report.volume_groups(_static_query(root_helper), vg_name)

    def update_volume_group_info(self) -> None:
        """Read sizes and counts of the group anew.

        :raises VolumeGroupNotFound: it is gone
        """
        try:
            groups = lvm_report.volume_groups(self._query, self.vg_name)
        except putils.ProcessExecutionError as exc:
            if not lvm_programs.says_not_found(exc):
                raise
            groups = []
        if len(groups) != 1:
            LOG.error('Unable to find VG: %s', self.vg_name)
            raise exception.VolumeGroupNotFound(vg_name=self.vg_name)
        self.vg_size = groups[0]['size']
        self.vg_free_space = groups[0]['available']
        self.vg_lv_count = groups[0]['lv_count']
        self.vg_uuid = groups[0]['uuid']
        provisioned = 0.0
        if self.vg_thin_pool is not None:
            # Asked for the pool alone, lvs would not show the volumes in it.
            for volume in self.get_volumes():
                size = lvm_report.number(volume['size'])
                if volume['name'] != self.vg_thin_pool:
                    provisioned += size
                    continue
                self.vg_thin_pool_size = size
                self.vg_thin_pool_free_space = self._get_thin_pool_free_space(
                    self.vg_name, self.vg_thin_pool)
        self.vg_provisioned_capacity = round(provisioned, 2)

    def _calculate_thin_pool_size(self) -> list[str]:
        """Return the size arguments of a new pool; LVM itself leaves room for metadata."""
        self.update_volume_group_info()
        return ['-l', '100%FREE']

    def create_thin_pool(self, name: Optional[str] = None) -> None:
        """Make a thin pool of all the free space and use it from now on.

        :param name: `<group>-pool` by default
        """
        name = f'{self.vg_name}-pool' if name is None else name
        path = self._path(name)
        size = self._calculate_thin_pool_size()
        LOG.debug('Creating thin pool %(pool)s with size %(size)s of %(free)sg',
                  {'pool': path, 'size': size, 'free': self.vg_free_space})
        self._query(['lvcreate', '-T', *size, path])
        self.vg_thin_pool = name

    def create_volume(self, name: str, size_str: str, lv_type: str = 'default',
                      mirror_count: int = 0) -> None:
        """Create a volume.

        :param size_str: a number with a unit, `10g`
        :param lv_type: `thin` takes it from the thin pool
        :param mirror_count: how many copies to keep beside the volume
        """
        lvm_programs.check_name('volume', name)
        lvm_sizes.gibibytes(size_str)
        if lv_type == 'thin':
            command = ['lvcreate', '-T', '-V', size_str, '-n', name,
                       self._path(self.vg_thin_pool, 'thin pool')]
        else:
            command = ['lvcreate', '-n', name, self.vg_name, '-L', size_str]
        if mirror_count > 0:
            command += lvm_sizes.mirror_options(size_str, mirror_count)
        with lvm_programs.logged('Error creating Volume'):
            self._query(command)

    @utils.retry(putils.ProcessExecutionError)
    def create_lv_snapshot(self, name: str, source_lv_name: str,
                           lv_type: str = 'default') -> None:
        """Create a snapshot; unless it is thin it may grow as large as its source.

        :raises VolumeDeviceNotFound: the source does not exist
        """
        lvm_programs.check_name('snapshot', name)
        source = self.get_volume(source_lv_name)
        if source is None:
            LOG.error('Trying to create snapshot by non-existent LV: %s', source_lv_name)
            raise exception.VolumeDeviceNotFound(device=source_lv_name)
        # What distributions do about activation by default differs.
        command = ['lvcreate', '--name', name, '-k', 'y', '--snapshot',
                   self._path(source_lv_name)]
        if lv_type != 'thin':
            command += ['-L', source['size'].rstrip('gG') + 'g']
        with lvm_programs.logged('Error creating snapshot'):
            self._query(command)

    def _mangle_lv_name(self, name: str) -> str:
        """Return the name callers give a volume LVM would refuse: it keeps `snapshot...`."""
        return '_' + name if name.startswith('snapshot') else name

    def _lv_is_active(self, name: str) -> bool:
        # Without --readonly, which does not look at the kernel's devices.
        path = self._path(self._mangle_lv_name(name))
        return lvm_report.attributes(self._query, path)[4:5] == 'a'

    def deactivate_lv(self, name: str) -> None:
        """Deactivate a volume, and see that it is.

        :raises ProcessExecutionError: it is in use
        :raises VolumeNotDeactivated: it is still active after a while
        """
        with lvm_programs.logged('Error deactivating LV'):
            self._change('lvchange', '-a', 'n', self._path(self._mangle_lv_name(name)))
        self._wait_for_volume_deactivation(name)

    @utils.retry(retry_param=exception.VolumeNotDeactivated, retries=5, backoff_rate=2)
    def _wait_for_volume_deactivation(self, name: str) -> None:
        if self._lv_is_active(name):
            LOG.debug('Volume %s is still active.', name)
            raise exception.VolumeNotDeactivated(name=name)

    def activate_lv(self, name: str, is_snapshot: bool = False,
                    permanent: bool = False) -> None:
        """Activate a volume or snapshot.

        :param is_snapshot: has no effect; snapshots and their origins go together
        :param permanent: activate it at each start of the host, too
        """
        # --yes because LVM asks about the origin, -K because snapshots are skipped.
        skip = ['-K', '-k', 'n'] if permanent else ['-K']
        with lvm_programs.logged('Error activating LV'):
            self._change('lvchange', '-a', 'y', '--yes', *skip,
                         self._path(self._mangle_lv_name(name)))

    @utils.retry(putils.ProcessExecutionError)
    def delete(self, name: str) -> None:
        """Remove a volume or snapshot.

        :raises ProcessExecutionError: it is in use, or there is none
        """
        lvm_programs.remove_volume(self._change, self._path(name))

    def revert(self, snapshot_name: str) -> None:
        """Make the origin of a snapshot what it was then; the snapshot goes."""
        self._change('lvconvert', '--merge', self._path(snapshot_name))

    def lv_has_snapshot(self, name: str) -> bool:
        """Tell whether a volume is the origin of a snapshot that is not thin."""
        attributes = lvm_report.attributes(self._query, self._path(name), '--readonly')
        return attributes[:1] in ('o', 'O')

    def extend_volume(self, lv_name: str, new_size: str) -> None:
        """Extend a volume.

        The origin of a snapshot is inactive meanwhile, so it must not be in use then.

        :param new_size: a number with a unit, `10g`
        """
        path = self._path(lv_name)
        lvm_sizes.gibibytes(new_size)
        has_snapshot = self.lv_has_snapshot(lv_name)
        if has_snapshot:
            self.deactivate_lv(lv_name)
        try:
            with lvm_programs.logged('Error extending Volume'):
                self._execute(*self.LVM_CMD_PREFIX, 'lvextend', '-L', new_size, path,
                              root_helper=self._root_helper, run_as_root=True)
        except putils.ProcessExecutionError:
            if has_snapshot:
                with contextlib.suppress(putils.ProcessExecutionError):
                    self.activate_lv(lv_name)
            raise
        if has_snapshot:
            self.activate_lv(lv_name)

    def vg_mirror_free_space(self, mirror_count: int) -> float:
        """Return the gibibytes that volumes with so many copies can still take."""
        return lvm_sizes.mirror_free_space((pv['available'] for pv in self.pv_list),
                                           mirror_count)

    def vg_mirror_size(self, mirror_count: int) -> float:
        """Return the free gibibytes of the group, shared by a volume and its copies."""
        return self.vg_free_space / (mirror_count + 1)

    def rename_volume(self, lv_name: str, new_name: str) -> None:
        """Rename a volume."""
        for name in (lv_name, new_name):
            lvm_programs.check_name('volume', name)
        with lvm_programs.logged('Error renaming logical volume'):
            self._change('lvrename', self.vg_name, lv_name, new_name)


def _static_query(root_helper: str) -> lvm_report.Query:
    """Return how to ask a program when there is no object."""
    @lvm_programs.retry_crash
    def query(command: list[str]) -> tuple[str, str]:
        return priv_rootwrap.execute(*LVM.LVM_CMD_PREFIX, *command, root_helper=root_helper,
                                     run_as_root=True)
    return query
