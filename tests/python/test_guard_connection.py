# SPDX-License-Identifier: Apache-2.0
"""The lock around attaches of shared targets (LK-03, LK-04)."""

import contextlib
import os
from unittest import mock

import pytest

from os_brick.initiator import utils


@pytest.fixture
def locks(monkeypatch):
    taken = []

    @contextlib.contextmanager
    def lock(*args, **kwargs):
        taken.append((args, kwargs))
        yield

    monkeypatch.setattr(utils.lockutils, 'lock', lock)
    return taken


@pytest.fixture
def iscsiadm(monkeypatch, tmp_path):
    path = tmp_path / 'iscsiadm'
    monkeypatch.setattr(utils, '_ISCSIADM', str(path))
    return path


class VersionedObject(dict):
    """Cinder's volume, which has item access."""


@pytest.mark.parametrize('shared, manual_scan, locked', [
    (True, False, True), (True, True, False), (False, False, False), (False, True, False),
    (None, False, True), (None, True, True), ('missing', False, False)])
@pytest.mark.parametrize('kind', [dict, VersionedObject])
def test_lk_03_who_locks(monkeypatch, locks, shared, manual_scan, locked, kind):
    monkeypatch.setattr(utils, 'ISCSI_SUPPORTS_MANUAL_SCAN', manual_scan, raising=False)
    device = kind(service_uuid='uuid-1')
    if shared != 'missing':
        device['shared_targets'] = shared
    with utils.guard_connection(device):
        expected = [(('uuid-1', 'os-brick-'), {'external': True})] if locked else []
        assert locks == expected


def test_lk_04_an_upgrade_is_seen(iscsiadm):
    assert utils.ISCSI_SUPPORTS_MANUAL_SCAN is False
    iscsiadm.write_bytes(b'\x7fELF node.session.auth')
    assert utils.ISCSI_SUPPORTS_MANUAL_SCAN is False
    assert utils.check_manual_scan() is False
    new = iscsiadm.with_name('new')
    new.write_bytes(b'\x7fELF\0 node.session.scan \xff')
    os.replace(new, iscsiadm)
    assert utils.ISCSI_SUPPORTS_MANUAL_SCAN is True
    assert utils.check_manual_scan() is True


def test_lk_04_the_program_is_read_once(iscsiadm, monkeypatch):
    iscsiadm.write_bytes(b'node.session.scan')
    assert utils.ISCSI_SUPPORTS_MANUAL_SCAN is True
    monkeypatch.setattr('builtins.open', None)
    assert utils.ISCSI_SUPPORTS_MANUAL_SCAN is True


def test_the_flag_can_be_set_and_patched(iscsiadm, locks):
    iscsiadm.write_bytes(b'node.session.scan')
    device = {'shared_targets': True, 'service_uuid': 'uuid-1'}
    with mock.patch.object(utils, 'ISCSI_SUPPORTS_MANUAL_SCAN', False):
        with utils.guard_connection(device):
            assert len(locks) == 1
    with utils.guard_connection(device):
        assert len(locks) == 1


def test_other_names_are_missing():
    with pytest.raises(AttributeError):
        utils.NO_SUCH_NAME
