# SPDX-License-Identifier: Apache-2.0
"""The comparison itself: what counts as worse, and that a broken os_brick is found; needs none of the consumers."""

import json
import subprocess
import sys
import textwrap
import tomllib

import pytest

import document
import environment
import outcomes
import run
from outcomes import Outcome

PASSED, SKIPPED, FAILED = Outcome('passed'), Outcome('skipped', 'no rbd'), Outcome('failed', 'KeyError: 1')


def test_the_same_on_both_sides():
    side = {'a': PASSED, 'b': SKIPPED, 'c': FAILED}
    found = outcomes.compare(side, dict(side))
    assert found == outcomes.Comparison(total=3, passed=1, skipped=1, failed=1, better=0, regressions=[], at_least=1)
    assert found.faults == []


@pytest.mark.parametrize('there, here', [
    (PASSED, SKIPPED), (PASSED, FAILED), (PASSED, None), (SKIPPED, FAILED), (SKIPPED, None), (FAILED, None), (None, FAILED)])
def test_worse(there, here):
    upstream, ours = ({'x': PASSED} | ({'t': outcome} if outcome else {}) for outcome in (there, here))
    found = outcomes.compare(upstream, ours)
    assert [(regression.test, regression.upstream, regression.ours) for regression in found.regressions] == [
        ('t', there or outcomes.VANISHED, here or outcomes.VANISHED)]
    assert found.passed == 1
    assert len(found.faults) == 1


@pytest.mark.parametrize('there, here', [(FAILED, PASSED), (FAILED, SKIPPED), (SKIPPED, PASSED), (None, PASSED)])
def test_not_worse(there, here):
    upstream, ours = ({'x': PASSED} | ({'t': outcome} if outcome else {}) for outcome in (there, here))
    found = outcomes.compare(upstream, ours)
    assert (found.faults, found.better, found.passed) == ([], 1, 1)


def test_too_few_tests_prove_nothing():
    side = {'a': PASSED, 'b': FAILED, 'c': FAILED}
    assert outcomes.compare(side, side, at_least=2).faults == ['only 1 tests pass on both sides, 2 are expected']
    assert outcomes.compare({}, {}).faults != []


# A consumer, an os_brick, and a process that meets both.

OS_BRICK = '''
class Connector:
    def disconnect_volume(self, properties, device_info, force=False):
        return force
'''
CONSUMER = '''
import unittest
import os_brick

class TestDetach(unittest.TestCase):
    def test_forced(self):
        self.assertTrue(os_brick.Connector().disconnect_volume({}, None, force=True))

    def test_plain(self):
        self.assertFalse(os_brick.Connector().disconnect_volume({}, None))

    @unittest.skip('never')
    def test_skipped(self):
        pass

    def test_fails_anywhere(self):
        with self.subTest(1):
            self.fail('so it does')
'''


@pytest.fixture
def play(tmp_path):
    """Runs the consumer's tests with os_brick and what `change` does to it at start: the outcomes."""
    (tmp_path / 'consumer').mkdir()
    (tmp_path / 'consumer/consumer_tests.py').write_text(CONSUMER)
    (tmp_path / 'os_brick').mkdir()
    (tmp_path / 'os_brick/__init__.py').write_text(OS_BRICK)

    def once(change='', *argv):
        (tmp_path / 'sitecustomize.py').write_text(textwrap.dedent(change))
        result = tmp_path / 'out.jsonl'
        subprocess.run([sys.executable, run.HERE / 'worker.py', *argv, result, 'consumer_tests'], cwd=tmp_path,
                       env={'PYTHONPATH': f'{tmp_path}:{tmp_path}/consumer', 'PYTHONDONTWRITEBYTECODE': '1'})
        found, places = outcomes.read([result])
        assert places <= {str(tmp_path / 'os_brick')}
        return found
    return once


def short(test):
    return test.rpartition('.')[2]


def test_what_the_worker_records(play):
    assert {short(name): (outcome.status, outcome.reason) for name, outcome in play().items()} == {
        'test_forced': ('passed', ''), 'test_plain': ('passed', ''), 'test_skipped': ('skipped', 'never'),
        'test_fails_anywhere': ('failed', 'AssertionError: so it does')}


