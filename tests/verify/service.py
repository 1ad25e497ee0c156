# SPDX-License-Identifier: Apache-2.0
"""The real service as a process of its own, on a machine that is a tree of files.

It runs in a mount namespace where the tree's /sys, /dev and mounts are the machine's, so that connectors, which always look at
the machine they run on, see the pretended one, and nothing a test sends reaches a device of the real one.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading

TOKEN = 'the-token-of-the-tests-0123456789'
#: Devices the interpreter needs.
NODES = ('null', 'zero', 'urandom', 'random', 'tty')
IN_NAMESPACE = '''
set -e
tree="$1"; shift
for node in %s; do touch "$tree/dev/$node"; mount --bind "/dev/$node" "$tree/dev/$node"; done
mount --rbind "$tree/dev" /dev
mount --bind "$tree/sys" /sys
mount --bind "$tree/proc/self/mountinfo" "/proc/$$/mountinfo"
exec "$@"
''' % ' '.join(NODES)


def namespace(tree):
    """The beginning of a command line that runs the rest on the machine of the tree."""
    user = [] if os.geteuid() == 0 else ['--user', '--map-root-user']
    return [shutil.which('unshare'), *user, '--mount', '--propagation', 'private',
            'sh', '-c', IN_NAMESPACE, 'sh', str(tree)]


class Service:
    """A service that is started, asked, and stopped."""

    def __init__(self, tree, *arguments, token=TOKEN, on_tree=True, environment=None):
        self.token = token
        self._directory = tempfile.TemporaryDirectory()
        file = os.path.join(self._directory.name, 'token')
        with open(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), 'w') as stream:
            stream.write(token + '\n')
        command = [sys.executable, '-W', 'ignore', '-m', 'os_brick.verify', '--port', '0', *arguments]
        if environment is None:
            command += ['--token-file', file]
        self.process = subprocess.Popen((namespace(tree) if on_tree else []) + command, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        self.log = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        line = self.process.stdout.readline()
        started = re.fullmatch(r'listening on (http://(\S+):(\d+)/)\n', line)
        if not started:
            self.process.kill()
            self._reader.join(10)
            raise AssertionError(f'the service did not start: {line!r} {"".join(self.log)}')
        self.url, self.address, self.port = started[1].rstrip('/'), started[2], int(started[3])

    def _read(self):
        for line in self.process.stderr:
            self.log.append(line)

    @property
    def headers(self):
        return {'Authorization': f'Bearer {self.token}'}

    def stop(self):
        """End it and return its exit code and all it logged."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        self._reader.join(10)
        self.process.stdout.close()
        self.process.stderr.close()
        self._directory.cleanup()
        return code, ''.join(self.log)


@contextlib.contextmanager
def running(tree, *arguments, **options):
    service = Service(tree, *arguments, **options)
    try:
        yield service
    finally:
        if service.process.poll() is None:
            service.stop()
