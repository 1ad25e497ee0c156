"""Drives os_brick through worker processes, the way a service would be driven.

    caller = lab.caller(user='nova', package='ours', conf={'portal_grace_period': 3})
    connector = caller.connector('ISCSI', use_multipath=True)
    answer = connector.connect_volume(properties)       # answer.value, answer.seconds, answer.logs
    pending = connector.start('connect_volume', properties)  ...  pending.wait()

What must not live here: checks (lab.py) and looking at the host (host.py).
"""

import itertools
import json
import os
from pathlib import Path
import pwd
import queue
import signal
import subprocess
import threading

from guest import poll, zygote, zygote_client

DIRECTORY = Path('/run/lab/callers')
LOG = Path('/run/lab/log')
WORKER = Path(__file__).with_name('worker.py')
# Read by the privsep-helper that rootwrap starts: whose daemon to become.
INSTALLED_PACKAGE = Path('/run/lab/package')
CALL_SECONDS = 400
NUMBERS = itertools.count(1)


class RemoteError(Exception):
    """os_brick raised: class name, base classes, message, attributes, and what was logged until then."""

    def __init__(self, error, seconds, logs):
        super().__init__(f"{error['class']}: {error['message']}")
        self.class_name, self.bases = error['class'], error['bases']
        self.message, self.attributes = error['message'], error['attributes']
        self.repr, self.traceback = error['repr'], error['traceback']
        self.seconds, self.logs = seconds, logs

    def is_a(self, name):
        """True for the class or any of its bases, by its last name."""
        return any(base.rpartition('.')[2] == name for base in self.bases)


class WorkerDied(Exception):
    """The worker ended before it answered."""


class Answer:
    """What a call gave, how long it took, and what it logged, each line with its time (`time.monotonic()`)."""

    def __init__(self, value, seconds, logs, times):
        self.value, self.seconds, self.logs, self.times = value, seconds, logs, times


class Pending:
    """A call under way."""

    def __init__(self):
        self._replies = queue.Queue(1)
        self._reply = None

    def deliver(self, reply):
        self._replies.put(reply)

    def done(self):
        return self._reply is not None or not self._replies.empty()

    def wait(self, seconds=CALL_SECONDS):
        """The Answer; raises RemoteError when os_brick raised, poll.Timeout when it is not back in time."""
        if self._reply is None:
            try:
                self._reply = self._replies.get(timeout=seconds)
            except queue.Empty:
                raise poll.Timeout(f'the call did not return within {seconds} s') from None
        if 'died' in self._reply:
            raise WorkerDied(self._reply['died'])
        if 'error' in self._reply:
            raise RemoteError(self._reply['error'], self._reply['seconds'], self._reply['logs'])
        reply = self._reply
        return Answer(decode(reply['value']), reply['seconds'], reply['logs'], reply['times'])

    def error(self, seconds=CALL_SECONDS):
        """The RemoteError, or None when the call succeeded."""
        try:
            self.wait(seconds)
        except RemoteError as error:
            return error
        return None


class WarmProcess:
    """A worker forked by the zygote, with the part of Popen's interface that is used here."""

    def __init__(self, package, user, environment, log):
        their_stdin, ours_in = os.pipe()
        ours_out, their_stdout = os.pipe()
        message = {'kind': 'worker', 'user': user, 'environment': environment, 'directory': '/'}
        self._connection = zygote_client.request(package, message, (their_stdin, their_stdout, log.fileno()))
        os.close(their_stdin)
        os.close(their_stdout)
        self.stdin, self.stdout = os.fdopen(ours_in, 'w'), os.fdopen(ours_out)
        self._answers = self._connection.makefile()
        self.pid = json.loads(self._answers.readline())['pid']

    def poll(self):
        return None if Path(f'/proc/{self.pid}').exists() else 0

    def wait(self, seconds=None):
        self._connection.settimeout(seconds)
        try:
            return json.loads(self._answers.readline() or '{"exit": 0}')['exit']
        except TimeoutError:
            raise subprocess.TimeoutExpired('worker', seconds) from None