def test_every_test_is_in_one_shard(play):
    shards = [set(play('', '--shard', str(shard), '--shards', '2')) for shard in (0, 1)]
    assert shards[0] | shards[1] == set(play())
    assert shards[0] & shards[1] == set()


@pytest.mark.parametrize('change, worse', [
    ('import os_brick; del os_brick.Connector', ['test_forced', 'test_plain']),
    ('import os_brick; os_brick.Connector.disconnect_volume = lambda self, properties, device_info: False', ['test_forced']),
    ('import os_brick; os_brick.Connector.disconnect_volume = lambda self, *a, **k: __import__("os")._exit(1)',
     ['test_forced', 'test_plain', 'test_skipped']),
    ('import sys; sys.modules["os_brick"] = None', ['consumer_tests']),
])
def test_a_broken_os_brick_is_found(play, change, worse):
    found = outcomes.compare(play(), play(change))
    assert [short(regression.test) for regression in found.regressions] == worse
    assert len(found.faults) >= len(worse)


def test_what_touches_os_brick_is_told(play, tmp_path):
    play('', '--touched')
    entries = [json.loads(line) for line in (tmp_path / 'out.jsonl').read_text().splitlines()]
    assert {short(entry['id']): entry['touched'] for entry in entries if 'id' in entry} == {
        'test_forced': ['os_brick:disconnect_volume'], 'test_plain': ['os_brick:disconnect_volume'], 'test_skipped': [],
        'test_fails_anywhere': []}


# What is run.

def selection():
    return tomllib.loads((run.HERE / 'selection.toml').read_text())


def test_the_selection_names_each_module_once_in_order():
    for name, entry in selection().items():
        for key in ('modules', 'more'):
            assert entry.get(key, []) == sorted(entry.get(key, [])), name
        both = entry['modules'] + entry.get('more', [])
        assert len(both) == len(set(both)), name
        assert entry.get('only', {}).keys() <= set(entry['modules']), name


def test_each_consumer_has_its_environment_of_tox():
    tox = (run.TOP / 'tox.ini').read_text()
    assert [name for name in selection() if f'[testenv:{name}]' not in tox] == []


def test_every_pin_is_exact_and_os_brick_is_none_of_them():
    lines = [line for line in environment.REQUIREMENTS.read_text().splitlines() if not line.startswith('#')]
    assert [line for line in lines if line.count('==') != 1] == []
    names = {line.partition('==')[0].lower() for line in lines}
    assert {'nova', 'cinder', 'glance_store', 'python-brick-cinderclient-ext'} <= names
    assert 'os-brick' not in names


def test_pins_that_are_not_complete_are_found(tmp_path):
    for name, needed in (('nova', ['os-brick', 'netifaces']), ('openstacksdk', ['no-such-thing>=1', 'pip<1'])):
        folder = tmp_path / f'{name}_of_the_test-1.dist-info'
        folder.mkdir()
        (folder / 'METADATA').write_text(f'Metadata-Version: 2.1\nName: {name}-of-the-test\nVersion: 1\n'
                                         + ''.join(f'Requires-Dist: {one}\n' for one in needed))
    told = [line for line in environment.unmet(sys.executable, PYTHONPATH=str(tmp_path)) if 'of-the-test' in line]
    assert [line.partition(', ')[0] for line in told] == [
        'openstacksdk-of-the-test 1 requires no-such-thing',
        'openstacksdk-of-the-test 1 has requirement pip<1']


def test_an_interpreter_without_pip_is_no_complete_environment(tmp_path):
    (tmp_path / 'pip.py').write_text('raise SystemExit("broken")')
    assert environment.unmet(sys.executable, PYTHONPATH=str(tmp_path)) == ['broken\n']


def test_numbers_are_written_between_the_marks_and_nowhere_else(tmp_path):
    page = tmp_path / 'page.md'
    page.write_text(f'before\n{document.BEGIN}\nold\n{document.END}\nafter\n')
    side = {'a': PASSED, 'b': FAILED}
    document.write(page, 'CI:', {'nova': outcomes.compare(side, side)})
    assert page.read_text().splitlines() == [
        'before', document.BEGIN, 'CI:', '',
        '| consumer | tests | pass on both | skip | fail on both | better on ours | worse on ours |',
        '|----------|-------|--------------|------|--------------|----------------|---------------|',
        '| nova     | 2     | 1            | 0    | 1            | 0              | 0             |',
        document.END, 'after']
