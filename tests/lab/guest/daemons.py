"""iscsid, multipathd and the daemons of the NFS server: start, stop, restart, and the parts of their logs a scenario caused."""

import os
from pathlib import Path
import subprocess

from guest import command, poll

LOG = Path('/run/lab/log')
COMMANDS = {'iscsid': ['/usr/sbin/iscsid', '-f', '-d', '2'],
            'multipathd': ['/sbin/multipathd', '-d', '-s', '-v', '2'],
            'rpcbind': ['/sbin/rpcbind', '-f', '-w'],
            'rpc.mountd': ['/usr/sbin/rpc.mountd', '-F']}


def pids(name):
    found = []
    for pid in os.listdir('/proc'):
        try:
            if pid.isdigit() and Path(f'/proc/{pid}/comm').read_text().strip() == name:
                # A zombie is as good as gone.
                if Path(f'/proc/{pid}/stat').read_text().rsplit(') ', 1)[1][0] != 'Z':
                    found.append(int(pid))
        except OSError:
            continue
    return found


def start(name):
    if pids(name):
        return
    LOG.mkdir(parents=True, exist_ok=True)
    for directory in ('/run/lock/iscsi', '/run/rpcbind'):
        Path(directory).mkdir(parents=True, exist_ok=True)
    with open(LOG / f'{name}.log', 'ab') as log:
        subprocess.Popen(COMMANDS[name], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    poll.until(lambda: _answers(name), 30, f'{name} answers')


def stop(name):
    for pid in pids(name):
        try:
            os.kill(pid, 15)
        except ProcessLookupError:
            pass
    if not poll.became_true(lambda: not pids(name), 5):
        for pid in pids(name):
            os.kill(pid, 9)
        poll.until(lambda: not pids(name), 5, f'{name} ends')


def restart(name):
    stop(name)
    start(name)


def _answers(name):
    if name == 'multipathd':
        return 'pid' in command.run('multipathd', 'show', 'daemon', check=False, seconds=5)
    if name in ('rpcbind', 'rpc.mountd'):
        wanted = 'portmapper' if name == 'rpcbind' else 'mountd'
        return wanted in command.run('rpcinfo', '-p', '127.0.0.1', check=False, seconds=5)
    return any('@ISCSIADM_ABSTRACT_NAMESPACE' in line for line in Path('/proc/net/unix').read_text().splitlines())


def log_sizes():
    return {path.name: path.stat().st_size for path in LOG.glob('*.log')}


def logs_since(sizes):
    """{file name: text written after log_sizes() was taken}."""
    found = {}
    for path in LOG.glob('*.log'):
        with open(path, 'rb') as log:
            log.seek(sizes.get(path.name, 0))
            found[path.name] = log.read().decode(errors='replace')
    return found
