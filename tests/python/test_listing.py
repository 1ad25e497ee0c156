# SPDX-License-Identifier: Apache-2.0
"""Listings of directories: never of what was."""

import os
import shutil
import time

import pytest

from os_brick import _engine
from os_brick.initiator import listing


@pytest.fixture
def readings(monkeypatch):
    """The directories that were read."""
    seen = []
    real = _engine.scsi.entries
    monkeypatch.setattr(listing._engine.scsi, 'entries',
                        lambda directory: seen.append(directory) or real(directory))
    return seen


def settle(directory, seconds=10.0):
    """Let the directory have changed some time ago."""
    changed = time.time() - seconds
    os.utime(directory, (changed, changed))


def test_a_directory_that_has_not_changed_is_read_once(tmp_path, readings):
    (tmp_path / 'a').touch()
    (tmp_path / '.hidden').touch()
    settle(tmp_path)
    first = listing.entries(str(tmp_path))
    assert first == [str(tmp_path / 'a')]
    first.append('of the caller')
    second = listing.entries(str(tmp_path))
    assert second == [str(tmp_path / 'a')]
    second.clear()
    assert listing.entries(str(tmp_path)) == [str(tmp_path / 'a')]
    assert readings == [str(tmp_path)]


def test_every_change_is_seen(tmp_path, readings):
    for number in range(20):
        settle(tmp_path, 100 - number)
        before = listing.entries(str(tmp_path))
        name = tmp_path / str(number)
        name.symlink_to('nowhere')
        assert sorted(listing.entries(str(tmp_path))) == sorted([*before, str(name)])
    for name in list(tmp_path.iterdir()):
        name.unlink()
        assert str(name) not in listing.entries(str(tmp_path))
    assert listing.entries(str(tmp_path)) == []


def test_what_changed_just_now_is_not_kept(tmp_path, readings):
    """A further change within a tick of the kernel's clock would show the same time."""
    listing.entries(str(tmp_path))
    listing.entries(str(tmp_path))
    assert readings == [str(tmp_path), str(tmp_path)]


def test_another_directory_in_its_place(tmp_path):
    place, other = tmp_path / 'by-path', tmp_path / 'other'
    for directory, name in ((place, 'a'), (other, 'b')):
        directory.mkdir()
        (directory / name).touch()
        settle(directory)
    os.utime(other, ns=(place.stat().st_mtime_ns, place.stat().st_mtime_ns))
    assert listing.entries(str(place)) == [str(place / 'a')]
    shutil.rmtree(place)
    assert listing.entries(str(place)) == []
    other.rename(place)
    assert listing.entries(str(place)) == [str(place / 'b')]
