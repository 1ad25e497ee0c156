#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The library's own cost: upstream and ours on the fast simulated host.

Both libraries do the same attaches in turn, each on a simulated host of its
own, beside a floor that drives the same host with the least programs.  The
first round of each is not counted.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

import enter
import marks

HERE = pathlib.Path(__file__).resolve().parent

# Name, volumes at once, portals (of an array's ports: Fibre Channel),
# multipath, kind.
SCENARIOS = (
    ('single path', 1, 1, False, 'iscsi'),
    ('4 paths', 1, 4, True, 'iscsi'),
    ('8 volumes x 4 paths at once', 8, 4, True, 'iscsi'),
    ('FC single path', 1, 1, False, 'fc'),
    ('FC 4 paths', 1, 4, True, 'fc'),
    ('FC 3 volumes x 4 paths at once', 3, 4, True, 'fc'),
    ('NVMe 1 portal', 1, 1, False, 'nvme'),
    ('NVMe 2 portals', 1, 2, True, 'nvme'),
    ('NVMe 8 volumes x 2 portals at once', 8, 2, True, 'nvme'),
)
OPERATIONS = ('connect', 'disconnect')
LATENCIES = {'program': 0.005, 'disk': 0.020, 'map': 0.050}


def nominal(portals, multipath, kind):
    """The simulated latencies that no order of work can avoid.

    Attach: a login, the disk, and for multipath the map.  Detach: a logout,
    and for multipath the map's flush before it.  Fibre Channel has neither
    login nor logout.  What can be done side by side counts once.  Over NVMe
    the kernel makes one connection after the other, with all namespaces.
    """
    if kind == 'nvme':
        connect = portals * LATENCIES['disk']
        return {'connect': connect, 'disconnect': 0, 'both': connect}
    session = LATENCIES['program'] if kind == 'iscsi' else 0
    connect = session + LATENCIES['disk']
    disconnect = session
    if multipath:
        connect += LATENCIES['map']
        disconnect += LATENCIES['program']
    return {'connect': connect, 'disconnect': disconnect,
            'both': connect + disconnect}


def simulator_options(volumes, portals, multipath, kind):
    return ['--kind', kind,
            '--volumes', str(volumes), '--portals', str(portals),
            '--find-multipaths', 'no' if multipath else 'yes']


class Worker:
    """A python with a library, waiting for rounds on its own host."""

    def __init__(self, python, scenario, path=None):
        __, volumes, portals, multipath, kind = scenario
        self.order = {'volumes': volumes, 'portals': portals,
                      'multipath': multipath, 'kind': kind}
        environment = dict(os.environ, PYTHONWARNINGS='ignore')
        environment.pop('PYTHONPATH', None)
        if path:
            environment['PYTHONPATH'] = path
        self.process = subprocess.Popen(
            enter.command(simulator_options(*scenario[1:]),
                          [python, str(HERE / 'worker.py')]),
            env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def round(self):
        self.process.stdin.write(json.dumps(self.order) + '\n')
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit('a worker ended; see its messages above')
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=30)


def measure_floor(simulator, scenario, rounds):
    options = simulator_options(*scenario[1:])
    line = [str(simulator), 'floor', *options]
    if not scenario[3]:
        line.append('--single')
    again = f'import subprocess, sys\nfor __ in range({rounds + 1}):\n' \
            '    subprocess.run(sys.argv[1:], check=True)\n'
    done = subprocess.run(
        enter.command(options, [sys.executable, '-c', again, *line]),
        check=True, text=True, capture_output=True)
    times = [[float(word) for word in row.split()]
             for row in done.stdout.splitlines()][1:]
    return {'connect': statistics.median(row[0] for row in times),
            'disconnect': statistics.median(row[1] for row in times),
            'both': statistics.median(sum(row) for row in times)}


def summary(rounds, operation):
    """Median and range of one operation over the rounds that worked."""
    seconds = [one[operation]['seconds'] for one in rounds]
    return {
        'median': statistics.median(seconds),
        'min': min(seconds), 'max': max(seconds),
        'in_flight': statistics.median(
            one[operation]['in_flight'] for one in rounds),
        'programs': statistics.median(
            one[operation]['programs'] for one in rounds),
        'rounds': [round(value, 6) for value in seconds],
        # One round in detail: start and length in ms, and what it was.
        'trace': rounds[-1][operation]['trace']}


def both(rounds):
    """Attach and detach of a round taken together."""
    sums = [sum(one[operation]['seconds'] for operation in OPERATIONS)
            for one in rounds]
    return {
        'median': statistics.median(sums), 'min': min(sums),
        'max': max(sums), 'rounds': [round(value, 6) for value in sums],
        **{name: statistics.median(
            sum(one[operation][name] for operation in OPERATIONS)
            for one in rounds) for name in ('in_flight', 'programs')}}


