# SPDX-License-Identifier: Apache-2.0
"""What the documents point to exists: decision records, tests that keep invariants, files of the change table."""

import pathlib
import re

import pytest

import ledger

TOP = pathlib.Path(__file__).parents[2]
RECORDS = TOP / 'docs' / 'decisions'


def records():
    return sorted(path.name for path in RECORDS.glob('[0-9][0-9][0-9][0-9]-*.md'))


def test_the_index_names_every_decision_once_and_nothing_else():
    index = (RECORDS / 'README.md').read_text()
    assert re.findall(r'\]\((\d{4}-[^)]+\.md)\)', index) == records()


def test_decisions_are_numbered_without_gaps():
    assert [name[:4] for name in records()] == [f'{number:04}' for number in range(1, len(records()) + 1)]


@pytest.mark.parametrize('name', records())
def test_a_decision_has_its_parts(name):
    text = (RECORDS / name).read_text()
    assert re.match(rf'# {name[:4]}: \S', text)
    assert re.findall(r'^## (.+)$', text, re.M) == ['Context', 'Decision', 'Consequences']


def invariants():
    """The bullets of the section `Invariants` of ARCHITECTURE.md."""
    text = (TOP / 'ARCHITECTURE.md').read_text()
    section = re.search(r'^## Invariants\n(.*?)(?=^## |\Z)', text, re.M | re.S)
    return re.findall(r'^- (.+(?:\n  .+)*)', section[1], re.M)


def test_every_invariant_names_a_test_that_exists():
    found = invariants()
    assert len(found) > 10, 'the section is not found any more'
    known = ledger.known_tests()
    for invariant in found:
        named = [name for name in re.findall(r'`([^`]+)`', invariant)
                 if name.startswith(('tests/', 'src/', 'clippy.toml')) or name.startswith('cargo ')]
        assert named, f'no test is named: {invariant}'
        missing = [name for name in named if not exists(name, known)]
        assert missing == [], invariant


def exists(name, known):
    return name.startswith('cargo ') or name in known or ('::' not in name and (TOP / name).exists())


def test_files_named_for_contributors_exist():
    text = (TOP / 'CONTRIBUTING.md').read_text()
    named = {name.rstrip('/') for name in re.findall(r'`((?:src|python|tests|docs|releasenotes)/[\w./-]+)`', text)}
    assert len(named) > 20
    assert sorted(name for name in named if not (TOP / name).exists()) == []
