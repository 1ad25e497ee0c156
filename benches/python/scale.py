#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Look-ups on a host with very many volumes: upstream and ours, paired.

For each protocol and size a simulated host gets a tree of that many volumes.
Both libraries look at the same tree, in turn, and their answers are compared.
Fake programs answer in 5 ms, as on the simulated host of the attaches.
"""

import argparse
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / 'tests' / 'simhost'))

import enter  # noqa: E402
import marks  # noqa: E402
import scale_fc  # noqa: E402
import scale_iscsi  # noqa: E402
import scale_nvme  # noqa: E402

KINDS = {'iscsi': scale_iscsi, 'fc': scale_fc, 'nvme': scale_nvme}


def sample(volumes):
    """A few volumes from all over the tree."""
    return sorted({0, volumes // 3, volumes // 2, volumes - 1})


class Worker:
    def __init__(self, python, path, kind, volumes):
        environment = dict(os.environ, PYTHONWARNINGS='ignore')
        environment.pop('PYTHONPATH', None)
        if path:
            environment['PYTHONPATH'] = path
        self.process = subprocess.Popen(
            [python, str(HERE / 'scale_worker.py'), KINDS[kind].__name__,
             str(volumes), json.dumps(sample(volumes))],
            env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def measure(self, operation, calls):
        order = json.dumps({'operation': operation, 'calls': calls})
        self.process.stdin.write(order + '\n')
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit('a worker ended; see its messages above')
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=30)


def pair(workers, operation, calls):
    """One operation by every library in two turns, and whether they agree."""
    found = {name: [] for name in workers}
    answers = {}
    result = {}
    for __ in range(2):
        for name, worker in workers.items():
            done = worker.measure(operation, math.ceil(calls / 2))
            if 'absent' in done:
                continue
            if 'error' in done:
                result[name] = {'error': done['error']}
                continue
            found[name] += done['seconds']
            answers[name] = done['answers']
    for name, seconds in found.items():
        if seconds:
            result[name] = {'median': statistics.median(seconds),
                            'min': min(seconds), 'max': max(seconds),
                            'calls': len(seconds)}
    if len(answers) == 2:
        upstream, ours = answers['upstream'], answers['ours']
        result['agree'] = upstream == ours
        if upstream != ours:
            result['answers'] = {'upstream': upstream, 'ours': ours}
    return result


def within(arguments):
    """In the namespace: both libraries on this tree; JSON on the output."""
    pythons = {'upstream': (arguments.upstream, None),
               'ours': (arguments.ours, arguments.ours_path)}
    kind, volumes = arguments.within[0], int(arguments.within[1])
    workers = {
        name: Worker(python, path, kind, volumes)
        for name, (python, path) in pythons.items() if python}
    results = {operation: pair(workers, operation, arguments.calls)
               for operation in KINDS[kind].OPERATIONS}
    for worker in workers.values():
        worker.close()
    print(json.dumps(results))
    return 0


def run_size(kind, volumes, arguments):
    options = ['--tree', '--volumes', str(volumes),
               *KINDS[kind].tree(volumes)]
    again = [sys.executable, str(HERE / 'scale.py'),
             '--within', kind, str(volumes), '--calls', str(arguments.calls)]
    for option in ('upstream', 'ours', 'ours_path'):
        value = getattr(arguments, option)
        if value:
            again += ['--' + option.replace('_', '-'), value]
    done = subprocess.run(enter.command(options, again), check=True,
                          text=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def growth(results, sizes, operation, name):
    """The exponent of the growth from the first size to the last.

    1 is linear; None when a measurement is missing.
    """
    ends = [results[str(size)][operation].get(name, {}).get('median')
            for size in (sizes[0], sizes[-1])]
    if len(sizes) < 2 or None in ends:
        return None
    return math.log(ends[1] / ends[0]) / math.log(sizes[-1] / sizes[0])


def introduction(sizes, calls):
    exponent = (f' *Growth*: the exponent from {sizes[0]} to {sizes[-1]} '
                'volumes (1 is linear).' if len(sizes) > 1 else '')
    return f'Milliseconds, medians of up to {calls} calls.{exponent}\n'


def markdown(found, sizes, kind):
    """The table of one protocol."""
    lines = _table(found, sizes, KINDS[kind].OPERATIONS)
    return '\n'.join(lines) + '\n'


def _table(results, sizes, operations):
    head = ['look-up']
    for size in sizes:
        head += [f'upstream, {size}', f'ours, {size}', 'faster']
    head += ['growth upstream', 'growth ours', 'same answer']
    lines = ['| ' + ' | '.join(head) + ' |', '|---' * len(head) + '|']
    for operation, title in operations.items():
        lines.append(_row(results, sizes, operation, title))
    return lines


def _row(results, sizes, operation, title):
    columns = [title]
    agree = [results[str(size)][operation].get('agree') for size in sizes]
    for size in sizes:
        found = results[str(size)][operation]
        medians = [found.get(name, {}).get('median')
                   for name in ('upstream', 'ours')]
        columns += ['-' if one is None else f'{one * 1000:.3f}'
                    for one in medians]
        columns.append('-' if None in medians
                       else f'{medians[0] / medians[1]:.1f}x')
    for name in ('upstream', 'ours'):
        exponent = growth(results, sizes, operation, name)
        columns.append('-' if exponent is None else f'{exponent:.2f}')
    columns.append('-' if None in agree else 'yes' if all(agree) else 'NO')
    return '| ' + ' | '.join(columns) + ' |'


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--upstream', metavar='PYTHON',
                        help='python of the environment with os-brick 7.1.1')
    parser.add_argument('--ours', metavar='PYTHON',
                        help='python of the environment with our wheel')
    parser.add_argument('--ours-path', metavar='DIR',
                        help='PYTHONPATH for ours, instead of a wheel')
    parser.add_argument('--sizes', type=int, nargs='+',
                        default=[10, 100, 1000])
    parser.add_argument('--only', choices=KINDS, nargs='+',
                        default=list(KINDS), help='protocols')
    parser.add_argument('--calls', type=int, default=200)
    parser.add_argument('--json', metavar='FILE', type=pathlib.Path)
    parser.add_argument('--into', metavar='DOCUMENT', type=pathlib.Path,
                        help='write the tables between their marks there')
    parser.add_argument('--within', nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args()


def main():
    arguments = parse()
    if not (arguments.upstream or arguments.ours):
        raise SystemExit('give --upstream, --ours or both')
    if arguments.within:
        return within(arguments)
    enter.build()
    results = {kind: {str(size): run_size(kind, size, arguments)
                      for size in arguments.sizes}
               for kind in arguments.only}
    tables = {'scale': introduction(arguments.sizes, arguments.calls)}
    for kind, found in results.items():
        tables[f'scale-{kind}'] = markdown(found, arguments.sizes, kind)
    print('\n'.join(tables.values()), end='')
    if arguments.json:
        arguments.json.write_text(json.dumps(
            {'sizes': arguments.sizes, 'results': results}, indent=2) + '\n')
    if arguments.into:
        for name, text in tables.items():
            marks.write(arguments.into, name, text)
    failed = any('error' in library
                 for kind in results.values()
                 for size in kind.values()
                 for operation in size.values()
                 for library in operation.values()
                 if isinstance(library, dict))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
