# SPDX-License-Identifier: Apache-2.0
"""Schemathesis against the OpenAPI document: what it allows and what it forbids, over a real socket.

The examples are the same each time; OS_BRICK_FUZZ_EXAMPLES=2000 looks further, with others at each run.
"""

import json
import os
import pathlib
import subprocess
import sys

import pytest

EXAMPLES = os.environ.get('OS_BRICK_FUZZ_EXAMPLES')
REPORT = pathlib.Path(__file__).parents[2] / 'target' / 'verify' / 'fuzz.json'
CONFIG = '''
[auth.openapi.token]
bearer = "%s"

[checks.positive_data_acceptance]
# Right by its types may be nonsense to a connector, and StorPool is not set up on the pretended host.
expected-statuses = ["2xx", 401, 404, 409, 422, 429]
'''


@pytest.mark.timeout(700)
def test_every_answer_is_as_documented(service, tmp_path):
    """All checks: status, headers, media type, form, what must be refused, what needs the token, other methods."""
    config = tmp_path / 'schemathesis.toml'
    config.write_text(CONFIG % service.token)
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    which = ['--max-examples', EXAMPLES] if EXAMPLES else ['--max-examples', '15', '--generation-deterministic']
    done = subprocess.run(
        [sys.executable, '-m', 'schemathesis.cli', '--config-file', str(config), 'run', service.url + '/openapi.json',
         '--checks', 'all', '--request-timeout', '60', '--suppress-health-check', 'all', '--warnings', 'off',
         '--continue-on-failure', '--report', 'json', '--report-json-path', str(REPORT), *which],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tmp_path, timeout=600, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout
    assert service.process.poll() is None
    assert not [line for line in service.log if 'Traceback' in line]
    json.loads(REPORT.read_text())
