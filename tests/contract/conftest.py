# SPDX-License-Identifier: Apache-2.0
"""The two descriptions, made once."""

import json
import pathlib
import subprocess
import sys

import pytest

import upstream

DESCRIBE = pathlib.Path(__file__).with_name('describe.py')


def describe(python):
    run = subprocess.run([python, '-I', '-W', 'ignore', DESCRIBE], stdout=subprocess.PIPE, cwd='/', check=True,
                         timeout=100)
    return json.loads(run.stdout)


@pytest.fixture(scope='session')
def theirs():
    described = describe(upstream.python())
    assert described['distribution']['version'] == '7.1.1'
    return described


@pytest.fixture(scope='session')
def ours():
    described = describe(sys.executable)
    assert described['distribution']['version'].startswith('7.1.1+rs'), 'run this where our wheel is installed'
    return described
