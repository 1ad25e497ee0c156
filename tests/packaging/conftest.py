# SPDX-License-Identifier: Apache-2.0
"""The wheel under test, and environments it is installed in."""

import os
import pathlib
import subprocess
import sys
import venv

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
CONSTRAINTS = TOP / 'tests' / 'lab' / 'requirements.txt'
sys.path.insert(0, str(TOP / 'tests' / 'contract'))


def run(*argv, **kwargs):
    """The output of a program; its whole story when it fails."""
    done = subprocess.run([str(word) for word in argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          stdin=subprocess.DEVNULL, **kwargs)
    assert done.returncode == 0, f'{argv} ended with {done.returncode}:\n{done.stdout}'
    return done.stdout


@pytest.fixture(scope='session')
def wheel():
    found = sorted((TOP / 'dist').glob('os_brick-*.whl'))
    if not found:
        run(sys.executable, '-m', 'maturin', 'build', '--quiet', '--release', '--locked', '--out', 'dist', cwd=TOP)
        found = sorted((TOP / 'dist').glob('os_brick-*.whl'))
    assert len(found) == 1, 'exactly one wheel is to be in dist/'
    return found[0]


@pytest.fixture(scope='session')
def clean_python(tmp_path_factory, wheel):
    """The interpreter of an environment with the wheel, what it declares, and nothing else."""
    place = tmp_path_factory.mktemp('clean')
    venv.create(place, with_pip=True)
    python = place / 'bin' / 'python'
    run(python, '-m', 'pip', 'install', '--quiet', '-c', CONSTRAINTS, wheel, cwd='/')
    return python


@pytest.fixture(scope='session')
def upstream_python():
    import upstream
    return upstream.python()


@pytest.fixture
def environment():
    """Nothing that makes Python look elsewhere."""
    return {key: value for key, value in os.environ.items() if not key.startswith(('PYTHON', 'TOX_', 'VIRTUAL_ENV'))}
