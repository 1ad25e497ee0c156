# SPDX-License-Identifier: Apache-2.0
"""Runs test modules of one consumer in this process and writes a line of JSON for each test.

Started by run.py with the interpreter of the consumers' environment, so it may import nothing of this project.
"""

import argparse
import ast
import importlib.machinery
import json
import os
import pathlib
import re
import sys
import time
import unittest
from unittest import mock
import zlib


class Recorder(unittest.TestResult):
    """Writes each test's outcome at once: what was written stays when the process dies in a later test."""

    def __init__(self, file):
        super().__init__()
        self.file = file
        self.outcome = None

    def write(self, name, status, reason, seconds=0.0):
        line = {'id': name, 'status': status, 'reason': reason, 'seconds': round(seconds, 3), **self.more()}
        self.file.write(json.dumps(line) + '\n')
        self.file.flush()

    def more(self):
        return {}

    def startTest(self, test):
        super().startTest(test)
        self.started = time.monotonic()
        self.outcome = ('passed', '')

    def stopTest(self, test):
        super().stopTest(test)
        self.write(name_of(test), *self.outcome, time.monotonic() - self.started)
        self.outcome = None

    def settle(self, test, status, reason):
        if self.outcome is None:
            # setUpClass and its like, outside of any test.
            self.write(name_of(test), status, reason)
        elif self.outcome[0] in ('passed', 'skipped'):
            self.outcome = (status, reason)

    def addFailure(self, test, err):
        self.settle(test, 'failed', first_line(err))

    def addError(self, test, err):
        self.settle(test, 'failed', first_line(err))

    def addSkip(self, test, reason):
        self.settle(test, 'skipped', str(reason).strip().split('\n')[0])

    def addUnexpectedSuccess(self, test):
        self.settle(test, 'failed', 'unexpected success')

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.settle(test, 'failed', first_line(err))


def name_of(test):
    """The ID of the test, without what differs in each process (ddt puts values in names)."""
    return re.sub(r'0x[0-9a-f]{6,}', '0x', test.id())


def first_line(err):
    """What went wrong, in a line; testtools hands over the whole traceback as text, which ends with it."""
    kind, value, _ = err
    text = str(value).strip()
    if kind.__name__ == '_StringException':
        told = [line for line in text.split('\n') if re.match(r'[\w.]+(: |$)', line)]
        return (told or [text])[-1][:300]
    return f'{kind.__name__}: {text}'.split('\n')[0][:300]


class Touched(Recorder):
    """Also tells which functions of os_brick a test entered and what of it was patched: the evidence for selection.toml."""

    seen = set()

    def startTest(self, test):
        self.seen.clear()
        super().startTest(test)

    def more(self):
        return {'touched': sorted(self.seen)}


class Tracing(importlib.machinery.SourceFileLoader):
    """Loads a module of os_brick so that each of its functions says when it is entered; far cheaper than a profiler."""

    def get_code(self, fullname):
        path = self.get_filename(fullname)
        tree = ast.parse(self.get_data(path))
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                say = f'__import__("sys").modules["__main__"].Touched.seen.add("{fullname}:{node.name}")'
                first = 0 if ast.get_docstring(node) is None else 1
                node.body[first:first] = ast.parse(say).body
        return compile(ast.fix_missing_locations(tree), path, 'exec')


class TracingFinder(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, fullname, path=None, target=None):
        if fullname.split('.')[0] != 'os_brick':
            return None
        spec = super().find_spec(fullname, path, target)
        if spec and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            spec.loader = Tracing(fullname, spec.origin)
        return spec


def trace_os_brick():
    sys.meta_path.insert(0, TracingFinder)
    enter = mock._patch.__enter__

    def patched(patch):
        target = patch.getter()
        owner = target.__module__ if isinstance(target, type) else getattr(target, '__name__', '')
        if str(owner).startswith('os_brick'):
            Touched.seen.add(f'patch {owner}:{patch.attribute}')
        return enter(patch)
    mock._patch.__enter__ = patched


def tests_of(entry, recorder):
    """The tests of `module` or `module~expression for their names`.

    None, and a failure under the module's own name, when it cannot be imported.
    """
    module, _, names = entry.partition('~')
    try:
        __import__(module)
    except (Exception, SystemExit) as failure:
        recorder.write(module, 'failed', first_line((type(failure), failure, None)))
        return []
    loaded = flat(unittest.defaultTestLoader.loadTestsFromName(module))
    return [test for test in loaded if re.search(names, test.id().rpartition('.')[2])]


def flat(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from flat(test)
        else:
            yield test


def belongs(test, shard, shards):
    """By the ID, so that a test meets the same neighbours on either side."""
    return zlib.crc32(name_of(test).encode()) % shards == shard


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--shard', type=int, default=0)
    parser.add_argument('--shards', type=int, default=1)
    parser.add_argument('--only', type=pathlib.Path, help='a file with the IDs to run, one a line')
    parser.add_argument('--touched', action='store_true', help='record what of os_brick each test uses')
    parser.add_argument('out', type=pathlib.Path)
    parser.add_argument('modules', nargs='+', help='module, or module~expression')
    given = parser.parse_args()
    if given.touched:
        trace_os_brick()
    only = given.only and set(given.only.read_text().split('\n'))
    with open(given.out, 'w') as file:
        recorder = (Touched if given.touched else Recorder)(file)
        chosen = [test for module in given.modules for test in tests_of(module, recorder)
                  if belongs(test, given.shard, given.shards) and (not only or name_of(test) in only)]
        # Where it came from is checked at the other end: a comparison of upstream with upstream would always be green.
        import os_brick
        file.write(json.dumps({'os_brick': os.path.dirname(os_brick.__file__), 'planned': len(chosen)}) + '\n')
        unittest.TestSuite(chosen).run(recorder)
    # Threads that a test left behind must not keep the process.
    os._exit(0)


if __name__ == '__main__':
    main()
