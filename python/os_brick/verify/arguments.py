# SPDX-License-Identifier: Apache-2.0
"""Reads what a client sends; the types are those of the OpenAPI document, so that it cannot be wrong about them."""

import ipaddress
import json
from typing import Any, NoReturn

from os_brick.verify import problems

_TYPES: dict[str, tuple[type, ...]] = {
    'string': (str,), 'integer': (int,), 'boolean': (bool,), 'array': (list,), 'object': (dict,), 'null': (type(None),),
}
_WORDS = {'string': 'a text', 'integer': 'a whole number', 'boolean': 'true or false', 'array': 'a list',
          'object': 'an object', 'null': 'null'}


def boolean(name: str, text: str | None, default: bool) -> bool:
    """Return a boolean of the query."""
    if text is None:
        return default
    if text not in ('true', 'false'):
        raise problems.invalid(name, text, 'it must be true or false')
    return text == 'true'


def address(name: str, text: str | None) -> str:
    """Return an IP address of the query, empty without one."""
    if text is None:
        return ''
    try:
        if '%' in text:
            raise ValueError('a scope is no part of the address')
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise problems.invalid(name, text, 'it must be an IPv4 or IPv6 address') from None


def _refused(constant: str) -> NoReturn:
    raise ValueError(f'{constant} is no JSON')


def json_object(data: bytes) -> dict[str, Any]:
    """Return the object a body holds; a mistake is told by its place, never by the text around it."""
    try:
        found = json.loads(data.decode('utf-8'), parse_constant=_refused)
    except (ValueError, RecursionError) as exc:
        where = f' at line {exc.lineno} column {exc.colno}' if isinstance(exc, json.JSONDecodeError) else ''
        raise problems.Problem(400, f'the body is not JSON{where}') from None
    if not isinstance(found, dict):
        raise problems.invalid('connection_properties', None, f'an object is needed, not {_name(found)}')
    return found


def _name(value: Any) -> str:
    return next((_WORDS[name] for name in _TYPES if _is(value, name)), 'a number')


def _is(value: Any, name: str) -> bool:
    # True is an int to Python, and 1.0 an integer to JSON Schema.
    if isinstance(value, bool):
        return name == 'boolean'
    if isinstance(value, float):
        return name == 'integer' and value.is_integer()
    return isinstance(value, _TYPES[name])


def _checked(field: str, value: Any, schema: dict[str, Any]) -> Any:
    wanted = schema.get('type', [])
    wanted = [wanted] if isinstance(wanted, str) else wanted
    if wanted and not any(_is(value, name) for name in wanted):
        raise problems.invalid(field, value, f'it must be {" or ".join(_WORDS[name] for name in wanted)}, '
                                             f'not {_name(value)}')
    if isinstance(value, str) and len(value) < schema.get('minLength', 0):
        raise problems.invalid(field, value, 'it must not be empty')
    if isinstance(value, (int, float)) and value < schema.get('minimum', value):
        raise problems.invalid(field, value, f'it must be at least {schema["minimum"]}')
    if isinstance(value, list) and 'items' in schema:
        return [_checked(f'{field}[{at}]', item, schema['items']) for at, item in enumerate(value)]
    return int(value) if isinstance(value, float) and 'integer' in wanted else value


def checked(properties: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Return connection properties whose known keys have the type that the document says.

    :param schema: `ConnectionProperties` of the document
    """
    known = schema['properties']
    return {key: _checked(key, value, known[key]) for key, value in properties.items() if key in known}
