"""Runs `os-brick` as a process of its own, as an operator does: arguments, stdin, exit code, what it printed where.

    done = os_brick_command.run('volumes', '--json')        # .code .out .err .json
    command = os_brick_command.Command('attach', file)      # under way: .pid, .kill(), .wait()

It is forked from the zygote of our package, which has it imported already; `cold=True` starts it from scratch. With
`terminal=True` its standard error is a terminal.
"""

import dataclasses
import itertools
import json
import os
from pathlib import Path
import pty
import signal
import subprocess
import threading

from guest import zygote, zygote_client

DIRECTORY = Path('/run/lab/commands')
PYTHONPATH = '/opt/lab/ours:/opt/lab/consumers:/opt/lab/deps'
SECONDS = 120
NUMBERS = itertools.count(1)


@dataclasses.dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


class Command:
    """One `os-brick` under way; its output goes to files, so that it can be read meanwhile."""

    def __init__(self, *arguments, stdin='', user='root', cold=False, terminal=False, environment=None):
        DIRECTORY.mkdir(parents=True, exist_ok=True)
        DIRECTORY.chmod(0o755)
        base = DIRECTORY / f'{os.getpid()}-{next(NUMBERS)}'
        self._in, self._out, self._err = (base.with_suffix(end) for end in ('.in', '.out', '.err'))
        self._in.write_text(stdin)
        environment = {'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'HOME': '/nonexistent', 'LC_ALL': 'C.UTF-8',
                       'PYTHONDONTWRITEBYTECODE': '1', 'PYTHONPATH': PYTHONPATH, **(environment or {})}
        words = [str(word) for word in arguments]
        start = self._start_cold if cold else self._start_warm
        with open(self._in) as stdin, open(self._out, 'w') as stdout, self._standard_error(terminal) as stderr:
            self.pid = start(words, user, environment, (stdin, stdout, stderr))

    def _standard_error(self, terminal):
        self._err.touch()
        self._copying = None
        if not terminal:
            return open(self._err, 'w')
        ours, theirs = pty.openpty()
        self._copying = threading.Thread(target=self._copy, args=(ours,), daemon=True)
        self._copying.start()
        return open(theirs, 'w')

    def _copy(self, descriptor):
        with open(self._err, 'ab', buffering=0) as file:
            try:
                while data := os.read(descriptor, 4096):
                    file.write(data)
            except OSError:
                # The command has closed its side.
                os.close(descriptor)

    def _start_warm(self, words, user, environment, files):
        zygote.ensure('ours')
        message = {'kind': 'command', 'arguments': words, 'user': user, 'environment': environment, 'directory': '/'}
        self._connection = zygote_client.request('ours', message, [file.fileno() for file in files])
        self._answers = self._connection.makefile()
        return json.loads(self._answers.readline())['pid']

    def _start_cold(self, words, user, environment, files):
        stdin, stdout, stderr = files
        self._answers = None
        self._process = subprocess.Popen(['/usr/bin/python3', '-W', 'ignore', '-m', 'os_brick.cli', *words], stdin=stdin,
                                         stdout=stdout, stderr=stderr, env=environment, cwd='/', user=user,
                                         start_new_session=True)
        return self._process.pid

    @property
    def out(self):
        """What it has printed until now."""
        return self._out.read_text()

    @property
    def err(self):
        """What it has said until now."""
        return self._err.read_text()

    def kill(self):
        """SIGKILL, as the kernel's OOM killer would."""
        os.kill(self.pid, signal.SIGKILL)

    def wait(self, seconds=SECONDS):
        """The Done; raises TimeoutError when it has not ended by then.  A command that was killed has a negative code."""
        if self._answers is None:
            code = self._process.wait(seconds)
        else:
            self._connection.settimeout(seconds)
            code = json.loads(self._answers.readline())['exit']
        if self._copying:
            self._copying.join(seconds)
        return Done(code, self.out, self.err)


def run(*arguments, seconds=SECONDS, **options):
    """One command, to its end."""
    return Command(*arguments, **options).wait(seconds)
