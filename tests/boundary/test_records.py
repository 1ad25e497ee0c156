# SPDX-License-Identifier: Apache-2.0
"""Attachment records are written by the daemon, with its few capabilities, and never at the cost of an operation."""

import os
import stat

import pytest

CONNECT = 'os_brick.privileged.iscsi:connect_volume'
DISCONNECT = 'os_brick.privileged.iscsi:disconnect_volume'
#: Nobody listens there.
PROPERTIES = {'target_portal': '127.0.0.1:9', 'target_iqn': 'iqn.2010-10.org.openstack:nobody', 'target_lun': 1}


@pytest.fixture
def settings(service):
    return {'lock_path': str(service.lock_directory()), 'attachment_record_path': str(service.directory / 'records')}


def complaints(answer):
    return [text for _, _, text in answer.log if text.startswith('attachment record: ')]


def test_root_makes_the_directory_and_leaves_it_empty(service, settings):
    failed = service.call(CONNECT, PROPERTIES, settings)
    assert failed.error == 'os_brick.exception.VolumeDeviceNotFound'
    assert service.call(DISCONNECT, PROPERTIES, None, settings, False).value is not None
    assert complaints(failed) == []
    made = os.stat(settings['attachment_record_path'])
    assert (made.st_uid, stat.S_IMODE(made.st_mode)) == (0, 0o700)
    assert os.listdir(settings['attachment_record_path']) == []


def test_a_directory_of_somebody_else_is_a_warning_only(service, settings):
    others = service.directory / 'records-of-others'
    others.mkdir(exist_ok=True)
    others.chmod(0o777)
    failed = service.call(CONNECT, PROPERTIES, {**settings, 'attachment_record_path': str(others)})
    assert failed.error == 'os_brick.exception.VolumeDeviceNotFound'
    assert complaints(failed) == [
        f'attachment record: cannot use {others}: others than root may write it (owner 0, mode 777)']
    assert os.listdir(others) == []


def test_a_bad_place_is_refused(service, settings):
    refused = service.call(CONNECT, PROPERTIES, {**settings, 'attachment_record_path': 'records'})
    assert (refused.error, refused.text) == (
        'os_brick.exception.InvalidParameterValue',
        "the setting attachment_record_path must be an absolute path without .., not 'records'")
