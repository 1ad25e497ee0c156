# SPDX-License-Identifier: Apache-2.0
"""Tables and trees for people, each function giving lines of text."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

_UNITS = ('B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB')


def printable(text: str) -> str:
    """Return the text without characters that would move a terminal's cursor: storage chooses some names."""
    return ''.join(c if c.isprintable() else '?' for c in text)


def size(number: Any) -> str:
    """Return a number of bytes as `lsblk` rounds it: `1.0 GiB`."""
    if number is None:
        return '-'
    amount = float(number)
    for unit in _UNITS:
        if amount < 1024 or unit == _UNITS[-1]:
            return f'{amount:.0f} {unit}' if unit == 'B' else f'{amount:.1f} {unit}'
        amount /= 1024
    raise AssertionError('the last unit takes everything')


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Give a table whose columns are as wide as what is in them; the last is not padded."""
    cells = [list(head)]
    cells += [['-' if cell in (None, '') else printable(str(cell)) for cell in row] for row in rows]
    widths = [max(len(row[at]) for row in cells) for at in range(len(head))]
    for row in cells:
        padded = [cell.ljust(width) for cell, width in zip(row[:-1], widths)]
        yield '  '.join([*padded, row[-1]])


def _branches(children: Sequence[tuple[str, Sequence]]) -> Iterator[str]:
    """Give the lines of a tree below its root; a child is its text and its own children."""
    for number, (text, below) in enumerate(children, 1):
        last = number == len(children)
        yield ('└─ ' if last else '├─ ') + printable(text)
        for line in _branches(below):
            yield ('   ' if last else '│  ') + line


def properties(found: dict[str, Any]) -> Iterator[str]:
    """Give one line for each property."""
    return table(('PROPERTY', 'VALUE'), sorted(found.items()))


def uses(volume: dict[str, Any]) -> str:
    """Return who uses a volume: mounts, and the names of what is built on it."""
    names = list(volume['mounts'])
    for consumer in volume['consumers']:
        names.append(f"{consumer['kind']}:{consumer['name'] or consumer['device']}")
    if not names and volume['open_count']:
        names.append(f"open {volume['open_count']}x")
    return ', '.join(names)


def _transports(volume: dict[str, Any]) -> str:
    return ', '.join(sorted({path['connection']['transport'] for path in volume['paths']}))


def volumes(found: list[dict[str, Any]]) -> Iterator[str]:
    """Give one line for each volume; PATHS counts those that are up, of all."""
    if not found:
        return iter(['No volumes.'])
    rows = [(volume['device'], volume['name'], size(volume['size']),
             f"{sum(path['usable'] for path in volume['paths'])}/{len(volume['paths'])}",
             _transports(volume), uses(volume), volume['identity']) for volume in found]
    head = ('DEVICE', 'NAME', 'SIZE', 'PATHS', 'TRANSPORT', 'USED BY', 'IDENTITY')
    if not any(volume.get('record') for volume in found):
        return table(head, rows)
    whose = [(*row[:-1], _whose(volume), row[-1]) for row, volume in zip(rows, found)]
    return table((*head[:-1], 'RECORD', head[-1]), whose)


def _whose(volume: dict[str, Any]) -> str:
    """Return what an attachment record says of a volume, empty without records."""
    return (volume.get('record') or '').replace('_', ' ')


def _path(path: dict[str, Any]) -> tuple[str, list]:
    connection = path['connection']
    parts = (path['device'], path['address'], path['state'], connection['transport'],
             connection['portal'], connection['name'], connection['state'], connection['target'])
    text = ' '.join(str(part) for part in parts if part)
    return ('' if path['usable'] else '! ') + text, []


def _consumer(consumer: dict[str, Any]) -> tuple[str, list]:
    parts = [consumer['kind'], consumer['device'], consumer['name']]
    if consumer['open_count']:
        parts.append(f"open {consumer['open_count']}x")
    parts += [f'mounted on {point}' for point in consumer['mounts']]
    return ' '.join(part for part in parts if part), [_consumer(above) for above in consumer['consumers']]


def tree(found: list[dict[str, Any]]) -> Iterator[str]:
    """Give each volume with its paths, links, mounts and what is built on it; `!` marks a path that is down."""
    if not found:
        yield 'No volumes.'
    for volume in found:
        whose = f'({_whose(volume)})' if _whose(volume) else None
        parts = (volume['device'], volume['name'], size(volume['size']), volume['identity'], whose)
        yield printable(' '.join(part for part in parts if part))
        children = [_path(path) for path in volume['paths']]
        children += [(f'link {link}', []) for link in volume['links']]
        children += [(f'mounted on {point}', []) for point in volume['mounts']]
        children += [_consumer(consumer) for consumer in volume['consumers']]
        yield from _branches(children)


def paths(found: list[str]) -> Iterator[str]:
    """Give one path a line."""
    return iter([printable(path) for path in found] or ['The volume has no path on this host.'])


def orphans(found: dict[str, Any]) -> Iterator[str]:
    """Give each finding with its evidence, risk and commands, then what could not be looked at."""
    for finding in found['findings']:
        yield printable(f"{finding['kind'].replace('_', ' ')}: {finding['subject']}")
        for seen in finding['evidence']:
            yield printable(f"  {seen['place']}: {seen['value']}")
        yield f"  {finding['risk']}"
        for command in finding['commands']:
            yield printable(f'    # {command}')
        yield ''
    number = len(found['findings'])
    yield 'Nothing found.' if not number else '1 finding.' if number == 1 else f'{number} findings.'
    for silent in found['silent']:
        yield printable(f"{silent['device']} did not say what it is: {silent['reason']}")
    if not found['live']:
        yield 'Not as root: no disk was asked what it is, and node records are seen only if readable.'
