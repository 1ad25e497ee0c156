"""A process with one package's modules imported, which forks workers, privsep helpers and commands ready to run.

Importing os_brick and the oslo libraries takes 8-10 s on the emulated processor; a fork takes none of it. sudo,
the socket hand-shake, the capabilities and the user change stay what they are. Scenarios that want processes
started from scratch ask for a cold caller. Importing must start no thread, or forking would not be safe:
the zygote refuses to serve if it did.
"""

import contextlib
import importlib
import json
import os
from pathlib import Path
import pwd
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading

from guest import poll
from guest.zygote_client import socket_path

WORKER = Path(__file__).with_name('worker.py')
STAMPS = {'ours': Path('/opt/lab/ours'), 'upstream': Path('/opt/lab/upstream')}
NEEDED = ('oslo_privsep.daemon', 'oslo_concurrency.lockutils', 'oslo_concurrency.processutils', 'os_brick',
          'os_brick.initiator.connector')
# What a service has imported beside it, by its name; they cannot share a process, their options collide.
SERVICES = {'nova': ('nova.virt.libvirt.driver', 'nova.virt.libvirt.volume.iscsi', 'nova.virt.libvirt.volume.fibrechannel',
                     'nova.virt.libvirt.volume.nvme', 'nova.virt.libvirt.volume.nfs', 'nova.keymgr.conf_key_mgr'),
            'cinder': ('cinder.volume.driver', 'cinder.volume.volume_utils', 'cinder.backup.drivers.nfs',
                       'cinder.keymgr.conf_key_mgr'),
            'glance': ('glance_store._drivers.cinder.store',),
            'brick_ext': ('brick_cinderclient_ext.client',)}
# Loaded ahead when the package has them.
USEFUL = ('tenacity', 'os_brick.privileged.rootwrap', 'os_brick.privileged.iscsi', 'os_brick.initiator.connectors.iscsi',
          'os_brick.initiator.connectors.fibre_channel', 'os_brick.initiator.connectors.nvmeof',
          'os_brick.initiator.connectors.rbd', 'os_brick.encryptors', 'os_brick.cli')

# Seconds. Beside other machines on the same processors an import has taken more than 90.
LIMIT = 300


def name_of(package, service=None):
    return f'{package}-{service}' if service else package


def ensure(package, service=None):
    """Start the package's zygote, or a new one when the package was replaced meanwhile."""
    name = name_of(package, service)
    stamp_file = Path(f'/run/lab/zygote-{name}.stamp')
    entry = STAMPS[package].stat()
    stamp = f'{entry.st_mtime_ns}.{entry.st_ino}'
    process = Path(f'/run/lab/zygote-{name}.pid')
    alive = process.exists() and Path(f'/proc/{process.read_text()}').exists()
    # One that is alive and has no socket was given up by its caller while it imported.
    if alive and stamp_file.read_text() == stamp and os.path.exists(socket_path(name)):
        return
    if alive:
        os.kill(int(process.read_text()), signal.SIGKILL)
    Path(socket_path(name)).unlink(missing_ok=True)
    with open(f'/run/lab/log/zygote-{name}.log', 'ab') as log:
        started = subprocess.Popen(
            ['/usr/bin/python3', '-W', 'ignore', '-m', 'guest.zygote', name], stdin=subprocess.DEVNULL, stdout=log,
            stderr=log, start_new_session=True, cwd='/',
            env={'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'LC_ALL': 'C.UTF-8', 'PYTHONDONTWRITEBYTECODE': '1',
                 'PYTHONPATH': f'/opt/lab/{package}:/opt/lab/consumers:/opt/lab/deps:/opt/lab/code'})
    process.write_text(str(started.pid))
    stamp_file.write_text(stamp)
    poll.until(lambda: os.path.exists(socket_path(name)) or started.poll() is not None, LIMIT, 'the zygote is ready')
    if started.poll() is not None:
        stamp_file.write_text('')
        raise RuntimeError(f'cannot import {name}: '
                           + Path(f'/run/lab/log/zygote-{name}.log').read_text()[-3000:])


def helper_name(config_file):
    return f'priv-{Path(config_file).stem}'[:15]


class Zygote:
    def __init__(self, name):
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        temporary = socket_path(name) + '.new'
        Path(temporary).unlink(missing_ok=True)
        self.listener.bind(temporary)
        os.chmod(temporary, 0o600)
        self.listener.listen(64)
        os.rename(temporary, socket_path(name))
        self.children = {}
        self.signals, wakeup = os.pipe()
        os.set_blocking(wakeup, False)
        signal.set_wakeup_fd(wakeup)
        signal.signal(signal.SIGCHLD, lambda *arguments: None)

    def serve(self):
        while True:
            readable, _, _ = select.select([self.listener, self.signals], [], [])
            if self.signals in readable:
                os.read(self.signals, 4096)
                self._reap()
            if self.listener in readable:
                self._fork(self.listener.accept()[0])

    def _reap(self):
        while self.children:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            connection = self.children.pop(pid)
            _tell(connection, exit=os.waitstatus_to_exitcode(status))
            connection.close()

    def _fork(self, connection):
        data, descriptors, _, _ = socket.recv_fds(connection, 1 << 16, 3)
        pid = os.fork()
        if pid == 0:
            _become(self, connection, json.loads(data), descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        self.children[pid] = connection
        _tell(connection, pid=pid)


def _tell(connection, **message):
    try:
        connection.sendall(json.dumps(message).encode() + b'\n')
    except OSError:
        pass  # Who asked is gone; the child lives on, as one of init's would.


def _become(zygote, connection, message, descriptors):
    """In the child: never returns."""
    status = 1
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number, descriptor in enumerate(descriptors):
            os.dup2(descriptor, number)
            os.close(descriptor)
        for owned in (connection, zygote.listener, *zygote.children.values()):
            owned.close()
        os.close(zygote.signals)
        os.environ.clear()
        os.environ.update(message['environment'])
        os.chdir(message['directory'])
        status = RUN[message['kind']](message)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(bool(end.code))
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(status or 0)


def _become_user(name):
    account = pwd.getpwnam(name)
    if account.pw_uid:
        os.setgroups(os.getgrouplist(account.pw_name, account.pw_gid))
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)


def _run_worker(message):
    _become_user(message['user'])
    sys.argv = [str(WORKER)]
    runpy.run_path(str(WORKER), run_name='__main__')


def _run_helper(message):
    from oslo_privsep import daemon
    sys.argv = ['privsep-helper', *message['arguments']]
    if '--config-file' in sys.argv:
        # The command line stays the zygote's; the name tells whose daemon this is.
        Path('/proc/self/comm').write_text(helper_name(sys.argv[sys.argv.index('--config-file') + 1]))
    return daemon.helper_main()


def _run_command(message):
    """`os-brick` with its arguments."""
    from os_brick import cli
    _become_user(message['user'])
    sys.argv = ['os-brick', *message['arguments']]
    try:
        return cli.main()
    finally:
        # None when the reader of its output has gone.
        if sys.stdout:
            sys.stdout.flush()


RUN = {'worker': _run_worker, 'helper': _run_helper, 'command': _run_command}


def main():
    for name in NEEDED + SERVICES.get(sys.argv[1].partition('-')[2], ()):
        importlib.import_module(name)
    for name in USEFUL:
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(name)
    if threading.active_count() > 1 or len(os.listdir('/proc/self/task')) > 1:
        raise SystemExit('importing the package started a thread')
    Zygote(sys.argv[1]).serve()


if __name__ == '__main__':
    main()