def run_scenario(simulator, pythons, scenario, arguments):
    workers = {name: Worker(python, scenario, arguments.path.get(name))
               for name, python in pythons.items()}
    rounds = {name: [] for name in workers}
    errors = {name: [] for name in workers}
    for turn in range(arguments.rounds + 1):
        for name, worker in workers.items():
            result = worker.round()
            if 'error' in result:
                errors[name].append(result['error'])
                print(f'{scenario[0]}: {name}: {result["error"]}',
                      file=sys.stderr)
            elif turn:
                rounds[name].append(result)
    for worker in workers.values():
        worker.close()
    libraries = {}
    for name, done in rounds.items():
        if done:
            libraries[name] = {operation: summary(done, operation)
                               for operation in OPERATIONS}
            libraries[name]['both'] = both(done)
            libraries[name]['left'] = done[-1]['left']
        if errors[name]:
            libraries.setdefault(name, {})['errors'] = errors[name]
    return {'scenario': scenario[0], 'nominal': nominal(*scenario[2:]),
            'floor': measure_floor(simulator, scenario, arguments.rounds),
            'libraries': libraries}


def markdown(results, rounds):
    """The table, in milliseconds."""
    lines = [
        f'Milliseconds, medians of {rounds} rounds after one warm-up. '
        'Simulated: a program 5 ms, a disk 20 ms after its scan, a map '
        '50 ms after its first path, an NVMe connection 20 ms after it is '
        'asked for.',
        '',
        '*Latencies*: the simulated times on the critical path alone. '
        '*Floor*: measured, the least programs and no library. *In flight*: '
        'the time of the attach in which a program or the kernel was at '
        'work. *Programs*: how many were run.',
        '',
        '| attach | operation | upstream | (in flight, programs) | ours | '
        '(in flight, programs) | faster | latencies | floor | ours / '
        'latencies | ours / floor | ours / in flight |',
        '|---|---|---|---|---|---|---|---|---|---|---|---|']
    for result in results:
        for operation in (*OPERATIONS, 'both'):
            lines.append(_row(result, operation))
    return '\n'.join(lines) + '\n'


def _row(result, operation):
    def ms(seconds):
        return f'{seconds * 1000:.1f}'

    columns = [result['scenario'], operation]
    found = {name: library.get(operation)
             for name, library in result['libraries'].items()}
    upstream, ours = found.get('upstream'), found.get('ours')
    for one in (upstream, ours):
        columns += ([ms(one['median']),
                     f"{ms(one['in_flight'])}, {one['programs']:.0f}"]
                    if one else ['-', '-'])
    columns.append(f"{upstream['median'] / ours['median']:.1f}x"
                   if upstream and ours else '-')
    latencies = result['nominal'][operation]
    floor = result['floor'][operation]
    columns += [ms(latencies), ms(floor)]
    # A detach of one Fibre Channel disk has no latency of programs.
    for base in (latencies, floor, ours['in_flight'] if ours else None):
        columns.append(f"{ours['median'] / base:.2f}" if ours and base
                       else '-')
    return '| ' + ' | '.join(columns) + ' |'


def print_traces(results):
    """The steps of one attach and one detach of each library."""
    for result in results:
        for name, library in result['libraries'].items():
            for operation in OPERATIONS:
                if operation not in library:
                    continue
                one = library[operation]
                print(f"\n{result['scenario']}, {operation}, {name} "
                      f"({one['rounds'][-1] * 1000:.1f} ms; "
                      'start, length, step)')
                for start, length, what in one['trace']:
                    print(f'{start:9.1f} {length:8.1f}  {what}')


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--upstream', metavar='PYTHON',
                        help='python of the environment with os-brick 7.1.1')
    parser.add_argument('--ours', metavar='PYTHON',
                        help='python of the environment with our wheel')
    parser.add_argument('--ours-path', metavar='DIR',
                        help='PYTHONPATH for ours, instead of a wheel')
    parser.add_argument('--rounds', type=int, default=5)
    parser.add_argument('--only', metavar='TEXT', default='',
                        help='scenarios whose name contains the text')
    parser.add_argument('--trace', action='store_true',
                        help='print the steps of the last rounds')
    parser.add_argument('--json', metavar='FILE', type=pathlib.Path)
    parser.add_argument('--into', metavar='DOCUMENT', type=pathlib.Path,
                        help='write the table between its marks there')
    arguments = parser.parse_args()
    arguments.path = {'ours': arguments.ours_path}
    return arguments


def main():
    arguments = parse()
    given = {'upstream': arguments.upstream, 'ours': arguments.ours}
    pythons = {name: python for name, python in given.items() if python}
    if not pythons:
        raise SystemExit('give --upstream, --ours or both')
    simulator = enter.build()
    results = [run_scenario(simulator, pythons, scenario, arguments)
               for scenario in SCENARIOS if arguments.only in scenario[0]]
    table = markdown(results, arguments.rounds)
    print(table, end='')
    if arguments.trace:
        print_traces(results)
    if arguments.json:
        arguments.json.write_text(json.dumps(
            {'rounds': arguments.rounds, 'latencies': LATENCIES,
             'cpus': os.cpu_count(), 'load': os.getloadavg(),
             'results': results}, indent=2) + '\n')
    if arguments.into:
        marks.write(arguments.into, 'attach', table)
    failed = any('errors' in library for result in results
                 for library in result['libraries'].values())
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
