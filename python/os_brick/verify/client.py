# SPDX-License-Identifier: Apache-2.0
"""Asks the verification services of several hosts at once, and compares with what is expected."""

from concurrent import futures
import dataclasses
import json
import re
import threading
import time
from typing import Any, Optional
from urllib import parse

import requests

from os_brick.verify import masking

#: Seconds between two rounds while somebody waits for the hosts to be as expected.
_ROUND = 1.0
#: An inventory of thousands of paths is a few MiB.
_LARGEST_ANSWER = 64 * 1024 * 1024


def hosts(given: list[str]) -> dict[str, str]:
    """Return the URL of each host by its name: the one given, or the address and port of the URL.

    :raises ValueError: one is no URL, or a name comes twice
    """
    found: dict[str, str] = {}
    for text in given:
        name, equals, url = text.partition('=')
        if not equals or '/' in name:
            name, url = '', text
        parts = parse.urlsplit(url)
        try:
            good = parts.scheme in ('http', 'https') and bool(parts.hostname) and parts.port != 0
        except ValueError:
            good = False
        if not good or parts.username or parts.password or parts.query or parts.fragment:
            # Whoever puts a token into the URL should not read it again here.
            raise ValueError(f'--host {name or "URL"}: http://ADDRESS:PORT is needed, without user, query or fragment')
        name = name or parts.netloc
        if name in found:
            raise ValueError(f'--host {name} is given twice')
        found[name] = url.rstrip('/')
    return found


def expectations(text: str, names: list[str]) -> dict[str, bool]:
    """Return for each host whether the volume should be there.

    :raises ValueError: it is none of the three, or names a host that is not asked
    """
    if text in ('present', 'absent'):
        return dict.fromkeys(names, text == 'present')
    word, _equals, named = text.partition('=')
    wanted = [name for name in named.split(',') if name]
    if word != 'present-on' or not wanted:
        raise ValueError(f'--expect {text}: present, absent or present-on=NAME is needed')
    for name in wanted:
        if name not in names:
            raise ValueError(f'--expect names {name}, which is no --host; these are {", ".join(names)}')
    return {name: name in wanted for name in names}


@dataclasses.dataclass(frozen=True)
class Volume:
    """A volume as Cinder describes it to a host."""

    protocol: str
    properties: dict[str, Any] = dataclasses.field(repr=False)


def volume(found: Any, source: str) -> Volume:
    """Return the volume of connection information: `driver_volume_type` and `data`.

    :raises ValueError: it has no such form
    """
    if not isinstance(found, dict):
        raise ValueError(f'{source}: an object with driver_volume_type and data is needed')
    protocol, data = found.get('driver_volume_type'), found.get('data')
    if not isinstance(protocol, str) or not re.fullmatch(r'\w+', protocol):
        raise ValueError(f'{source}: driver_volume_type must name a protocol')
    if not isinstance(data, dict):
        raise ValueError(f'{source}: data must be an object, the connection properties')
    # Looking needs no password: what is not sent cannot leak.
    kept = {key: value for key, value in data.items()
            if not masking.names_a_secret(key) and not re.match(r'(discovery_)?auth_', key)}
    return Volume(protocol.lower(), kept)


class Unreachable(Exception):
    """A host that gave no answer, or none that can be used."""


class Service:
    """The verification service of one host."""

    def __init__(self, name: str, url: str, token: str, timeout: float) -> None:
        """Take where it is; nothing is asked yet."""
        self.name = name
        self._url = url
        self._timeout = timeout
        self._session = requests.Session()
        # Neither a proxy nor a .netrc of the environment gets to see, or to replace, the token.
        self._session.trust_env = False
        self._session.headers['Authorization'] = f'Bearer {token}'

    def ask(self, method: str, path: str, body: Optional[dict[str, Any]] = None) -> Any:
        """Return the answer to one request.

        :raises Unreachable: there is none within the time, or it is a refusal
        """
        ends = time.monotonic() + self._timeout
        try:
            with self._session.request(method, self._url + path, json=body, timeout=self._timeout, stream=True,
                                       allow_redirects=False) as answer:
                found = json.loads(_body(answer, ends))
        except (requests.RequestException, ValueError, RecursionError) as exc:
            raise Unreachable(f'no answer: {_reason(exc)}') from None
        if answer.status_code != 200:
            detail = found.get('detail') if isinstance(found, dict) else None
            raise Unreachable(f'{answer.status_code}: {detail or answer.reason}')
        if not isinstance(found, dict):
            raise Unreachable('the answer is none of a verification service')
        return found


def _body(answer: requests.Response, ends: float) -> bytes:
    """Return what was answered; the timeout of requests is for each part of it."""
    taken = bytearray()
    for part in answer.iter_content(65536):
        taken += part
        if time.monotonic() > ends or len(taken) > _LARGEST_ANSWER:
            raise Unreachable('no answer: too slow or too large')
    return bytes(taken)


def _reason(exc: Exception) -> str:
    if isinstance(exc, requests.Timeout):
        return 'timed out'
    if isinstance(exc, requests.ConnectionError):
        refused = re.search(r'\[Errno \d+\] ([\w ]+)', str(exc))
        return refused[1].lower() if refused else 'the connection failed'
    return 'not JSON' if isinstance(exc, (ValueError, RecursionError)) else type(exc).__name__


def _look(service: Service, volume: Volume, expected: bool, strict: bool) -> dict[str, Any]:
    """Return what one host says, compared with what is expected."""
    told: dict[str, Any] = {'host': service.name, 'expected': 'present' if expected else 'absent', 'found': 'unknown',
                            'result': 'unknown', 'paths': [], 'leftovers': [], 'other_findings': 0, 'error': None}
    try:
        answer = service.ask('POST', f'/v1/protocols/{volume.protocol}/paths', volume.properties)
        findings = service.ask('GET', '/v1/orphans')['findings']
        present = answer['present']
        told.update(paths=answer['paths'], leftovers=answer['leftovers'], found='present' if present else 'absent',
                    other_findings=sum(finding not in answer['leftovers'] for finding in findings))
    except Unreachable as exc:
        return {**told, 'error': str(exc)}
    except (KeyError, TypeError):
        return {**told, 'error': 'the answer is none of a verification service'}
    # A volume in use may have a finding, such as a path that is down; one that should be gone must have none.
    left = (not expected and told['leftovers']) or (strict and (told['leftovers'] or told['other_findings']))
    return {**told, 'result': 'different' if present != expected or left else 'as expected'}


def verify(services: list[Service], expected: dict[str, bool], volume: Volume, strict: bool,
           wait: float) -> dict[str, Any]:
    """Ask all hosts at once, again while there is time and one of them is not as expected.

    :param strict: whether findings that do not name the volume count
    :param wait: seconds
    """
    ends = time.monotonic() + wait
    paused = threading.Event()
    while True:
        with futures.ThreadPoolExecutor(max_workers=min(len(services), 32)) as pool:
            looks = [pool.submit(_look, one, volume, expected[one.name], strict) for one in services]
            told = [look.result() for look in looks]
        good = all(one['result'] == 'as expected' for one in told)
        if good or time.monotonic() + _ROUND > ends:
            return {'as_expected': good, 'protocol': volume.protocol, 'hosts': told}
        paused.wait(_ROUND)
