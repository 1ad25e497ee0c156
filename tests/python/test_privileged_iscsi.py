# SPDX-License-Identifier: Apache-2.0
"""The privileged side checks again what it is sent, and the native call under eventlet."""

import pathlib
import subprocess
import sys

import pytest

from os_brick import exception
from os_brick import privileged
from os_brick.privileged import encrypted_volume
from os_brick.privileged import iscsi as priv_iscsi
from os_brick.privileged import plain_data

PACKAGE = pathlib.Path(priv_iscsi.__file__).parents[1]
PROPS = {'target_portal': 'p', 'target_iqn': 'i', 'target_lun': 1}
SETTINGS = {'lock_path': '/locks', 'use_multipath': True}


def all_verbs(properties, settings):
    yield lambda: priv_iscsi.connect_volume(properties, settings)
    yield lambda: priv_iscsi.disconnect_volume(properties, None, settings, False)
    yield lambda: priv_iscsi.extend_volume(properties, settings)


@pytest.mark.parametrize('properties, text', [
    (None, 'connection_properties must be a dictionary, not NoneType'),
    ({**PROPS, 'auth_passwd': 'hunter2'}, 'unknown connection properties: auth_passwd'),
    ({**PROPS, 'target_iqn': {'a': 1}},
     'target_iqn must be a text, a number or a list of these, not dict'),
    ({**PROPS, 'target_luns': [[1]]},
     'target_luns must be a text, a number or a list of these, not list'),
    ({**PROPS, 'target_lun': 2**64}, 'a number in target_lun is out of range'),
    ({**PROPS, 'target_luns': [1, -2**63 - 1]}, 'a number in target_luns is out of range'),
    ({**PROPS, 'target_iqn': 'iqn.\ud800'},
     'a text in target_iqn has characters that cannot be encoded'),
    ({**PROPS, 'auth_password': 'hunter2\udcff'},
     'a text in auth_password has characters that cannot be encoded')])
def test_properties(engine, properties, text):
    for verb in all_verbs(properties, SETTINGS):
        with pytest.raises(exception.InvalidParameterValue) as caught:
            verb()
        assert str(caught.value) == text
    assert engine.calls == []


@pytest.mark.parametrize('settings, text', [
    ((), 'settings must be a dictionary, not tuple'),
    ({'shell': '/bin/sh'}, 'unknown setting: shell'),
    ({'use_multipath': 1}, 'the setting use_multipath must be of type bool, not int'),
    ({'device_scan_attempts': True}, 'the setting device_scan_attempts must be of type int, '
                                     'not bool'),
    ({'portal_grace_period': '2'}, 'the setting portal_grace_period must be of type int or float, '
                                   'not str'),
    ({'lock_path': 'relative'}, "the setting lock_path must be an absolute path, "
                                "not 'relative'"),
    ({'attachment_record_path': 'records'}, 'the setting attachment_record_path must be an '
                                            "absolute path without .., not 'records'"),
    ({'attachment_record_path': '/var/../etc'}, 'the setting attachment_record_path must be an '
                                                "absolute path without .., not '/var/../etc'"),
    ({'attachment_record_path': None}, 'the setting attachment_record_path must be of type str, '
                                       'not NoneType')])
def test_settings(engine, settings, text):
    for verb in all_verbs(PROPS, settings):
        with pytest.raises(exception.InvalidParameterValue) as caught:
            verb()
        assert str(caught.value) == text
    assert engine.calls == []


@pytest.mark.parametrize('path', ['relative', 5, '/dev/sda\0', ''])
def test_device_path(engine, path):
    with pytest.raises(exception.InvalidParameterValue, match='^device_path must be an absolute'):
        priv_iscsi.disconnect_volume(PROPS, path, SETTINGS, False)
    assert engine.calls == []


def test_only_links_of_ours_are_removed(engine, links, tmp_path, monkeypatch):
    monkeypatch.setattr(encrypted_volume.os.path, 'islink', lambda path: True)
    for path in ('/dev/disk/by-id/os-brick+dev/../../../../etc/shadow', '/etc/shadow'):
        priv_iscsi.disconnect_volume(PROPS, path, SETTINGS, False)
    assert links == []


def test_a_link_that_remains_is_a_warning(engine, monkeypatch, caplog):
    def fail(*args, **kwargs):
        raise OSError('stuck')

    monkeypatch.setattr(encrypted_volume.os.path, 'islink', lambda path: True)
    monkeypatch.setattr(encrypted_volume.rootwrap, 'unlink_root', fail)
    assert priv_iscsi.disconnect_volume(
        PROPS, '/dev/disk/by-id/os-brick+dev+sda', SETTINGS, False) == []
    assert 'os-brick+dev+sda' in caplog.text


def test_tuples_become_lists():
    assert plain_data.check_properties({'target_luns': (1, '2', None)}, ('target_luns',)) == {
        'target_luns': [1, '2', None]}


def test_select_keeps_known_keys_and_copies():
    given = {'a': [1], 'b': 2}
    picked = plain_data.select(given, ('a', 'c'))
    picked['a'].append(2)
    assert (picked, given) == ({'a': [1, 2]}, {'a': [1], 'b': 2})


def test_every_verb_is_an_entrypoint_of_the_default_context():
    for name in ('connect_volume', 'disconnect_volume', 'extend_volume', 'get_initiator'):
        assert privileged.default.is_entrypoint(getattr(priv_iscsi, name))


EVENTLET = '''
import sys, threading
import eventlet
{patch}
from os_brick import _native
main = eventlet.patcher.original("threading").get_ident()
def where(value):
    return value, eventlet.patcher.original("threading").get_ident() == main
print(_native.call(where, 5), "eventlet.tpool" in sys.modules)
try:
    _native.call(int, "x")
except ValueError as exc:
    print("ValueError")
'''


@pytest.mark.parametrize('patch, out', [
    ('', '(5, True) False\nValueError\n'),
    ('eventlet.monkey_patch()', '(5, False) True\nValueError\n'),
    ('eventlet.monkey_patch(thread=False)', '(5, True) False\nValueError\n')])
def test_green_threads_are_not_blocked(patch, out):
    code = (f'import sys; sys.path.insert(0, {str(PACKAGE.parent)!r})\n'
            + EVENTLET.format(patch=patch))
    run = subprocess.run([sys.executable, '-W', 'ignore', '-c', code], text=True, check=True,
                         stdout=subprocess.PIPE)
    assert run.stdout == out


def test_eventlet_is_not_brought_in():
    code = ('import sys; sys.path.insert(0, sys.argv[1]); import _native; '
            'print(_native.call(len, "abc"), "eventlet" in sys.modules)')
    run = subprocess.run([sys.executable, '-S', '-c', code, str(PACKAGE)], text=True, check=True,
                         stdout=subprocess.PIPE)
    assert run.stdout == '3 False\n'
