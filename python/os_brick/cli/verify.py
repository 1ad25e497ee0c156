# SPDX-License-Identifier: Apache-2.0
"""`os-brick verify` asks the verification services of several hosts, `os-brick verify-serve` is one."""

import argparse
from collections.abc import Iterator
import dataclasses
import json
import os
import sys
from typing import Any, Callable, NoReturn

from os_brick.cli import ending
from os_brick.cli import output

_VERIFY = """\
  os-brick verify --host a=http://127.0.0.1:9713 --host b=http://127.0.0.1:9714 \\
      --connection-info volume.json --expect present-on=b
  os-brick verify --host http://127.0.0.1:9713 --connection-info volume.json --expect absent --wait 30
"""
_SERVE = """\
  (umask 077 && openssl rand -hex 32 > token) && sudo os-brick verify-serve --token-file token
  curl -H "Authorization: Bearer $(cat token)" http://127.0.0.1:9713/v1/orphans
"""


def add(verb: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the commands to the parser."""
    parser = verb('verify', 'whether a volume is where it should be, on several hosts at once', verify, show, _VERIFY,
                  exit_code)
    # `--token TOKEN` must not pass for --token-file: everybody on the host sees it.
    parser.allow_abbrev = False
    parser.add_argument('--host', action='append', required=True, metavar='[NAME=]URL', dest='hosts',
                        help='a verification service; again for each host')
    parser.add_argument('--connection-info', required=True, metavar='FILE',
                        help='connection information of the volume as JSON; - is stdin')
    parser.add_argument('--expect', required=True, metavar='WHAT',
                        help='present or absent (on all hosts), or present-on=NAME[,NAME] (there alone)')
    parser.add_argument('--token-file', metavar='FILE',
                        help='lines NAME TOKEN, or one line TOKEN for all (default: OS_BRICK_VERIFY_TOKEN[_NAME])')
    parser.add_argument('--wait', type=_number(0, 3600), default=0, metavar='SECONDS',
                        help='ask again until all is as expected, this long (default: 0)')
    parser.add_argument('--timeout', type=_number(1, 600), default=15, metavar='SECONDS',
                        help='for the answer of a host (default: 15)')
    parser.add_argument('--strict', action='store_true',
                        help='findings that do not name the volume are a difference too')
    _add_serve(verb)


def _add_serve(verb: Callable[..., argparse.ArgumentParser]) -> None:
    parser = verb('verify-serve', 'the verification service of this host, for test clouds and not for production',
                  serve, lambda result: (), _SERVE)
    parser.allow_abbrev = False
    parser.add_argument('--listen', default='127.0.0.1', metavar='ADDRESS',
                        help='IP address to listen on (default: 127.0.0.1)')
    parser.add_argument('--port', type=_number(0, 65535), default=9713,
                        help='TCP port (default: 9713); 0 takes a free one')
    parser.add_argument('--beyond-loopback', action='store_true',
                        help='allow an address that other hosts reach; the token crosses the network in the clear')
    parser.add_argument('--token-file', metavar='FILE',
                        help='file with the token, readable by its owner alone (default: OS_BRICK_VERIFY_TOKEN)')
    parser.add_argument('--root', default='/', metavar='DIRECTORY',
                        help='show the inventory of a captured tree instead of this machine')
    parser.add_argument('--request-timeout', type=_number(1, 600), default=20, metavar='SECONDS',
                        help='for sending a whole request, and for taking a whole answer (default: 20)')
    parser.add_argument('--debug', action='store_true', help='log more')


def _number(least: int, most: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        found = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
        if not least <= found <= most:
            raise argparse.ArgumentTypeError(f'{text!r} is no whole number from {least} to {most}')
        return found
    return number


def serve(arguments: argparse.Namespace) -> NoReturn:
    """Serve until a signal ends it.

    :raises Ended: an argument or the token is not fit
    """
    try:
        from os_brick.verify import server
    except ModuleNotFoundError as exc:
        raise ending.Ended(ending.FAILED, f'{exc.name} is missing: pip install os-brick[verify]') from None
    names = [field.name for field in dataclasses.fields(server.Settings)]
    settings = server.Settings(**{name: getattr(arguments, name) for name in names})

    def started(url: str) -> None:
        print(json.dumps({'url': url}) if arguments.json else f'listening on {url}', flush=True)
    try:
        code = server.serve(settings, started)
    except ValueError as exc:
        raise ending.refused(str(exc)) from None
    raise SystemExit(code)


def _read(name: str) -> Any:
    """Return the JSON of a file or of stdin."""
    try:
        if name == '-':
            return json.load(sys.stdin)
        with open(name, encoding='utf-8') as file:
            return json.load(file)
    except (ValueError, RecursionError) as exc:
        # The text may hold a password: only the place of the mistake is shown.
        where = f': line {exc.lineno} column {exc.colno}' if isinstance(exc, json.JSONDecodeError) else ''
        raise ValueError(f'{name} is not JSON{where}') from None


def verify(arguments: argparse.Namespace) -> dict[str, Any]:
    """Ask all hosts and compare.

    :raises Ended: an argument or a file makes no sense
    """
    # Not needed by any other command, and requests takes a while to load.
    from os_brick.verify import client
    from os_brick.verify import tokens
    try:
        hosts = client.hosts(arguments.hosts)
        expected = client.expectations(arguments.expect, list(hosts))
        found = tokens.of_hosts(list(hosts), arguments.token_file, os.environ)
        volume = client.volume(_read(arguments.connection_info), arguments.connection_info)
    except (OSError, ValueError) as exc:
        raise ending.refused(str(exc)) from None
    services = [client.Service(name, url, found[name], arguments.timeout) for name, url in hosts.items()]
    return client.verify(services, expected, volume, arguments.strict, arguments.wait)


def exit_code(result: dict[str, Any]) -> int:
    """Return what the worst of the hosts means."""
    results = {host['result'] for host in result['hosts']}
    if 'different' in results:
        return ending.FOUND
    return ending.FAILED if 'unknown' in results else ending.OK


def show(result: dict[str, Any]) -> Iterator[str]:
    """Give a line for each host, then what was found where it should not be."""
    rows = [(host['host'], host['expected'], host['found'], ' '.join(_paths(host)),
             len(host['leftovers']), host['result']) for host in result['hosts']]
    yield from output.table(('HOST', 'EXPECTED', 'FOUND', 'DEVICES', 'LEFTOVERS', 'RESULT'), rows)
    for host in result['hosts']:
        if host['error']:
            yield output.printable(f"{host['host']}: {host['error']}")
        for path in host['paths'] if host['result'] == 'different' else []:
            yield output.printable(f"{host['host']}: {path['path']} -> {path['device']}")
        for finding in host['leftovers']:
            yield output.printable(f"{host['host']}: {finding['kind'].replace('_', ' ')}: {finding['subject']}")
            for command in finding['commands']:
                yield output.printable(f'    # {command}')
        if host['other_findings']:
            other = '1 other finding' if host['other_findings'] == 1 else f"{host['other_findings']} other findings"
            yield output.printable(f"{host['host']}: {other}, see os-brick orphans there")


def _paths(host: dict[str, Any]) -> list[str]:
    return sorted({path['device'] for path in host['paths']})
