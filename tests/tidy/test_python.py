# SPDX-License-Identifier: Apache-2.0
"""The shape of the Python package: who imports the engine, who starts programs, how a file begins."""

import ast
import pathlib

import pytest

TOP = pathlib.Path(__file__).parents[2]
PACKAGE = TOP / 'python' / 'os_brick'
#: The commands of cinderclient, a distribution of their own.
COMMANDS = TOP / 'cinderclient-ext' / 'brick_cinderclient_ext'
LICENCE = '# SPDX-License-Identifier: Apache-2.0'

#: The only place that starts programs, as root or not.
SPAWNERS = {'privileged/rootwrap.py', 'cinderclient-ext/brick_utils.py'}
#: Functions of the engine that only read, so that connectors may call them in the service's own process.
READ_ONLY = {
    'fibre_channel': {'volume_paths', 'volume_devices', 'scan_plan'},
    'iscsi': {'volume_paths', 'volume_devices', 'sessions'},
    'scsi': {'multipath_map', 'multipath_device', 'identity', 'entries'},
    'inventory': {'read', 'orphans'},
}
#: Registers a hook, needs no root.
ANYWHERE = {'stop_background'}


def modules():
    found = sorted(PACKAGE.rglob('*.py'))
    assert len(found) > 20, 'the package is not found any more'
    commands = sorted(COMMANDS.rglob('*.py'))
    assert len(commands) > 5, 'the commands are not found any more'
    return found + commands


def name_of(path):
    if path.is_relative_to(COMMANDS):
        return f'cinderclient-ext/{path.relative_to(COMMANDS)}'
    return str(path.relative_to(PACKAGE))


def imports(tree):
    """All modules an import statement names: (line, dotted name)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield node.lineno, f'{node.module or ""}.{alias.name}'


def engine_calls(tree):
    """The functions of the engine that are named: (line, 'iscsi.connect_volume')."""
    for node in ast.walk(tree):
        words = []
        while isinstance(node, ast.Attribute):
            words.insert(0, node.attr)
            node = node.value
        if isinstance(node, ast.Name) and node.id == '_engine' and words:
            yield node.lineno, '.'.join(words)


def names_engine(tree):
    return any(f'{dotted}.'.startswith('os_brick._engine.') for _, dotted in imports(tree))


def may_import_engine(name):
    return name.startswith(('privileged/', 'initiator/'))


def is_read_only(call):
    module, _, function = call.partition('.')
    return not function and (module in READ_ONLY or module in ANYWHERE) or function in READ_ONLY.get(module, ())


def programs_started(tree):
    """Whatever starts a program or a shell: (line, what)."""
    for line, dotted in imports(tree):
        if dotted.split('.')[0] in ('subprocess', 'pty', 'popen2') or dotted.endswith('.processutils.execute'):
            yield line, dotted
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in ('os.system', 'os.popen', 'processutils.execute', 'putils.execute') or \
                    called.startswith(('os.exec', 'os.spawn', 'os.posix_spawn')):
                yield node.lineno, called
            if any(word.arg == 'shell' and ast.unparse(word.value) != 'False' for word in node.keywords):
                yield node.lineno, 'shell='


def faults(find):
    """Lines of the package a check objects to, as `file:line what`."""
    return [f'{name_of(path)}:{line} {what}' for path in modules()
            for line, what in find(name_of(path), ast.parse(path.read_text()))]


def engine_in_the_wrong_place(name, tree):
    if names_engine(tree) and not may_import_engine(name):
        yield 1, 'imports _engine'


def changes_outside_privileged(name, tree):
    if not name.startswith('privileged/'):
        for line, call in engine_calls(tree):
            if not is_read_only(call):
                yield line, f'calls _engine.{call}'


def upward(name, tree):
    if name.startswith('privileged/'):
        for line, dotted in imports(tree):
            if dotted.startswith('os_brick.initiator'):
                yield line, f'imports {dotted}'


def spawns(name, tree):
    if name not in SPAWNERS:
        yield from programs_started(tree)


@pytest.mark.parametrize('check', [engine_in_the_wrong_place, changes_outside_privileged, upward, spawns])
def test_the_package_keeps_its_arrows(check):
    assert faults(check) == []


@pytest.mark.parametrize('check, name, source', [
    (engine_in_the_wrong_place, 'executor.py', 'from os_brick import _engine'),
    (engine_in_the_wrong_place, 'utils.py', 'import os_brick._engine.iscsi'),
    (changes_outside_privileged, 'initiator/x.py', '_native.call(_engine.iscsi.connect_volume, 1)'),
    (upward, 'privileged/x.py', 'from os_brick.initiator import linuxscsi'),
    (spawns, 'initiator/x.py', 'import subprocess'),
    (spawns, 'initiator/x.py', 'execute("ls", shell=True)'),
    (spawns, 'utils.py', 'os.execvp("a", [])'),
])
def test_the_checks_see_what_is_forbidden(check, name, source):
    assert list(check(name, ast.parse(source))) != []


def test_reading_the_engine_is_allowed_in_connectors():
    source = '_native.call(_engine.iscsi.sessions); engine = _engine.scsi'
    assert list(changes_outside_privileged('initiator/x.py', ast.parse(source))) == []


def own_files():
    """Python files of the package and of its tests; the lab and the simulated host have their own heads."""
    for folder in ('python', 'cinderclient-ext', 'tests/python', 'tests/verify', 'tests/cinderclient_ext', 'tests/tidy',
                   'tests/contract', 'tests/boundary', 'tests/packaging',
                   'tests/consumers'):
        yield from sorted((TOP / folder).rglob('*.py'))


def test_every_file_begins_with_its_licence():
    def first(path):
        return next((line for line in path.read_text().splitlines() if not line.startswith('#!')), '')
    assert [str(path.relative_to(TOP)) for path in own_files() if first(path) != LICENCE] == []


def test_every_module_says_what_lives_in_it():
    assert [name_of(path) for path in modules() if not ast.get_docstring(ast.parse(path.read_text()))] == []


def everything():
    """Every Python file that is kept in the repository."""
    for folder in ('python', 'cinderclient-ext', 'tests', 'benches'):
        paths = sorted((TOP / folder).rglob('*.py'))
        assert paths, f'{folder} has no Python files any more'
        yield from paths


def test_files_and_functions_are_short():
    long = []
    for path in everything():
        name, source = str(path.relative_to(TOP)), path.read_text()
        if len(source.splitlines()) > 400:
            long.append(name)
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                documented = ast.get_docstring(node, clean=False) or ''
                if node.end_lineno - node.lineno + 1 - len(documented.splitlines()) > 50:
                    long.append(f'{name}::{node.name}')
    assert long == []
