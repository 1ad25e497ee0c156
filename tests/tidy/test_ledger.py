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
    assert ledger.faults(rows, ledger.Tests()) == []
    rows['IC-01'] = {'rule': 'r', 'tests': ['tests/a.py::gone']}
    rows['IC-02'] = {'rule': 'r'}
    rows['IC-99'] = rows.pop('IC-03')
    rows['IC-04'] = {'rule': 'r', 'todo': True}
    assert ledger.faults(rows, ledger.Tests(), todo_is_a_fault=True) == [
        'IC-03: there is no such row',
        'IC-99: nobody knows this row',
        'IC-01: there is no tests/a.py::gone',
        "IC-02: exactly one of tests, why_not and todo is needed, not []",
        'IC-04: no test yet: r',
    ]


def test_a_test_that_is_never_run_covers_nothing():
    rust = ledger.rust_tests({'tests/a.rs': (
        '#[test]\nfn ic_01_runs() {}\n\n'
        '#[test]\n#[ignore = "some day"]\nfn ic_01_waits() {}\n\n'
        '    /// IC-01: ignore the other portal.\n    #[ignore]\n    #[test]\n    fn within() {}\n\n'
        '#[test]\n#[cfg_attr(miri, ignore)]\nfn ic_01_only_elsewhere() {}\n')})
    python = ledger.python_tests({'tests/test_a.py': (
        'def test_ic_01_runs():\n    if here:\n        pytest.skip("not here")\n\n'
        '@pytest.mark.skipif(here, reason="r")\ndef test_ic_01_elsewhere(): pass\n\n'
        '@pytest.mark.xfail(here, reason="r")\ndef test_ic_01_fails_here(): pass\n\n'
        '@pytest.mark.skip\ndef test_bare(): pass\n\n'
        '@pytest.mark.skip(reason="some day")\ndef test_marked(): pass\n\n'
        '@pytest.mark.skipif(True, reason="some day")\ndef test_always(): pass\n\n'
        '@pytest.mark.xfail(reason="some day")\ndef test_fails(): pass\n\n'
        'def test_ends():\n    """IC-01."""\n    pytest.skip("some day")\n\n'
        '@unittest.skip("some day")\nclass TestOut:\n    def test_one(self): pass\n\n'
        'class TestMarked:\n    pytestmark = [pytest.mark.skip]\n    def test_two(self): pass\n'),
        'tests/test_b.py': 'pytestmark = pytest.mark.skip(reason="some day")\ndef test_ic_01_all(): pass\n',
        'tests/test_c.py': 'pytest.skip("some day", allow_module_level=True)\ndef test_ic_01_all(): pass\n'})
    known = rust | python
    assert dict(known) == dict.fromkeys(
        ['tests/a.rs::ic_01_runs', 'tests/test_a.py::test_ic_01_runs', 'tests/test_a.py::test_ic_01_elsewhere',
         'tests/test_a.py::test_ic_01_fails_here'], {'IC-01'})
    assert known.idle == {
        'tests/a.rs::ic_01_waits', 'tests/a.rs::within', 'tests/a.rs::ic_01_only_elsewhere',
        'tests/test_a.py::test_bare', 'tests/test_a.py::test_marked', 'tests/test_a.py::test_always',
        'tests/test_a.py::test_fails', 'tests/test_a.py::test_ends',
        'tests/test_a.py::TestOut::test_one', 'tests/test_a.py::TestMarked::test_two', 'tests/test_b.py::test_ic_01_all',
        'tests/test_c.py::test_ic_01_all'}
    rows = {name: {'rule': 'r', 'why_not': 'w'} for name in ledger.expected()}
    rows['IC-01'] = {'rule': 'r', 'tests': ['tests/a.rs::ic_01_waits', 'tests/a.rs::ic_01_runs']}
    assert ledger.faults(rows, known) == ['IC-01: tests/a.rs::ic_01_waits is never run']


def test_filling_in_adds_what_is_missing_and_drops_what_is_gone():
    rows = {'X-18': {'rule': 'r', 'todo': True}, 'ZZ-01': {'rule': 'r', 'tests': ['tests/a.py::gone']},
            'ZZ-02': {'rule': 'r', 'why_not': 'w'}}
    ledger.fill(rows)
    assert 'tests/lab/scenarios/iscsi/chap.py' in rows['X-18'].pop('tests')
    assert rows == {'X-18': {'rule': 'r'}, 'ZZ-01': {'rule': 'r', 'todo': True}, 'ZZ-02': {'rule': 'r', 'why_not': 'w'}}
