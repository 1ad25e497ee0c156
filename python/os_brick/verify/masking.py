# SPDX-License-Identifier: Apache-2.0
"""Keeps secrets out of answers and logs."""

from collections.abc import Iterator
import functools
import logging
import re
from typing import Any

from oslo_utils import strutils

MASK = '***'
#: A secret this short would blank out half of every text it is looked for in.
_SHORTEST = 4
#: What a text has that may hold a secret; the whole search costs too much for each of thousands of texts.
_SUSPECT = re.compile('pass|pw|pswd|secret|token|key|cred|auth|user_data|cookie|kek|suffix|fsid|configdrive', re.IGNORECASE)


@functools.lru_cache(maxsize=4096)
def names_a_secret(key: str) -> bool:
    """Tell whether a value under this key must not be seen."""
    lower = key.lower()
    if any(word in lower for word in ('password', 'secret', 'keyring', 'token', 'passphrase')):
        return True
    return strutils.mask_dict_password({key: ''})[key] != ''


def masked(value: Any, key: str = '') -> Any:
    """Return plain data with whatever is under the key of a secret masked, however deep."""
    if key and names_a_secret(key):
        return MASK if value is not None else None
    if isinstance(value, dict):
        return {name: masked(item, str(name)) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [masked(item) for item in value]
    return _without_secrets(value) if isinstance(value, str) else value


def _without_secrets(text: str) -> str:
    return strutils.mask_password(text, MASK) if _SUSPECT.search(text) else text


def secrets_of(value: Any, key: str = '') -> Iterator[str]:
    """Give the secrets in plain data, for `without`."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from secrets_of(item, key if key and names_a_secret(key) else str(name))
    elif isinstance(value, list):
        for item in value:
            yield from secrets_of(item, key)
    elif isinstance(value, str) and key and names_a_secret(key) and len(value) >= _SHORTEST:
        yield value


def without(text: str, secrets: list[str]) -> str:
    """Return a text with these secrets masked, and whatever else looks like one."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return _without_secrets(text)


class Formatter(logging.Formatter):
    """Writes one line a record, without secrets and without characters that move a cursor."""

    def __init__(self, token: str) -> None:
        """Take the token, which is masked wherever it appears."""
        super().__init__('%(asctime)s %(levelname)s %(name)s %(message)s')
        self._token = token

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; a traceback stays several."""
        text = without(super().format(record), [self._token])
        return re.sub(r'[^\n -~\u00a0-\U0010ffff]', '?', text)
