# SPDX-License-Identifier: Apache-2.0
"""A service with a real privsep daemon: through sudo and as an unprivileged user where that can be had, else forked."""

import ast
import dataclasses
import json
import os
import pathlib
import queue
import subprocess
import sys
import tempfile
import threading

import pytest

HERE = pathlib.Path(__file__).resolve().parent
#: Longer than any call here may take; a call that is never answered is what these tests look for.
LIMIT = 40

CONFIG = """
[DEFAULT]
debug = true
[os_brick]
lock_path = {locks}
[privsep_osbrick]
helper_command = sudo -n {python} {helper} --config-file {config}
"""


@dataclasses.dataclass
class Answer:
    log: list
    value: object = None
    error: str = None
    text: str = None
    ancestors: tuple = ()
    fields: dict = dataclasses.field(default_factory=dict)

    def logged(self, logger, level):
        return [text for name, severity, text in self.log if (name, severity) == (logger, level)]


class Pending:
    def __init__(self):
        self.answers = queue.Queue(1)

    def wait(self, limit=LIMIT):
        try:
            line = self.answers.get(timeout=limit)
        except queue.Empty:
            pytest.fail(f'the caller was left hanging: no answer within {limit} s')
        line.pop('id')
        if 'value' in line:
            line['value'] = ast.literal_eval(line['value'])
        return Answer(**line)


class Service:
    """The process, and the calls it has not answered yet."""

    def __init__(self, method, argv, directory):
        self.method, self.directory = method, directory
        self.errors = open(directory / 'stderr', 'w+')
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
                                        text=True, cwd='/', env={'PATH': os.environ['PATH'], 'LC_ALL': 'C.UTF-8'})
        self.pending = {}
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            answer = json.loads(line)
            self.pending.pop(answer['id']).answers.put(answer)

    def start(self, call, *args):
        number = len(self.pending) and max(self.pending) + 1
        pending = self.pending[number] = Pending()
        self.process.stdin.write(json.dumps({'id': number, 'call': call, 'args': args}) + '\n')
        self.process.stdin.flush()
        return pending

    def call(self, call, *args):
        return self.start(call, *args).wait()

    def lock_directory(self):
        """A fresh one that everybody may write to, as a packager makes it."""
        directory = pathlib.Path(tempfile.mkdtemp(prefix='locks-', dir=self.directory))
        directory.chmod(0o777)
        return directory

    def close(self):
        self.process.stdin.close()
        self.process.terminate()
        self.process.wait(10)
        self.errors.seek(0)
        print(self.errors.read())
        self.errors.close()


def can_be_unprivileged():
    """Whether this is root and may mount in a namespace of its own, which root of a container may not."""
    if os.geteuid():
        return False
    probe = subprocess.run(['unshare', '--mount', '--propagation', 'private', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'],
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return probe.returncode == 0


@pytest.fixture(scope='session')
def service():
    with tempfile.TemporaryDirectory(prefix='os-brick-boundary-', ignore_cleanup_errors=True) as name:
        directory = pathlib.Path(name)
        directory.chmod(0o755)
        (directory / 'locks').mkdir(mode=0o777)
        (directory / 'locks').chmod(0o777)
        config = directory / 'service.conf'
        config.write_text(CONFIG.format(locks=directory / 'locks', python=sys.executable, helper=HERE / 'helper.py',
                                        config=config))
        argv = [sys.executable, HERE / 'service.py']
        if can_be_unprivileged():
            scratch = directory / 'scratch'
            scratch.mkdir()
            enter = ['unshare', '--mount', '--propagation', 'private', sys.executable, HERE / 'unprivileged.py',
                     scratch, f'{sys.executable} {HERE / "helper.py"}', '--']
            made = Service('sudo', [*enter, *argv, 'sudo', config], directory)
        elif os.geteuid() == 0:
            made = Service('fork', [*argv, 'fork', config], directory)
        else:
            pytest.skip('a privsep daemon needs root')
        yield made
        made.close()


@pytest.fixture
def settings(service):
    return {'use_multipath': False, 'lock_path': str(service.lock_directory())}


@pytest.fixture
def refused():
    """Properties of a volume whose portal refuses: the attach ends at once, and needs no program of the host."""
    return {'target_portal': '127.0.0.1:1', 'target_iqn': 'iqn.2024-01.org.example:nobody', 'target_lun': 1,
            'auth_method': 'CHAP', 'auth_username': 'user', 'auth_password': 'not-to-be-seen'}
