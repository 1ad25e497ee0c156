# SPDX-License-Identifier: Apache-2.0
"""The host that is examined: its files, processes and sockets, all below one directory."""

import dataclasses
import errno
import os
import stat
from typing import Optional

#: Where programs of root are.
_PROGRAMS = ('/usr/sbin', '/sbin', '/usr/bin', '/bin', '/usr/local/sbin', '/usr/local/bin')
#: No file that is read here is larger in earnest.
_LIMIT = 16 * 1024 * 1024


class Unreadable(Exception):
    """A file is there and this user may not read it."""


@dataclasses.dataclass
class Host:
    """A machine by its root directory."""

    root: str = '/'
    #: Configuration files of services, as they were named; None to look for them.
    config_files: Optional[list[str]] = None
    #: Why multipathd gave no answer; it is not asked again then.
    silent: Optional[OSError] = None

    @property
    def is_this(self) -> bool:
        """Whether it is the machine this runs on, so that its daemons may be asked."""
        return self.root == '/'

    def path(self, name: str) -> str:
        """Return where a file of the machine is."""
        return os.path.join(self.root, name.lstrip('/'))

    def data(self, name: str) -> Optional[bytes]:
        """Return what is in a file, None if there is none.

        :raises Unreadable: this user may not read it
        """
        try:
            # A pipe in the place of a file must not be waited for.
            descriptor = os.open(self.path(name), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(descriptor, 'rb') as file:
                return file.read(_LIMIT)
        except PermissionError:
            raise Unreadable(f'{name} cannot be read by this user') from None
        except OSError as exc:
            if exc.errno in (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP):
                return None
            raise

    def text(self, name: str) -> Optional[str]:
        """Return the text of a file, None if there is none.

        :raises Unreadable: this user may not read it
        """
        data = self.data(name)
        return None if data is None else data.decode('utf-8', 'replace')

    def names(self, directory: str) -> list[str]:
        """Return what is in a directory, nothing if it is not there.

        :raises Unreadable: this user may not read it
        """
        try:
            return sorted(os.listdir(self.path(directory)))
        except PermissionError:
            raise Unreadable(f'{directory} cannot be read by this user') from None
        except (FileNotFoundError, NotADirectoryError):
            return []

    def is_file(self, name: str) -> bool:
        """Tell whether there is a file, or a link to one."""
        return os.path.isfile(self.path(name))

    def is_socket(self, name: str) -> bool:
        """Tell whether there is a socket."""
        try:
            return stat.S_ISSOCK(os.stat(self.path(name)).st_mode)
        except OSError:
            return False

    def program(self, name: str, directories: tuple[str, ...] = _PROGRAMS) -> Optional[str]:
        """Return the path of a program, None if it is not installed."""
        for directory in directories:
            path = os.path.join(directory, name)
            if self._is_executable(path):
                return path
        return None

    def _is_executable(self, name: str) -> bool:
        try:
            status = os.stat(self.path(name))
        except OSError:
            return False
        return stat.S_ISREG(status.st_mode) and bool(status.st_mode & 0o111)

    def processes(self, name: str) -> list[int]:
        """Return the numbers of the processes of a program that can be seen."""
        found = []
        for entry in self.names('/proc'):
            if not entry.isdigit():
                continue
            try:
                comm = self.text(f'/proc/{entry}/comm')
            except (OSError, Unreadable):
                # It ended meanwhile, or is hidden.
                continue
            if comm is not None and comm.strip() == name:
                found.append(int(entry))
        return sorted(found)

    def listens(self, socket: str) -> bool:
        """Tell whether somebody of this network namespace listens on a Unix socket, by its name in /proc/net/unix."""
        for line in (self.text('/proc/net/unix') or '').splitlines():
            words = line.split()
            # Num RefCount Protocol Flags Type St Inode Path; this flag is that of a listener.
            if len(words) >= 8 and words[7] == socket and words[3] == '00010000':
                return True
        return False
