# SPDX-License-Identifier: Apache-2.0
"""The ledger of upstream's bugs: which test covers which, `tests/ledger.toml`.

Run as a program it says what is open; with `fill` it forgets tests that are gone and writes down those that name a row's ID:

- a Rust or Python test whose name begins with it (`ic_01_...`, `test_ic_01_...`) or whose documentation holds it;
- a lab scenario whose `LEDGER` holds it.

A Python test is also found through the docstring of its module or class when that holds only few IDs.

A test that is never run, whatever the host, shows nothing: it covers no row.
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
RUST_IGNORED = re.compile(r'^[ \t]*#\[(?:cfg_attr\(.*\b)?ignore\b', re.M)
#: How a Python test is taken out; a call below a condition depends on the host.
PYTHON_IDLE = re.compile(r'(pytest\.mark\.(skip|skipif|xfail)|unittest\.(skip|expectedFailure)|pytest\.(skip|xfail))\b')


def expected():
    return [f'{area}-{number:02}' for area, count in AREAS.items() for number in range(1, count + 1)]


def read():
    return tomllib.loads(FILE.read_text())


def ids(text):
    return {f'{area.upper()}-{number}' for area, number in ID.findall(text)}


class Tests(dict):
    """Tests that are run: name -> IDs they name.  `idle` holds the names of the others."""

    def __init__(self):
        super().__init__()
        self.idle = set()

    def add(self, name, rows, is_idle):
        if is_idle:
            self.idle.add(name)
        else:
            self[name] = rows

    def __or__(self, other):
        both = Tests()
        for one in (self, other):
            both.update(one)
            both.idle |= one.idle
        return both


def rust_tests(texts=None):
    """Every `#[test]` and every test of a `proptest!` block."""
    found = Tests()
    for name, text in (rust_sources() if texts is None else texts).items():
        for attributes, function in RUST_TEST.findall(text):
            if '#[test]' in attributes:
                found.add(f'{name}::{function}', ids(function) | ids(attributes), RUST_IGNORED.search(attributes))
    return found


def rust_sources():
    paths = (path for folder in ('src', 'tests', 'benches') for path in sorted((TOP / folder).rglob('*.rs')))
    return {str(path.relative_to(TOP)): path.read_text() for path in paths if 'simhost' not in path.parts}


def python_tests(texts=None):
    found = Tests()
    for name, text in (python_sources() if texts is None else texts).items():
        tree = ast.parse(text)
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
                    found.add(f'{name}{middle}::{function.name}', own | shared,
                              any(is_taken_out(part) for part in (tree, node, function)))
    return found


def python_sources():
    return {str(path.relative_to(TOP)): path.read_text() for path in sorted((TOP / 'tests').rglob('test_*.py'))}


def is_taken_out(part):
    """Whether a module, class or function marks or skips all its tests, without a condition."""
    marks = [*getattr(part, 'decorator_list', ()),
             *(node.value for node in part.body if isinstance(node, ast.Expr)),
             *(mark for node in part.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == 'pytestmark'
               for mark in getattr(node.value, 'elts', [node.value]))]
    return any(PYTHON_IDLE.match(ast.unparse(mark)) and not has_condition(mark) for mark in marks)


def has_condition(mark):
    """`skipif` and `xfail` take one; a constant is none."""
    if not isinstance(mark, ast.Call) or ast.unparse(mark.func) not in ('pytest.mark.skipif', 'pytest.mark.xfail'):
        return False
    conditions = mark.args[:1] + [word.value for word in mark.keywords if word.arg == 'condition']
    return any(not isinstance(condition, ast.Constant) for condition in conditions)


def scenarios():
    found = Tests()
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
        found += [f'{name}: {test} is never run' if test in known.idle else f'{name}: there is no {test}'
                  for test in row.get('tests', ()) if test not in known]
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
