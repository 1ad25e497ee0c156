# SPDX-License-Identifier: Apache-2.0
"""Every row of the ledger is there, and the tests it names exist."""

import ledger


def test_the_ledger_is_complete_and_names_tests_that_exist():
    assert ledger.faults(ledger.read(), ledger.known_tests(), todo_is_a_fault=True) == []


def test_tests_of_all_three_kinds_are_found():
    known = ledger.known_tests()
    for test in ('tests/tidy/paths.rs::every_way_to_name_a_module_is_seen',
                 'tests/tidy/test_ledger.py::test_tests_of_all_three_kinds_are_found',
                 'tests/lab/scenarios/iscsi/chap.py'):
        assert test in known
    assert 'X-18' in known['tests/lab/scenarios/iscsi/chap.py']


def test_faults_are_seen():
    rows = {name: {'rule': 'r', 'why_not': 'w'} for name in ledger.expected()}
    assert ledger.faults(rows, {}) == []
    rows['IC-01'] = {'rule': 'r', 'tests': ['tests/a.py::gone']}
    rows['IC-02'] = {'rule': 'r'}
    rows['IC-99'] = rows.pop('IC-03')
    rows['IC-04'] = {'rule': 'r', 'todo': True}
    assert ledger.faults(rows, {}, todo_is_a_fault=True) == [
        'IC-03: there is no such row',
        'IC-99: nobody knows this row',
        'IC-01: there is no tests/a.py::gone',
        "IC-02: exactly one of tests, why_not and todo is needed, not []",
        'IC-04: no test yet: r',
    ]


def test_filling_in_adds_what_is_missing_and_drops_what_is_gone():
    rows = {'X-18': {'rule': 'r', 'todo': True}, 'ZZ-01': {'rule': 'r', 'tests': ['tests/a.py::gone']},
            'ZZ-02': {'rule': 'r', 'why_not': 'w'}}
    ledger.fill(rows)
    assert 'tests/lab/scenarios/iscsi/chap.py' in rows['X-18'].pop('tests')
    assert rows == {'X-18': {'rule': 'r'}, 'ZZ-01': {'rule': 'r', 'todo': True}, 'ZZ-02': {'rule': 'r', 'why_not': 'w'}}
