"""Turns a wheel into the archive the guest unpacks: files as pip would lay them out, compiled on the host.

Compiling here matters: the emulated guest needs ten times as long for it, at every boot.
"""

import compileall
import hashlib
from pathlib import Path
import py_compile
import sys
import tarfile
import tempfile
import zipfile

GUEST_PYTHON = (3, 11)
GUEST_DIRECTORY = '/opt/lab/ours'


def find_wheel(path):
    """The wheel itself, or the newest os_brick wheel in a directory."""
    path = Path(path)
    if path.is_dir():
        wheels = sorted(path.glob('os_brick-*.whl'), key=lambda wheel: wheel.stat().st_mtime)
        if not wheels:
            raise SystemExit(f'no os_brick wheel in {path}')
        return wheels[-1]
    if not path.exists():
        raise SystemExit(f'no such wheel: {path}')
    return path


def pack_wheel(wheel, archive_path):
    """Write archive_path, unless it already holds this very wheel."""
    wheel = find_wheel(wheel)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    stamp = archive_path.with_suffix('.sha256')
    if archive_path.exists() and stamp.exists() and stamp.read_text() == digest:
        return
    with tempfile.TemporaryDirectory() as directory:
        with zipfile.ZipFile(wheel) as packed:
            packed.extractall(directory)
        if sys.version_info[:2] == GUEST_PYTHON:
            compileall.compile_dir(directory, quiet=2, stripdir=directory, prependdir=GUEST_DIRECTORY,
                                   invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
        new = archive_path.with_suffix('.new')
        with tarfile.open(new, 'w') as archive:
            for entry in sorted(Path(directory).iterdir()):
                archive.add(entry, entry.name, filter=_readable_by_all)
        new.rename(archive_path)
    stamp.write_text(digest)


def _readable_by_all(entry):
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = 'root'
    entry.mode |= 0o755 if entry.isdir() or entry.name.endswith('.so') else 0o644
    return entry
