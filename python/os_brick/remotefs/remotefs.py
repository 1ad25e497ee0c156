# SPDX-License-Identifier: Apache-2.0
"""Mounts file systems of other hosts, each share at a place of its own below a base.

Nothing is unmounted here: other volumes, of other services too, may be files of the same
share.  Virtuozzo Storage, whose shares carry a password, has `vzstorage_share` beside it.
"""

from collections.abc import Iterator
import hashlib
import os
import re
import shutil
import tempfile
from typing import Any, Callable, Optional, Sequence

from oslo_concurrency import lockutils
from oslo_concurrency import processutils
from oslo_log import log as logging

from os_brick import exception
from os_brick import executor
from os_brick.i18n import _
from os_brick.remotefs import vzstorage_share

LOG = logging.getLogger(__name__)

_MOUNTS = '/proc/mounts'
_VZSTORAGE_CLUSTERS = '/etc/pstorage/clusters'
# What the keyword arguments of each file system begin with.
_OPTION_PREFIXES = {
    'nfs': 'nfs',
    'cifs': 'smbfs',
    'glusterfs': 'glusterfs',
    'vzstorage': 'vzstorage',
    'quobyte': 'quobyte',
    'scality': 'scality',
}
_NFS_VERSION = re.compile(r'nfsvers|vers|v\d')
# The kernel writes blanks and backslashes of a path as three octal digits.
_ESCAPED = re.compile(r'\\([0-7]{3})')


