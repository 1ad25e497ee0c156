"""Backstores of the kernel's target (LIO): files in memory that any target fabric can export.

Shared by iSCSI and, later, Fibre Channel; what belongs to one fabric lives in that fabric's file.
"""

import os
from pathlib import Path
import uuid

CORE = Path('/sys/kernel/config/target/core/fileio_0')
FILES = Path('/run/lab/disks')
UNITS = {'K': 1 << 10, 'M': 1 << 20, 'G': 1 << 30}


def size_in_bytes(size):
    """64 MiB for '64M'; numbers are bytes already."""
    if isinstance(size, int):
        return size
    return int(size[:-1]) * UNITS[size[-1]] if size[-1] in UNITS else int(size)


class Disk:
    """One backstore: what an array calls a volume."""

    def __init__(self, name, size='64M', serial=None):
        self.name = name
        self.serial = serial or str(uuid.uuid4())
        self.file = FILES / name
        self.directory = CORE / name
        FILES.mkdir(parents=True, exist_ok=True)
        with open(self.file, 'wb') as file:
            file.truncate(size_in_bytes(size))
        self.directory.mkdir(parents=True)
        write(self.directory / 'control', f'fd_dev_name={self.file},fd_dev_size={size_in_bytes(size)},fd_buffered_io=1')
        write(self.directory / 'wwn/vpd_unit_serial', self.serial)
        write(self.directory / 'enable', '1')

    @property
    def wwid(self):
        """The identity as multipath-tools writes it: LIO puts its own company number before the serial's digits."""
        return '36001405' + ''.join(digit for digit in self.serial if digit in '0123456789abcdef')[:25]

    @property
    def size(self):
        return os.stat(self.file).st_size

    def grow(self, size):
        """The next READ CAPACITY tells the new size: for a regular file it is the configured one, not the file's."""
        os.truncate(self.file, size_in_bytes(size))
        write(self.directory / 'control', f'fd_dev_size={size_in_bytes(size)}')

    def content(self, offset, length):
        """Bytes as the array sees them, past every cache of the initiator."""
        with open(self.file, 'rb') as file:
            file.seek(offset)
            return file.read(length)

    def remove(self):
        self.directory.rmdir()
        self.file.unlink(missing_ok=True)


def write(path, text):
    """One write() of one configfs attribute, without a newline: CHAP names and secrets would keep it."""
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)
