# SPDX-License-Identifier: Apache-2.0
"""Checks of what crosses to the privileged side: only plain data under known keys.

Both sides use this module.  The service picks the keys that matter, the privileged
process trusts nothing it is sent.  Values are never part of an error: some are secrets.
"""

import os
from collections.abc import Collection, Mapping
from typing import Any, Optional

from os_brick import exception

#: Settings of an operation and the types they may have.
_SETTINGS: dict[str, tuple[type, ...]] = {
    'use_multipath': (bool,),
    'interface': (str,),
    'device_scan_attempts': (int,),
    'lock_path': (str,),
    'portal_grace_period': (int, float),
    'enforce_identity': (bool,),
    'wait_mpath_device_attempts': (int,),
    'wait_mpath_device_interval': (int,),
    'attachment_record_path': (str,),
}


def _invalid(text: str) -> exception.InvalidParameterValue:
    return exception.InvalidParameterValue(err=text)


def _is_scalar(key: str, value: Any) -> bool:
    """Tell whether a value is a text, a number or None; neither may be too much for the channel."""
    if isinstance(value, int) and not -2**63 <= value < 2**64:
        raise _invalid(f'a number in {key} is out of range')
    if isinstance(value, str) and not value.isascii() and any(
            '\ud800' <= char <= '\udfff' for char in value):
        raise _invalid(f'a text in {key} has characters that cannot be encoded')
    return value is None or isinstance(value, (str, int, float))


def _plain(key: str, value: Any) -> Any:
    """Return `value` with tuples as lists; lists may hold scalars only."""
    if _is_scalar(key, value):
        return value
    if isinstance(value, (list, tuple)) and all(_is_scalar(key, item) for item in value):
        return list(value)
    raise _invalid(f'{key} must be a text, a number or a list of these, '
                   f'not {type(value).__name__}')


def _nested(key: str, value: Any, depth: int = 4) -> Any:
    """Return `value` with tuples as lists; lists may hold lists and dictionaries."""
    if depth and isinstance(value, (list, tuple)):
        return [_nested(key, item, depth - 1) for item in value]
    if depth and isinstance(value, Mapping):
        if not all(isinstance(name, str) for name in value):
            raise _invalid(f'the keys of a dictionary in {key} must be texts')
        return {name: _nested(key, item, depth - 1) for name, item in value.items()}
    return _plain(key, value)


def select(properties: Any, keys: Collection[str],
           nested: Collection[str] = ()) -> dict[str, Any]:
    """Pick the known keys of connection properties, as plain data.

    :param properties: what the caller passed as connection properties
    :param keys: the keys the transport understands; others are dropped
    :param nested: those of them whose values may be lists of lists or of dictionaries
    :raises InvalidParameterValue: it is no dictionary, or a value is no plain data
    """
    if not isinstance(properties, Mapping):
        raise _invalid('connection_properties must be a dictionary, '
                       f'not {type(properties).__name__}')
    return {key: (_nested if key in nested else _plain)(key, properties[key])
            for key in keys if key in properties}


def check_properties(properties: Any, keys: Collection[str],
                     nested: Collection[str] = ()) -> dict[str, Any]:
    """Return properties that came from the service, checked again.

    :raises InvalidParameterValue: as `select`, or for an unknown key
    """
    checked = select(properties, keys, nested)
    unknown = sorted(str(key) for key in properties if key not in checked)
    if unknown:
        raise _invalid(f'unknown connection properties: {", ".join(unknown)}')
    return checked


def check_settings(settings: Any) -> dict[str, Any]:
    """Return the settings of an operation, checked.

    :raises InvalidParameterValue: naming the setting that is unknown or of a wrong type
    """
    if not isinstance(settings, Mapping):
        raise _invalid(f'settings must be a dictionary, not {type(settings).__name__}')
    for key, value in settings.items():
        types = _SETTINGS.get(key)
        if types is None:
            raise _invalid(f'unknown setting: {key}')
        # True is an int to Python, but no number to us.
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            wanted = ' or '.join(kind.__name__ for kind in types)
            raise _invalid(f'the setting {key} must be of type {wanted}, '
                           f'not {type(value).__name__}')
    lock_path = settings.get('lock_path')
    if lock_path is not None and not os.path.isabs(lock_path):
        raise _invalid(f'the setting lock_path must be an absolute path, not {lock_path!r}')
    records = settings.get('attachment_record_path')
    if records is not None and (not os.path.isabs(records) or '\0' in records
                                or '..' in records.split(os.sep)):
        raise _invalid('the setting attachment_record_path must be an absolute path without '
                       f'.., not {records!r}')
    return dict(settings)


def check_path(name: str, path: Any) -> Optional[str]:
    """Return an optional device path, checked to be an absolute one.

    :raises InvalidParameterValue: naming the parameter
    """
    if path is None:
        return None
    if not isinstance(path, str) or not os.path.isabs(path) or '\0' in path:
        raise _invalid(f'{name} must be an absolute path, not {path!r}')
    return path
