# SPDX-License-Identifier: Apache-2.0
"""What callers of the connectors get, although the channel turns lists into tuples; and what an entry point is."""

import importlib
import pkgutil
import types

import pytest

from os_brick import privileged
from oslo_privsep import priv_context

PROBE = 'os_brick.privileged.probe'


def test_the_channel_turns_lists_into_tuples(service):
    """The fact the next tests rest on; when it changes the conversions can go."""
    assert service.call(f'{PROBE}:sends_a_list').value == (1, (2, 3))


def test_paths_are_a_list(service, refused):
    assert service.call('connector', 'get_volume_paths', refused).value == []


def test_detaching_what_is_not_attached_is_fine(service, refused):
    """ID-20"""
    assert service.call('connector', 'disconnect_volume', refused, None).value is None


def test_forced_detaches_are_no_different(service, refused):
    assert service.call('connector', 'disconnect_volume', refused, None, True).value is None


def test_extending_what_is_not_attached_raises(service, refused):
    assert service.call('connector', 'extend_volume', refused).error == 'os_brick.exception.VolumePathsNotFound'


@pytest.mark.parametrize('key, value', [('target_lun', 2**70), ('target_iqn', 'iqn.2024-01.org.example:\ud800')])
def test_ic_34_what_the_channel_cannot_carry_is_refused_by_name(service, refused, key, value):
    answer = service.call('connector', 'connect_volume', {**refused, key: value})
    assert answer.error == 'os_brick.exception.InvalidParameterValue'
    assert key in answer.text


def entry_points():
    found = []
    for module in pkgutil.iter_modules(privileged.__path__, 'os_brick.privileged.'):
        for name, value in vars(importlib.import_module(module.name)).items():
            context = getattr(value, 'privsep_entrypoint', None)
            if isinstance(context, priv_context.PrivContext):
                found.append((f'{module.name}.{name}', value, context))
    return found


@pytest.mark.parametrize('name, entry_point, context', entry_points(), ids=lambda one: one if type(one) is str else '')
def test_an_entry_point_is_a_python_function_the_daemon_finds_by_name(name, entry_point, context):
    function = entry_point.args[0]
    assert type(function) is types.FunctionType
    assert f'{function.__module__}.{function.__qualname__}' == name
    assert context.is_entrypoint(entry_point)


def test_the_verbs_of_iscsi_are_entry_points():
    assert {name.rpartition('.')[2] for name, _, _ in entry_points() if name.startswith('os_brick.privileged.iscsi.')} \
        == {'connect_volume', 'disconnect_volume', 'extend_volume', 'get_initiator'}
