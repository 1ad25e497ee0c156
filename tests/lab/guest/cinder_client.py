"""Clients of the guest's Cinder: the administrator's calls of the API, and the command `cinder` as a user types it.

What must not live here: starting the services (cinder.py).
"""

import collections
import json
import os
import re
import signal
import subprocess
import time
import urllib.error
import urllib.request

from guest import poll

PROJECT = '0123456789abcdef0123456789abcdef'
PORT = 8776
MICROVERSION = '3.60'
# A gigabyte is copied in less than a minute when the processors are free.
WAIT_SECONDS = 900
# For every process of Cinder and its command.  eventlet takes in all of setuptools for one version number, and a resolver
# nobody asks: on emulated processors that is twenty seconds of each start.
PYTHON = {'PYTHONDONTWRITEBYTECODE': '1', 'PYTHONWARNINGS': 'ignore', 'EVENTLET_NO_GREENDNS': 'yes',
          'SETUPTOOLS_USE_DISTUTILS': 'stdlib'}


def endpoint(port=PORT):
    return f'http://127.0.0.1:{port}/v3'


class Refused(Exception):
    """The API answered with an error."""

    def __init__(self, status, text):
        super().__init__(f'{status}: {text}')
        self.status = status


class Api:
    """What an administrator asks for; `wait` ends with an exception when Cinder says `error`."""

    def call(self, method, path, body=None):
        """What Cinder answers; asked again after a 500, which is how a transaction ends that met another one in SQLite."""
        for _ in range(5):
            try:
                return self._call(method, path, body)
            except Refused as error:
                if error.status != 500:
                    raise
            time.sleep(1)
        return self._call(method, path, body)

    def _call(self, method, path, body):
        request = urllib.request.Request(
            f'{endpoint()}/{PROJECT}{path}', method=method, data=None if body is None else json.dumps(body).encode(),
            headers={'X-Auth-Token': f'admin:{PROJECT}', 'Content-Type': 'application/json',
                     'OpenStack-API-Version': f'volume {MICROVERSION}'})
        try:
            with urllib.request.urlopen(request, timeout=300) as answer:
                return json.loads(answer.read() or b'null')
        except urllib.error.HTTPError as error:
            raise Refused(error.code, error.read().decode(errors='replace')) from None

    def services_up(self):
        """{binary: how many are up}; empty until the API answers."""
        try:
            found = self.call('GET', '/os-services')['services']
        except OSError:
            return {}
        return dict(collections.Counter(entry['binary'] for entry in found if entry['state'] == 'up'))

    def pools(self):
        """The pools the scheduler knows: it is told of them some time after their service is up."""
        return sorted(entry['name'] for entry in self.call('GET', '/scheduler-stats/get_pools')['pools'])

    def create_type(self, name, **specs):
        return self.call('POST', '/types', {'volume_type': {'name': name, 'extra_specs': specs}})['volume_type']['id']

    def encrypt_type(self, type_id):
        self.call('POST', f'/types/{type_id}/encryption', {'encryption': {
            'provider': 'luks', 'control_location': 'front-end', 'cipher': 'aes-xts-plain64', 'key_size': 256}})

    def delete_type(self, type_id):
        self.call('DELETE', f'/types/{type_id}')

    def create(self, name, volume_type, **more):
        made = self.call('POST', '/volumes', {'volume': {'name': name, 'size': 1, 'volume_type': volume_type, **more}})
        return self.wait(made['volume']['id'])['id']

    def show(self, volume_id):
        return self.call('GET', f'/volumes/{volume_id}')['volume']

    def status(self, volume_id):
        return self.show(volume_id)['status']

    def attachments(self, volume_id):
        return self.call('GET', f'/attachments?volume_id={volume_id}')['attachments']

    def wait(self, volume_id, status='available', seconds=WAIT_SECONDS):
        return self._wait(lambda: self.show(volume_id), status, seconds, f'volume {volume_id}')

    def _wait(self, show, status, seconds, what):
        """Until it is in that state; polled at a distance, because each question costs a service's time."""
        def probe():
            found = show()
            if found['status'].startswith('error'):
                raise RuntimeError(f"{what} is in {found['status']}: {found}")
            return found if found['status'] == status else None
        return poll.until(probe, seconds, f'{what} is {status}', interval=0.5)

    def delete(self, volume_id):
        self.call('DELETE', f'/volumes/{volume_id}')
        poll.until(lambda: self._gone(f'/volumes/{volume_id}'), WAIT_SECONDS, f'volume {volume_id} is gone', interval=0.5)

    def _gone(self, path):
        try:
            self.call('GET', path)
        except Refused as error:
            return error.status == 404
        return False

    def reset(self, volume_id, **state):
        self.call('POST', f'/volumes/{volume_id}/action', {'os-reset_status': state})

    def migrate(self, volume_id, host):
        """By the host's copy; the volume afterwards."""
        self.call('POST', f'/volumes/{volume_id}/action',
                  {'os-migrate_volume': {'host': host, 'force_host_copy': True, 'lock_volume': False}})

        def probe():
            found = self.show(volume_id)
            if found['migration_status'] == 'error':
                raise RuntimeError(f'the migration failed: {found}')
            return found if found['migration_status'] == 'success' else None
        return poll.until(probe, WAIT_SECONDS, 'the migration is done', interval=0.5)

    def back_up(self, volume_id):
        made = self.call('POST', '/backups', {'backup': {'volume_id': volume_id, 'name': 'backup'}})['backup']['id']
        self._wait(lambda: self.call('GET', f'/backups/{made}')['backup'], 'available', WAIT_SECONDS, 'the backup')
        return made

    def restore(self, backup_id, volume_id):
        self.call('POST', f'/backups/{backup_id}/restore', {'restore': {'volume_id': volume_id}})
        self._wait(lambda: self.call('GET', f'/backups/{backup_id}')['backup'], 'available', WAIT_SECONDS, 'the restore')
        return self.wait(volume_id)

    def delete_backup(self, backup_id):
        self.call('DELETE', f'/backups/{backup_id}')
        poll.until(lambda: self._gone(f'/backups/{backup_id}'), WAIT_SECONDS, 'the backup is gone', interval=0.5)


class Command:
    """`cinder ...` as root on this host: a process of its own, as a user starts it."""

    def __init__(self, *words, version=MICROVERSION, port=PORT):
        # The plugin's own options exist only when the environment names it.
        argv = ['/usr/bin/cinder', '--user-id', 'admin', '--project-id', PROJECT, '--endpoint', endpoint(port),
                '--os-volume-api-version', version, *words]
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd='/',
            env={'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'LC_ALL': 'C.UTF-8', 'HOME': '/root',
                 'OS_AUTH_TYPE': 'noauth', 'OS_PROJECT_ID': PROJECT, **PYTHON})

    def wait(self, seconds=600):
        """Itself, with `status`, `output`, `errors` and `seconds`."""
        try:
            self.output, self.errors = self.process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.output, self.errors = self.process.communicate()
            raise poll.Timeout(f'the command did not end within {seconds} s: {self.output}{self.errors}') from None
        self.status, self.seconds = self.process.returncode, time.monotonic() - self.started
        return self

    def interrupt(self):
        """Ctrl-C."""
        os.kill(self.process.pid, signal.SIGINT)

    def table(self):
        """The rows of what it printed, {property: value}."""
        return dict(re.findall(r'^\| (\S+) +\| (.*?) +\|$', self.output, re.MULTILINE))

    def __str__(self):
        return f'status {self.status}: {self.output}{self.errors}'


def cinder(*words, **options):
    """Run the command to its end."""
    return Command(*words, **options).wait()