class RemoteFsClient(executor.Executor):
    """Mounts shares of one kind of file system."""

    def __init__(self, mount_type: str, root_helper: Optional[str],
                 execute: Optional[Callable] = None, *args: Any, **kwargs: Any) -> None:
        """Keep the choices of the caller; the host is not touched.

        :param mount_type: nfs, cifs, glusterfs, vzstorage, quobyte or scality
        :param kwargs: `<prefix>_mount_point_base`, the directory of the mount points, is
            needed, `<prefix>_mount_options` not; the prefix is the type, smbfs for cifs
        :raises ProtocolNotSupported: another type
        :raises InvalidParameterValue: the base is missing
        """
        super().__init__(root_helper, execute, *args, **kwargs)
        if mount_type not in _OPTION_PREFIXES:
            raise exception.ProtocolNotSupported(protocol=mount_type)
        prefix = _OPTION_PREFIXES[mount_type]
        self._mount_type = mount_type
        self._mount_base: str = kwargs.get(prefix + '_mount_point_base') or ''
        if not self._mount_base:
            raise exception.InvalidParameterValue(
                err=_('%s_mount_point_base required') % prefix)
        self._mount_options: Optional[str] = kwargs.get(prefix + '_mount_options')
        if mount_type == 'nfs':
            self._check_nfs_options()

    def get_mount_base(self) -> str:
        """Return the directory of the mount points."""
        return self._mount_base

    def _get_hash_str(self, base_str: Any) -> str:
        if isinstance(base_str, str):
            base_str = base_str.encode('utf-8')
        # A name, not a proof: hosts in FIPS mode refuse md5 for security only.
        return hashlib.md5(base_str, usedforsecurity=False).hexdigest()

    def get_mount_point(self, device_name: str) -> str:
        """Return the directory where a share is mounted, whether it is there or not."""
        return os.path.join(self._mount_base, self._get_hash_str(device_name))

    def _read_mounts(self) -> dict[str, str]:
        """Return what is mounted now, as mount point -> device.

        Asking `mount` instead would wait for its lock while others mount.
        """
        with open(_MOUNTS, errors='surrogateescape') as stream:
            entries = [line.split() for line in stream]
        return {_unescaped(words[1]): _unescaped(words[0]) for words in entries
                if len(words) > 1 and words[0] != '#'}

    def _is_mounted(self, mount_path: str) -> bool:
        mounts = self._read_mounts()
        if mount_path in mounts:
            return True
        # The kernel knows no links.  The last component is not looked at: a server that
        # is down would keep us waiting.
        parent, name = os.path.split(mount_path.rstrip('/'))
        return os.path.join(os.path.realpath(parent), name) in mounts

    def mount(self, share: str, flags: Optional[Sequence[str]] = None) -> None:
        """Mount a share at its mount point, if it is not there already.

        :param flags: further arguments of `mount`
        :raises InvalidParameterValue: the share is no name of one
        :raises BrickException: no version of NFS worked
        :raises ProcessExecutionError: another file system could not be mounted
        """
        self._check_share(share)
        mount_path = self.get_mount_point(share)
        self._mount_once(mount_path, lambda: self._mount_share(share, mount_path, flags))

    def _mount_once(self, mount_path: str, mount: Callable[[], None]) -> None:
        """Call `mount` unless something is mounted there or another thread sees to it.

        Two mounts at a time would put one FUSE file system over the other.
        """
        if not self._is_mounted(mount_path):
            with lockutils.lock(f'os-brick-mount-{mount_path}', do_log=False):
                if not self._is_mounted(mount_path):
                    # It stays when the mount fails: another process may just be using it.
                    self._execute('mkdir', '-p', mount_path, check_exit_code=0)
                    mount()
                    return
        LOG.debug('Already mounted: %s', mount_path)

    def _mount_share(self, share: str, mount_path: str,
                     flags: Optional[Sequence[str]]) -> None:
        if self._mount_type == 'nfs':
            self._mount_nfs(share, mount_path, flags)
        else:
            self._do_mount(self._mount_type, share, mount_path, self._mount_options, flags)

    def _check_share(self, share: Any) -> None:
        if (not isinstance(share, str) or not share.strip() or share.startswith('-')
                or not share.isprintable()):
            raise exception.InvalidParameterValue(
                err=_('%(type)s share %(share)r cannot be mounted')
                % {'type': self._mount_type, 'share': self._shown(share)})

    def _shown(self, share: Any) -> Any:
        """Return the share as logs and exceptions may show it."""
        return share

    def _do_mount(self, mount_type: str, share: str, mount_path: str,
                  mount_options: Optional[str] = None,
                  flags: Optional[Sequence[str]] = None) -> None:
        command = ['mount', '-t', mount_type]
        if mount_options is not None:
            command += ['-o', mount_options]
        self._run_mount([*command, *(flags or ()), share, mount_path], share, mount_path)

    def _run_mount(self, command: list[str], share: str, mount_path: str) -> None:
        """Run a command that mounts a share; another process may be quicker.

        :raises ProcessExecutionError: it failed and the share is not mounted
        """
        occupied = self._is_mounted(mount_path)
        try:
            self._execute(*command, root_helper=self._root_helper, run_as_root=True,
                          check_exit_code=0)
        except processutils.ProcessExecutionError as exc:
            # NFS says `busy or already mounted` of shares that are not mounted, too, and
            # others say it in other words.  What was there before may be another share.
            if self._is_mounted(mount_path) and (
                    not occupied or 'already mounted' in (exc.stderr or '')):
                LOG.debug('Already mounted: %s', mount_path)
                return
            LOG.debug('Failed to mount %(share)s, reason: %(reason)s',
                      {'share': self._shown(share), 'reason': exc.stderr})
            raise

    def _mount_nfs(self, nfs_share: str, mount_path: str,
                   flags: Optional[Sequence[str]] = None) -> None:
        """Mount an NFS share with the newest version that works.

        :raises BrickException: none does; it tells why each did not
        """
        attempts = self._nfs_mount_type_opts
        if _names_a_version(_options_in(flags)):
            attempts = {'nfs': self._mount_options}
        errors = {}
        for name in sorted(attempts, reverse=True):
            try:
                self._do_mount('nfs', nfs_share, mount_path, attempts[name], flags)
            except Exception as exc:
                errors[name] = str(exc)
                LOG.debug('Failed to do %s mount.', name)
            else:
                LOG.debug('Mounted %(share)s using %(name)s.',
                          {'share': nfs_share, 'name': name})
                return
        raise exception.BrickException(
            _('NFS mount failed for share %(sh)s. Error - %(error)s')
            % {'sh': nfs_share, 'error': errors})

    def _check_nfs_options(self) -> None:
        """Set the options of each attempt, by names that sort the newest version last."""
        options = self._mount_options
        self._nfs_mount_type_opts = {'nfs': options}
        if not _names_a_version(_split(options)):
            # mount.nfs does not try the versions that know pNFS by itself.
            for minor in ('1', '2'):
                self._nfs_mount_type_opts['nfs_4.' + minor] = ','.join(
                    [option for option in _split(options)
                     if not option.startswith('minorversion')]
                    + ['vers=4', 'minorversion=' + minor])


