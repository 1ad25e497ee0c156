# SPDX-License-Identifier: Apache-2.0
"""The privileged side of Fibre Channel checks again what it is sent."""

import pytest

from os_brick import exception
from os_brick.privileged import encrypted_volume
from os_brick.privileged import fibre_channel as priv_fibre_channel

PROPS = {'target_wwn': ['500601603ee00001'], 'target_lun': 5}
SETTINGS = {'lock_path': '/locks', 'use_multipath': True}


def all_verbs(properties, settings):
    yield lambda: priv_fibre_channel.connect_volume(properties, settings)
    yield lambda: priv_fibre_channel.disconnect_volume(properties, None, settings, False)
    yield lambda: priv_fibre_channel.extend_volume(properties, settings)


@pytest.mark.parametrize('properties, settings, text', [
    (None, SETTINGS, 'connection_properties must be a dictionary, not NoneType'),
    ({**PROPS, 'targets': []}, SETTINGS, 'unknown connection properties: targets'),
    ({**PROPS, 'target_wwn': {'a': 1}}, SETTINGS,
     'target_wwn must be a text, a number or a list of these, not dict'),
    (PROPS, {'shell': '/bin/sh'}, 'unknown setting: shell'),
    (PROPS, {'lock_path': 'relative'}, 'the setting lock_path must be an absolute path')])
def test_what_is_wrong_is_named_and_goes_no_further(engine, properties, settings, text):
    for verb in all_verbs(properties, settings):
        with pytest.raises(exception.InvalidParameterValue) as caught:
            verb()
        assert text in str(caught.value)
    assert engine.calls == []


@pytest.mark.parametrize('path', ['relative', 5, '/dev/sda\0', ''])
def test_device_path(engine, path):
    with pytest.raises(exception.InvalidParameterValue, match='^device_path must be an absolute'):
        priv_fibre_channel.disconnect_volume(PROPS, path, SETTINGS, False)
    assert engine.calls == []


def test_a_link_that_remains_is_a_warning(engine, monkeypatch, caplog):
    def fail(*args, **kwargs):
        raise OSError('stuck')

    monkeypatch.setattr(encrypted_volume.os.path, 'islink', lambda path: True)
    monkeypatch.setattr(encrypted_volume.rootwrap, 'unlink_root', fail)
    assert priv_fibre_channel.disconnect_volume(
        PROPS, '/dev/disk/by-id/os-brick+dev+sda', SETTINGS, False) == []
    assert 'stuck' in caplog.text
