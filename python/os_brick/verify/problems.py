# SPDX-License-Identifier: Apache-2.0
"""What is answered when something cannot be answered: problem details of RFC 9457, with the fields that are wrong."""

import http
import json
import re
from typing import Any, Optional

from os_brick import exception
from os_brick.verify import masking

MEDIA_TYPE = 'application/problem+json'
#: As much of a wrong value as is shown.
_SHOWN = 200


class Problem(Exception):
    """A request that is answered with a 4xx."""

    def __init__(self, status: int, detail: str, errors: Optional[list[dict[str, Any]]] = None,
                 headers: Optional[dict[str, str]] = None) -> None:
        """Take what is wrong; `errors` have `field`, `value` and `reason`."""
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors or []
        self.headers = headers or {}


def body(status: int, detail: str, errors: Optional[list[dict[str, Any]]] = None) -> str:
    """Return a problem as JSON."""
    return json.dumps({'type': 'about:blank', 'title': http.HTTPStatus(status).phrase, 'status': status,
                       'detail': detail, 'errors': errors or []})


def _shown(field: str, value: Any) -> Any:
    value = masking.masked(value, field.partition('[')[0])
    text = value if isinstance(value, str) else json.dumps(value)
    return value if len(text) <= _SHOWN else text[:_SHOWN] + '...'


def invalid(field: str, value: Any, reason: str) -> Problem:
    """Return the problem of one wrong field."""
    error = {'field': field, 'value': _shown(field, value), 'reason': reason}
    return Problem(422, f'{field}: {reason}', [error])


def of_properties(exc: Exception, properties: dict[str, Any]) -> Problem:
    """Return the problem of connection properties that a connector refused.

    :param exc: what it raised; its text names the field, and may hold more of the properties than may be shown
    """
    text = f'{exc.args[0]} is missing' if isinstance(exc, KeyError) else str(exc)
    text = masking.without(text, list(masking.secrets_of(properties)))
    # The engine's own errors: `field: reason (got value)`.
    told = re.match(r'(\w+): (.+?)(?: \(got .*\))?$', text, re.S)
    if told:
        return invalid(told[1], properties.get(told[1]), told[2])
    words = re.findall(r'\w+', text)
    field = next((key for key in properties if key in words), None)
    if field is None:
        named = [word for word in words if word in _NAMED]
        field = named[0] if named else 'connection_properties'
    return invalid(field, properties.get(field), text)


#: Fields that connectors name as missing in sentences of their own.
_NAMED = ('device_path', 'uuid', 'volume', 'luns', 'wwns')

#: What says that the properties are wrong; whatever else a connector raises says that the host cannot tell.
WRONG_PROPERTIES = (exception.Invalid, exception.VolumePathsNotFound, KeyError, ValueError, TypeError)
