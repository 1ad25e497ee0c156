# SPDX-License-Identifier: Apache-2.0
"""Runs tests of Nova, Cinder, Glance and cinderclient on upstream os-brick 7.1.1 and on our wheel, and compares.

Fails when a test does worse on ours.  selection.toml says which modules; `--all` takes the long lists.
"""

import argparse
import concurrent.futures
import dataclasses
import itertools
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib

import document
import environment
import outcomes

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parents[1]
#: For one process; what it has not run by then has vanished.
LIMIT = 3600
#: Of the long lists, for each processor.
SHARES = 3


@dataclasses.dataclass(frozen=True)
class Consumer:
    """Which tests of one project are run."""
    name: str
    modules: list
    at_least: int


@dataclasses.dataclass(frozen=True)
class Job:
    """One process: a share of one consumer's tests on one os-brick."""
    consumer: Consumer
    side: str
    shard: int
    shards: int
    only: tuple = ()

    @property
    def title(self):
        return f'{self.consumer.name}-{self.side}-{self.shard}' + ('-again' if self.only else '')


class Runner:
    """Runs jobs; each leaves TITLE.jsonl with the outcomes and TITLE.log with what was said in `out`."""

    def __init__(self, place, sides, out, touched=False):
        self.place, self.sides, self.out, self.touched = place, sides, out, touched

    def run(self, job):
        result = self.out / f'{job.title}.jsonl'
        argv = [environment.python(self.place), HERE / 'worker.py', '--shard', job.shard, '--shards', job.shards]
        if job.only:
            only = self.out / f'{job.title}.ids'
            only.write_text('\n'.join(job.only))
            argv += ['--only', only]
        if self.touched:
            argv.append('--touched')
        with tempfile.TemporaryDirectory(prefix='consumers-') as scratch, open(self.out / f'{job.title}.log', 'w') as log:
            result.touch()
            try:
                subprocess.run([str(word) for word in [*argv, result, *job.consumer.modules]], cwd=scratch, stdout=log,
                               stderr=log, stdin=subprocess.DEVNULL, timeout=LIMIT, env=self.variables(job, scratch))
            except subprocess.TimeoutExpired:
                log.write(f'stopped after {LIMIT} s\n')
        return result

    def variables(self, job, scratch):
        """Nothing of the caller's, so that a machine's settings change no outcome."""
        return {
            'PATH': os.environ['PATH'], 'LANG': 'C.UTF-8', 'HOME': scratch, 'TMPDIR': scratch, 'PYTHONHASHSEED': '0',
            'PYTHONPATH': str(self.sides[job.side]), 'PYTHONWARNINGS': 'ignore', 'PYTHONDONTWRITEBYTECODE': '1',
            # As Nova's own `tox -e py3`: unsaid, the tests patch, and the module of nova-compute refuses to be imported then.
            'OS_NOVA_DISABLE_EVENTLET_PATCHING': 'False',
            # Of the consumers' base classes: what tests say is kept to themselves, and none hangs.
            'OS_STDOUT_CAPTURE': '1', 'OS_STDERR_CAPTURE': '1', 'OS_TEST_TIMEOUT': '300'}

    def all(self, jobs, processes):
        """The result files of the jobs, (consumer's name, side) -> paths."""
        done = itertools.count(1)

        def run(job):
            path = self.run(job)
            print(f'consumers: {job.title} ended, {next(done)} of {len(jobs)}', file=sys.stderr, flush=True)
            return path

        with concurrent.futures.ThreadPoolExecutor(processes) as pool:
            paths = list(pool.map(run, jobs))
        results = {}
        for job, path in zip(jobs, paths):
            results.setdefault((job.consumer.name, job.side), []).append(path)
        return results


def select(names, everything):
    """The consumers to run, all when no name is given."""
    chosen = tomllib.loads((HERE / 'selection.toml').read_text())
    unknown = set(names) - set(chosen)
    if unknown:
        raise SystemExit(f'consumers: no such consumer: {", ".join(sorted(unknown))}; there are {", ".join(chosen)}')
    found = []
    for name, entry in chosen.items():
        if not names or name in names:
            only = {} if everything else entry.get('only', {})
            modules = entry['modules'] + (entry.get('more', []) if everything else [])
            found.append(Consumer(name, [f'{module}~{only.get(module, "")}' for module in modules],
                                  entry['at_least_all' if everything else 'at_least']))
    return found


