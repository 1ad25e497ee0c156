# SPDX-License-Identifier: Apache-2.0
"""The ledger of upstream's bugs: which test covers which, `tests/ledger.toml`.

Run as a program it says what is open; with `fill` it forgets tests that are gone and writes down those that name a row's ID:

- a Rust or Python test whose name begins with it (`ic_01_...`, `test_ic_01_...`) or whose documentation holds it;
- a lab scenario whose `LEDGER` holds it.

A Python test is also found through the docstring of its module or class when that holds only few IDs.
"""

import ast
import pathlib
import re
import sys
import tomllib

TOP = pathlib.Path(__file__).parents[2]
FILE = TOP / 'tests' / 'ledger.toml'
SCENARIOS = TOP / 'tests' / 'lab' / 'scenarios'

#: How many rows each area has.
AREAS = {'IC': 40, 'ID': 32, 'MP': 26, 'SC': 13, 'LU': 7, 'PX': 13, 'LK': 7, 'SE': 13, 'X': 19,
         'FC': 30, 'NV': 40, 'MD': 10, 'RB': 29, 'RF': 8, 'EN': 17, 'SI': 19, 'SP': 7, 'LO': 6, 'VM': 5, 'LV': 13, 'CF': 11}

ID = re.compile(rf'(?<![a-z\d])({"|".join(AREAS)})[-_](\d\d)(?!\d)', re.I)
RUST_TEST = re.compile(r'((?:^[ \t]*(?://.*|#\[.*\])\n)*)^[ \t]*(?:async )?fn (\w+)\(', re.M)


def expected():
    return [f'{area}-{number:02}' for area, count in AREAS.items() for number in range(1, count + 1)]


def read():
    return tomllib.loads(FILE.read_text())


def ids(text):
    return {f'{area.upper()}-{number}' for area, number in ID.findall(text)}


def rust_tests():
    """Every `#[test]` and every test of a `proptest!` block: name -> IDs it names."""
    found = {}
    for folder in ('src', 'tests', 'benches'):
        for path in sorted((TOP / folder).rglob('*.rs')):
            if 'simhost' in path.parts:
                continue
            name = path.relative_to(TOP)
            for attributes, function in RUST_TEST.findall(path.read_text()):
                if '#[test]' in attributes:
                    found[f'{name}::{function}'] = ids(function) | ids(attributes)
    return found


def python_tests():
    found = {}
    for path in sorted((TOP / 'tests').rglob('test_*.py')):
        tree = ast.parse(path.read_text())
        of_module = ids(ast.get_docstring(tree) or '')
        for node in tree.body:
            of_node = ids(ast.get_docstring(node) or '') if isinstance(node, ast.ClassDef) else set()
            functions = node.body if isinstance(node, ast.ClassDef) else [node]
            middle = f'::{node.name}' if isinstance(node, ast.ClassDef) else ''
            for function in functions:
                if isinstance(function, ast.FunctionDef) and function.name.startswith('test'):
                    own = ids(function.name) | ids(ast.get_docstring(function) or '') | of_node
                    # The head of a file with a few IDs speaks for its tests; a long list does not.
                    shared = of_module if len(of_module) == 1 else set()
                    found[f'{path.relative_to(TOP)}{middle}::{function.name}'] = own | shared
    return found


def scenarios():
    found = {}
    for path in sorted(SCENARIOS.glob('*/*.py')):
        if path.name.startswith('_'):
            continue
        rows = set()
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == 'LEDGER':
                rows = set(ast.literal_eval(node.value))
        found[str(path.relative_to(TOP))] = rows
    return found


def known_tests():
    return rust_tests() | python_tests() | scenarios()


def fill(rows):
    """Add to the rows the tests that name them and drop those that are gone; a covered row is no longer to do."""
    known = known_tests()
    for name, row in rows.items():
        naming = {test for test, named in known.items() if name in named}
        tests = sorted(naming | {test for test in row.pop('tests', ()) if test in known})
        if tests:
            row.pop('todo', None)
            row.pop('why_not', None)
            row['tests'] = tests
        elif not row.get('why_not'):
            row['todo'] = True


def write(rows, head):
    lines = [head]
    for name in expected():
        lines.append(f'\n[{name}]')
        for key, value in rows[name].items():
            if key == 'tests':
                lines += ['tests = [', *(f'    {quoted(test)},' for test in value), ']']
            else:
                lines.append(f'{key} = {"true" if value is True else quoted(value)}')
    FILE.write_text('\n'.join(lines) + '\n')


def quoted(text):
    return '"' + text.replace('\\', '\\\\').replace('"', '\\"') + '"'


def faults(rows, known, todo_is_a_fault=False):
    """What is wrong with the ledger, one line for each."""
    found = [f'{name}: there is no such row' for name in expected() if name not in rows]
    found += [f'{name}: nobody knows this row' for name in rows if name not in expected()]
    for name, row in rows.items():
        kinds = [kind for kind in ('tests', 'why_not', 'todo') if row.get(kind)]
        if len(kinds) != 1:
            found.append(f'{name}: exactly one of tests, why_not and todo is needed, not {kinds}')
        if not row.get('rule'):
            found.append(f'{name}: the rule is missing')
        found += [f'{name}: there is no {test}' for test in row.get('tests', ()) if test not in known]
        if todo_is_a_fault and row.get('todo'):
            found.append(f'{name}: no test yet: {row["rule"]}')
    return found


def main():
    rows = read()
    if sys.argv[1:] == ['fill']:
        head = FILE.read_text().split('\n[', 1)[0].rstrip('\n')
        fill(rows)
        write(rows, head)
    for line in faults(rows, known_tests(), todo_is_a_fault=True):
        print(line)
    done = sum(not row.get('todo') for row in rows.values())
    print(f'ledger: {done} of {len(rows)} rows are settled')


if __name__ == '__main__':
    main()
