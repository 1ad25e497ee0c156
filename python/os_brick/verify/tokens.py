# SPDX-License-Identifier: Apache-2.0
"""Where tokens come from: a file or the environment, never the argument list, which everybody on the host can read."""

from collections.abc import Mapping
import hmac
import os
import re
import stat

#: The token of the service, and that of all hosts for the client.
VARIABLE = 'OS_BRICK_VERIFY_TOKEN'
_SHORTEST = 16


def _check(token: str, source: str) -> str:
    # What a header can carry, RFC 6750's b64token.
    if not re.fullmatch(r'[A-Za-z0-9._~+/-]+=*', token):
        raise ValueError(f'{source} holds no token: letters, digits and ._~+/- are expected')
    if len(token) < _SHORTEST:
        raise ValueError(f'the token of {source} is too short: {len(token)} characters, at least {_SHORTEST} are needed')
    return token


def _private_lines(path: str) -> list[str]:
    try:
        with open(path, encoding='utf-8') as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise ValueError(f'{path} can be read by others (mode {mode:04o}): chmod 600 {path}')
            lines = [line.strip() for line in file]
    except UnicodeDecodeError:
        raise ValueError(f'{path} holds no text') from None
    except OSError as exc:
        raise ValueError(f'the token file {path} cannot be read: {exc.strerror}') from None
    return [line for line in lines if line and not line.startswith('#')]


def of_service(path: str | None, environment: Mapping[str, str]) -> str:
    """Return the token of the service.

    :param path: a file that only its owner can read, or None to look into the environment
    :raises ValueError: there is none, or none that is fit
    """
    if path is not None:
        lines = _private_lines(path)
        if len(lines) != 1:
            raise ValueError(f'{path} must hold one line, the token, and holds {len(lines)}')
        return _check(lines[0], path)
    if not environment.get(VARIABLE):
        raise ValueError(f'a token is needed: --token-file FILE or the variable {VARIABLE}')
    return _check(environment[VARIABLE], VARIABLE)


def of_hosts(names: list[str], path: str | None, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the token of each host: its own of the file, its own of the environment, or the one for all.

    :param path: a file with lines `NAME TOKEN`, or one line `TOKEN` for all
    :raises ValueError: a host has none
    """
    known: dict[str, str] = {}
    for line in _private_lines(path) if path is not None else []:
        name, _space, token = line.rpartition(' ')
        known[name.strip()] = _check(token, f'{path}')
    found = {}
    for name in names:
        own = f'{VARIABLE}_{re.sub(r"[^A-Z0-9]", "_", name.upper())}'
        token = known.get(name) or environment.get(own) or known.get('') or environment.get(VARIABLE)
        if not token:
            raise ValueError(f'no token for {name}: --token-file FILE, or the variable {own} or {VARIABLE}')
        found[name] = _check(token, name)
    return found


def same(given: str, token: str) -> bool:
    """Compare in a time that does not tell how much is right."""
    return hmac.compare_digest(given.encode('utf-8', 'surrogateescape'), token.encode())