def read_side(consumer, side, runner, paths):
    """The outcomes of one side, which must have used the os_brick it was meant to."""
    found, places = outcomes.read(paths)
    wanted = str(runner.sides[side] / 'os_brick')
    if places - {wanted}:
        raise SystemExit(f'consumers: {consumer.name} met os_brick in {places}, not in {wanted}')
    return found


def judge(consumer, runner, results):
    """The comparison for one consumer; tests that do worse get one more chance, alone.

    Some of the consumers' tests depend on time, and a loaded machine must not decide.
    """
    upstream, ours = (read_side(consumer, side, runner, results[consumer.name, side]) for side in ('upstream', 'ours'))
    bad = [regression.test for regression in outcomes.regressions(upstream, ours)]
    unsteady = []
    if 0 < len(bad) <= 20:
        again = runner.run(Job(consumer, 'ours', 0, 1, tuple(bad)))
        second = read_side(consumer, 'ours', runner, [again])
        unsteady = [test for test in bad if test in upstream and test in second
                    and not outcomes.worse(second[test], upstream[test])]
        ours |= {test: second[test] for test in unsteady}
    return outcomes.compare(upstream, ours, consumer.at_least), unsteady


def wheel_folder(place, wheel, out):
    """Our side: the folder itself when it is one with os_brick in it, else the wheel, unpacked."""
    if (wheel / 'os_brick').is_dir():
        return wheel.resolve()
    found = sorted(wheel.glob('os_brick-*.whl')) if wheel.is_dir() else [wheel]
    if len(found) != 1:
        raise SystemExit(f'consumers: exactly one wheel is to be in {wheel}, there are {len(found)}')
    environment.install_package(place, out / 'ours', str(found[0].resolve()))
    return (out / 'ours').resolve()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('consumers', nargs='*', help='some of those in selection.toml, all when none is given')
    parser.add_argument('--all', action='store_true', help='the long selection')
    parser.add_argument('--wheel', type=pathlib.Path, default=TOP / 'dist', help='a wheel, or a folder with one or os_brick')
    parser.add_argument('--out', type=pathlib.Path, default=TOP / 'target' / 'consumers')
    parser.add_argument('--jobs', type=int, default=os.cpu_count())
    parser.add_argument('--touched', action='store_true', help='record what of os_brick each test uses, in the .jsonl')
    parser.add_argument('--write', action='store_true', help='write the numbers into docs/compatibility.md')
    given = parser.parse_args()

    started = time.monotonic()
    chosen = select(given.consumers, given.all)
    if given.write and given.consumers:
        parser.error('--write is for all consumers')
    place = environment.ensure()
    shutil.rmtree(given.out, ignore_errors=True)
    given.out.mkdir(parents=True)
    sides = {'upstream': place / 'upstream', 'ours': wheel_folder(place, given.wheel, given.out)}
    runner = Runner(place, sides, given.out.resolve(), given.touched)
    shards = given.jobs * (SHARES if given.all else 1)
    jobs = [Job(consumer, side, shard, shards) for consumer, shard, side in itertools.product(chosen, range(shards), sides)]
    results = runner.all(jobs, given.jobs)
    verdicts = {consumer.name: judge(consumer, runner, results) for consumer in chosen}
    report(verdicts)
    print(f'consumers: {time.monotonic() - started:.0f} s, outcomes of each test in {given.out}')
    comparisons = {name: comparison for name, (comparison, _) in verdicts.items()}
    if given.write:
        heading = 'All that meet os-brick:' if given.all else 'The part that CI runs:'
        document.write(TOP / 'docs' / 'compatibility.md', heading, comparisons)
    return any(comparison.faults for comparison in comparisons.values())


def report(verdicts):
    for line in document.table({name: comparison for name, (comparison, _) in verdicts.items()}):
        print(line)
    for name, (comparison, unsteady) in verdicts.items():
        for test in unsteady:
            print(f'  unsteady, {name}: {test} was worse once and then not')
        for fault in comparison.faults[:50]:
            print(f'  WORSE, {name}: {fault}')
        if len(comparison.faults) > 50:
            print(f'  ... and {len(comparison.faults) - 50} more')


if __name__ == '__main__':
    sys.exit(main())
