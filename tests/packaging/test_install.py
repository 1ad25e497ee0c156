# SPDX-License-Identifier: Apache-2.0
"""How pip and tox install it."""

import pathlib
import sys
import venv

import pytest

from conftest import CONSTRAINTS, TOP, run

DISTRIBUTION = 'import importlib.metadata as m; print(m.version("os-brick"))'

TOX_PROJECT = """
[tox]
skipsdist = true
env_list = service
[testenv:service]
skip_install = true
deps = os-brick>=6.10.0
install_command = python -m pip install --find-links {wheels} -c {constraints} {{opts}} {{packages}}
commands = python -I -c '{show}'
"""


def test_the_wheel_and_what_it_declares_are_enough_to_import(clean_python, environment):
    modules = ('os_brick', 'os_brick.exception', 'os_brick.executor', 'os_brick.opts', 'os_brick.initiator.connector',
               'os_brick.initiator.linuxscsi', 'os_brick.initiator.connectors.iscsi', 'os_brick.privileged.iscsi')
    run(clean_python, '-I', '-c', f'import {", ".join(modules)}', cwd='/', env=environment)


def test_nothing_is_missing_or_in_conflict(clean_python):
    assert 'No broken requirements' in run(clean_python, '-m', 'pip', 'check')


@pytest.mark.parametrize('name', ['etc/os-brick/rootwrap.d/os-brick.filters', 'share/man/man1/os-brick.1'])
def test_the_data_files_land_below_the_prefix(clean_python, name):
    installed = pathlib.Path(clean_python).parents[1] / name
    assert installed.read_text() == (TOP / 'packaging/data/data' / name).read_text()


def test_a_tox_project_that_asks_for_os_brick_gets_ours(tmp_path, wheel, environment):
    """Its only dependency is the one services have; the wheel is found beside the index."""
    (tmp_path / 'tox.ini').write_text(TOX_PROJECT.format(wheels=wheel.parent, constraints=CONSTRAINTS,
                                                         show=DISTRIBUTION))
    out = run(sys.executable, '-m', 'tox', 'run', '--workdir', tmp_path / 'work', cwd=tmp_path, env=environment)
    assert wheel.name.split('-')[1] in out.split()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_source_tree_can_be_installed(tmp_path, environment):
    """`pip install .`, with pip's own build environment."""
    venv.create(tmp_path, with_pip=True)
    python = tmp_path / 'bin' / 'python'
    run(python, '-m', 'pip', 'install', '--quiet', '-c', CONSTRAINTS, TOP, cwd='/', env=environment)
    version = run(python, '-I', '-c', DISTRIBUTION, cwd='/').strip()
    assert version.startswith('7.1.1+rs')
    run(python, '-I', '-c', 'import os_brick._engine', cwd='/')