class Caller:
    """One worker process and its pipe."""

    def __init__(self, package, user, lock_path, conf=None, log_level='DEBUG', trace_execs=False,
                 cold=False, service=None, root_helper=None):
        self.package, self.user = package, user
        self.cold, self.service, self.root_helper = cold, service, root_helper
        self.number = next(NUMBERS)
        DIRECTORY.mkdir(parents=True, exist_ok=True)
        self.log_file = LOG / f'worker-{self.number}-{package}-{user}.log'
        self.exec_trace = DIRECTORY / f'{os.getpid()}-{self.number}.strace' if trace_execs else None
        # The filters of rootwrap want it below /etc.
        directory = Path('/etc', user) if root_helper else DIRECTORY
        self.config_file = directory / f'{os.getpid()}-{self.number}.conf'
        self.config_file.write_text(self._config_text(lock_path, conf or {}))
        self._pending, self._ids, self._lock = {}, itertools.count(1), threading.Lock()
        self.process = self._spawn()
        self._write({'config_file': str(self.config_file), 'in_process': user == 'root', 'log_level': log_level,
                     'root_helper': root_helper})
        first = self.process.stdout.readline()
        if not first:
            raise WorkerDied('the worker did not start:\n' + self.log_text())
        self.hello = json.loads(first)
        self.pid = self.hello['pid']
        threading.Thread(target=self._read, daemon=True).start()
        if trace_execs:
            self._trace_execs()

    def _spawn(self):
        account = pwd.getpwnam(self.user)
        environment = {'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'HOME': account.pw_dir, 'LC_ALL': 'C.UTF-8',
                       'PYTHONPATH': f'/opt/lab/{self.package}:/opt/lab/deps', 'PYTHONDONTWRITEBYTECODE': '1'}
        with open(self.log_file, 'ab') as log:
            if not self.cold:
                INSTALLED_PACKAGE.write_text(self.package)
                zygote.ensure(self.package)
                zygote.ensure(self.package, self.service)
                return WarmProcess(zygote.name_of(self.package, self.service), self.user, environment, log)
            command = ['/usr/bin/python3', str(WORKER)]
            options = {'user': account.pw_uid, 'group': account.pw_gid, 'extra_groups': []}
            return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                                    env=environment, cwd='/', start_new_session=True, **options)

    def _trace_execs(self):
        """Attach strace to the worker and its daemon: starting them under it would take minutes of emulated imports."""
        traced = [self.pid]
        if self.user != 'root':
            traced += poll.until(self.helper_pids, 20, 'the daemon runs')
        command = ['strace', '-f', '-qq', '-s', '8192', '-e', 'trace=execve', '-o', str(self.exec_trace)]
        for pid in traced:
            command += ['-p', str(pid)]
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                         start_new_session=True)
        poll.until(lambda: all('TracerPid:\t0' not in Path(f'/proc/{pid}/status').read_text() for pid in traced), 20,
                   'strace is attached')

    def _config_text(self, lock_path, conf):
        """A service's configuration file; keys of conf are options of [os_brick], or `group.option`."""
        helper = f'privsep-helper-{self.package}' if self.cold else f'privsep-helper-warm {self.package}'
        groups = {'oslo_concurrency': {'lock_path': lock_path}}
        if not self.root_helper:
            groups['privsep_osbrick'] = {
                'helper_command': f'sudo /opt/lab/bin/{helper} --config-file {self.config_file}'}
        for name, value in conf.items():
            group, _, option = name.rpartition('.')
            groups.setdefault(group or 'os_brick', {})[option] = value
        return ''.join(f'[{group}]\n' + ''.join(f'{name} = {value}\n' for name, value in options.items())
                       for group, options in groups.items())

    def connector(self, protocol, **kwargs):
        """InitiatorConnector.factory(protocol, root_helper, ...) in the worker."""
        kept = self.start('os_brick.initiator.connector:InitiatorConnector.factory', protocol, 'sudo', keep=True,
                          **kwargs).wait()
        return self.remote(kept)

    def call(self, target, *args, **kwargs):
        return self.start(target, *args, **kwargs).wait()

    def start(self, target, *args, keep=False, **kwargs):
        return self._request({'target': target, 'args': args, 'kwargs': kwargs, 'keep': keep})

    def get(self, target):
        """The value of a module's or object's attribute."""
        return self._request({'target': target, 'call': False}).wait().value

    def run_source(self, source, **names):
        """Run Python source in the worker; its variable `result` is the answer."""
        return self._request({'source': source, 'names': names})

    def make(self, source, **names):
        """Run Python source in the worker and keep its variable `result` there, to be called or passed on."""
        return self.remote(self._request({'source': source, 'names': names, 'keep': True}).wait())

    def remote(self, kept):
        """The object that a call with keep=True left in the worker."""
        return Remote(self, kept.value['__object__'])

    def _request(self, request):
        pending = Pending()
        with self._lock:
            request['id'] = next(self._ids)
            self._pending[request['id']] = pending
            self._write(request)
        return pending

    def _write(self, message):
        try:
            self.process.stdin.write(json.dumps(message, default=encode) + '\n')
            self.process.stdin.flush()
        except BrokenPipeError:
            raise WorkerDied('the worker is gone:\n' + self.log_text()[-2000:]) from None

    def _read(self):
        for line in self.process.stdout:
            reply = json.loads(line)
            self._pending.pop(reply['id']).deliver(reply)
        for pending in list(self._pending.values()):
            pending.deliver({'died': 'the worker ended before it answered'})

    def log_text(self):
        """Everything the worker has logged, also what was forwarded from the privileged daemon."""
        return self.log_file.read_text(errors='replace')

    def executed_commands(self):
        """Argument lists seen by strace (trace_execs=True), one text line per execve."""
        return self.exec_trace.read_text(errors='replace').splitlines()

    def helper_pids(self):
        """The privileged daemons that serve this worker: its configuration file is in their arguments or their name."""
        found = []
        for pid in filter(str.isdigit, os.listdir('/proc')):
            try:
                words = Path(f'/proc/{pid}/cmdline').read_bytes()
                name = Path(f'/proc/{pid}/comm').read_text().strip()
            except OSError:
                continue
            started_cold = str(self.config_file).encode() in words and not words.startswith(b'sudo')
            if started_cold or name == zygote.helper_name(self.config_file):
                found.append(int(pid))
        return found

    def kill(self, helpers=False):
        """SIGKILL, as the kernel's OOM killer would; with helpers the privileged daemons, too."""
        for pid in [self.pid] + (self.helper_pids() if helpers else []):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait(10)

    def close(self):
        if self.process.poll() is None:
            try:
                self.process.stdin.close()
            except BrokenPipeError:
                pass
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.kill(helpers=True)


class Remote:
    """An object that lives in the worker: attribute access makes a method that runs there."""

    def __init__(self, caller, number):
        self._caller, self._number = caller, number

    def start(self, method, *args, **kwargs):
        return self._caller.start(f'@{self._number}:{method}', *args, **kwargs)

    def get(self, path):
        return self._caller.get(f'@{self._number}:{path}')

    def __getattr__(self, method):
        return lambda *args, **kwargs: self.start(method, *args, **kwargs).wait()


def encode(value):
    if isinstance(value, Remote):
        return {'__object__': value._number}
    if isinstance(value, set):
        return sorted(value)
    raise TypeError(f'cannot send {value!r}')


def decode(value):
    if isinstance(value, dict):
        if '__tuple__' in value:
            return tuple(decode(item) for item in value['__tuple__'])
        return {name: decode(item) for name, item in value.items()}
    return [decode(item) for item in value] if isinstance(value, list) else value

