# SPDX-License-Identifier: Apache-2.0
"""Open CAS as a cache engine, driven by its program casadm."""

import os
from typing import Any, NamedTuple, Optional

from oslo_concurrency import processutils
from oslo_log import log as logging

from os_brick import caches
from os_brick import exception
from os_brick import executor

LOG = logging.getLogger(__name__)

#: Write policies that never leave data in the cache alone.
_NOTHING_DIRTY = ('wt', 'wa', 'pt')


class _Core(NamedTuple):
    """A cached device, as a line of `casadm -L` tells it."""

    core_id: str
    disk: str
    exported: str
    write_policy: str


def _same_device(one: str, other: str) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


class OpenCASEngine(executor.Executor, caches.CacheEngineBase):
    """Adds volumes to an instance of Open CAS that the operator has started."""

    def __init__(self, **kwargs: Any) -> None:
        """Take `root_helper`, `execute` and `opencas_cache_id`."""
        super().__init__(**kwargs)
        self.cache_id = kwargs.get('opencas_cache_id')

    def os_execute(self, *cmd: Any, **kwargs: Any) -> tuple[str, str]:
        """Run a command; log why it failed before raising that.

        :raises ProcessExecutionError: it failed
        """
        LOG.debug('os_execute: cmd: %s, args: %s', cmd, kwargs)
        try:
            return self._execute(*cmd, **kwargs)
        except processutils.ProcessExecutionError as exc:
            LOG.error('Cmd     :%s', exc.cmd)
            LOG.error('StdOut  :%s', exc.stdout)
            LOG.error('StdErr  :%s', exc.stderr)
            raise

    def _casadm(self, *words: str) -> str:
        out, _err = self.os_execute('casadm', *words, run_as_root=True,
                                    root_helper=self._root_helper)
        return out

    def _list(self) -> tuple[Optional[list[str]], list[_Core]]:
        """Return the words of our cache's line, None if it is not there, and its cores.

        The lines of a cache's cores follow its own::

            type    id   disk           status    write policy   device
            cache   1    /dev/nvme0n1   Running   wt             -
            └core   1    /dev/sdd       Active    -              /dev/cas1-1
        """
        ours, cores, inside = None, [], False
        for line in self._casadm('-L').splitlines():
            words = line.split()
            if len(words) < 6:
                continue
            if words[0] == 'cache':
                inside = words[1] == str(self.cache_id)
                ours = words if inside else ours
            elif inside and words[0].endswith('core'):
                cores.append(_Core(words[1], words[2], words[5], ours[4]))
        return ours, cores

    def is_engine_ready(self, **kwargs: Any) -> bool:
        """Tell whether our cache runs."""
        cache, _cores = self._list()
        return cache is not None and cache[3] == 'Running'

    def attach_volume(self, **kwargs: Any) -> str:
        """Add the device `dev_path` to the cache; return the cached device.

        :raises VolumePathsNotFound: there is no `dev_path`
        :raises BrickException: casadm does not list it afterwards
        """
        return self._map_casdisk(os.path.realpath(self._dev_path(kwargs)))

    def detach_volume(self, **kwargs: Any) -> str:
        """Take the cached device `dev_path` out of the cache; return the device below.

        :raises VolumePathsNotFound: there is no `dev_path`
        :raises BrickException: casadm does not list it
        """
        core = self._core_of(self._dev_path(kwargs))
        LOG.info('opencas: coreid=%s,coredev=%s', core.core_id, core.disk)
        if core.write_policy not in _NOTHING_DIRTY:
            # A core that is removed by force takes what is not on its disk yet with it.
            self._casadm('-F', '-i', str(self.cache_id), '-j', core.core_id)
        self._unmap_casdisk(core.core_id)
        return core.disk

    @staticmethod
    def _dev_path(kwargs: dict[str, Any]) -> str:
        path = kwargs.get('dev_path')
        if path is None:
            LOG.error('dev_path is not specified')
            raise exception.VolumePathsNotFound()
        return path

    def _get_mapped_casdev(self, core: str) -> str:
        for found in self._list()[1]:
            if _same_device(found.disk, core) and found.exported != '-':
                return found.exported
        raise exception.BrickException('Cannot find emulated device.')

    def _core_of(self, casdev: str) -> _Core:
        for found in self._list()[1]:
            if found.exported != '-' and _same_device(found.exported, casdev):
                return found
        raise exception.BrickException('Cannot find core device.')

    def _get_mapped_coredev(self, casdev: str) -> tuple[str, str]:
        core = self._core_of(casdev)
        return core.core_id, core.disk

    def _map_casdisk(self, core: str) -> str:
        self._casadm('-A', '-i', str(self.cache_id), '-d', core)
        try:
            return self._get_mapped_casdev(core)
        except Exception:
            self._undo_map(core)
            raise

    def _undo_map(self, core: str) -> None:
        try:
            for found in self._list()[1]:
                if _same_device(found.disk, core):
                    self._unmap_casdisk(found.core_id)
        except Exception as exc:
            LOG.warning('%(core)s remains in the cache: %(error)s',
                        {'core': core, 'error': exc})

    def _unmap_casdisk(self, coreid: str) -> None:
        self._casadm('-R', '-f', '-i', str(self.cache_id), '-j', coreid)