class ScalityRemoteFsClient(RemoteFsClient):
    """Mounts the one Scality file system a host can have."""

    def __init__(self, mount_type: str, root_helper: Optional[str],
                 execute: Optional[Callable] = None, *args: Any, **kwargs: Any) -> None:
        """Keep the choices of the caller; see RemoteFsClient."""
        super().__init__(mount_type, root_helper, execute, *args, **kwargs)
        self._mount_base = (kwargs.get('scality_mount_point_base') or '').rstrip('/')
        if not self._mount_base:
            raise exception.InvalidParameterValue(err=_('scality_mount_point_base required'))
        self._mount_options = None

    def get_mount_point(self, device_name: str) -> str:
        """Return the directory of a volume in the file system."""
        return os.path.join(self._mount_base, device_name, '00')

    def mount(self, share: str, flags: Optional[Sequence[str]] = None) -> None:
        """Mount the file system, whatever the arguments."""
        self._mount_once(self._mount_base, lambda: self._do_mount(
            'sofs', '/etc/sfused.conf', self._mount_base))


class VZStorageRemoteFSClient(RemoteFsClient):
    """Mounts clusters of Virtuozzo Storage."""

    def _check_share(self, share: Any) -> None:
        super()._check_share(share)
        vzstorage_share.parse(share)

    def _shown(self, share: Any) -> Any:
        return vzstorage_share.shown(share)

    def _do_mount(self, mount_type: str, vz_share: str, mount_path: str,
                  mount_options: Optional[str] = None,
                  flags: Optional[Sequence[str]] = None) -> None:
        servers, cluster, password = vzstorage_share.parse(vz_share)
        if servers:
            self._vzstorage_write_mds_list(cluster, servers)
        if password:
            # By its standard input: arguments are for everybody to see.
            self._execute('pstorage', '-c', cluster, 'auth-node', '-P',
                          process_input=password, root_helper=self._root_helper,
                          run_as_root=True)
        self._run_mount(['pstorage-mount', '-c', cluster, *(flags or ()), mount_path],
                        vz_share, mount_path)

    def _vzstorage_write_mds_list(self, cluster_name: str, mdss: Sequence[str]) -> None:
        """Tell the cluster's configuration where its metadata servers are."""
        configuration = os.path.join(_VZSTORAGE_CLUSTERS, cluster_name)
        made = tempfile.mkdtemp(prefix='vzstorage-')
        try:
            servers = os.path.join(made, 'bs_list')
            with open(servers, 'w') as stream:
                for server in mdss:
                    stream.write(server + '\n')
            if os.path.exists(configuration):
                copy = ('cp', '-f', servers, os.path.join(configuration, 'bs_list'))
            else:
                copy = ('cp', '-rf', made, configuration)
            for command in (copy, ('chown', '-R', 'root:root', configuration)):
                self._execute(*command, root_helper=self._root_helper, run_as_root=True)
        finally:
            shutil.rmtree(made, ignore_errors=True)


def _unescaped(path: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 8)), path)


def _split(options: Optional[str]) -> list[str]:
    return [option.strip() for option in options.split(',')] if options else []


def _names_a_version(options: Sequence[str]) -> bool:
    return any(_NFS_VERSION.match(option) for option in options)


def _options_in(flags: Optional[Sequence[str]]) -> list[str]:
    """Return the mount options among the arguments of `mount`."""
    def texts() -> Iterator[str]:
        words = iter(flags or ())
        for word in words:
            if word in ('-o', '--options'):
                yield next(words, '')
            elif word.startswith('--options='):
                yield word.removeprefix('--options=')
            elif word.startswith('-o'):
                yield word[2:]
    return [option for text in texts() for option in _split(text)]
