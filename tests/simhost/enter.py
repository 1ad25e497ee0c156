#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run a command on the fast simulated host.

In a mount and a network namespace of its own the command sees tmpfs under
/sys, /dev and /run, an overlay with the fake programs over the directories
of programs, and one over /etc.  Nothing outside the namespaces changes.

    enter.py [OPTIONS OF THE SIMULATOR] -- COMMAND [ARGUMENT ...]

The options are those of ``simhost daemon``; with ``--tree`` first, there is
no daemon but the motionless tree of a host with ``--volumes`` volumes.
"""

import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
RUN = pathlib.Path('/run/simhost')
DEVICES = ('null', 'zero', 'full', 'random', 'urandom', 'tty')
# A file of the simulator's own is /dev/nvme-fabrics.
OPTIONAL_DEVICES = ('fuse',)
PROGRAM_DIRECTORIES = ('/usr/bin', '/usr/sbin', '/usr/lib/udev')
MULTIPATH_CONF = """defaults {
    find_multipaths %s
    user_friendly_names no
}
blacklist {
    devnode "^(vd|sr|fd|loop|nvme|md)"
}
"""


def target_directory():
    """Where cargo puts the simulator."""
    default = HERE.parent.parent / '.cache' / 'simhost'
    return pathlib.Path(os.environ.get('CARGO_TARGET_DIR') or default)


def build():
    """Build the simulator if it is not up to date; give its path."""
    target = target_directory()
    subprocess.run(['cargo', 'build', '--quiet', '--release', '--locked',
                    '--manifest-path', str(HERE / 'Cargo.toml')],
                   env=dict(os.environ, CARGO_TARGET_DIR=str(target)),
                   check=True)
    return target / 'release' / 'simhost'


def command(options, argv):
    """Return the command line that runs argv on a simulated host."""
    return ['unshare', '--mount', '--net', '--propagation', 'private',
            sys.executable, str(HERE / 'enter.py'), '--inside',
            *options, '--', *argv]


def _mount(*arguments):
    subprocess.run(['mount', *map(str, arguments)], check=True)


def _mount_run():
    """An empty /run and what the namespace itself needs below it."""
    _mount('-t', 'tmpfs', 'run', '/run')
    for name in ('bin', 'etc', 'etc-work', 'dev'):
        (RUN / name).mkdir(parents=True)
    for name in ('lock', 'lock/iscsi', 'lock/os-brick', 'udev'):
        pathlib.Path('/run', name).mkdir(exist_ok=True)


def _mount_dev():
    """A /dev of our own that keeps the devices every program needs."""
    staging = RUN / 'dev'
    _mount('-t', 'tmpfs', '-o', 'mode=755', 'dev', staging)
    present = [name for name in OPTIONAL_DEVICES
               if os.path.exists(f'/dev/{name}')]
    for name in (*DEVICES, *present):
        (staging / name).touch()
        _mount('--bind', f'/dev/{name}', staging / name)
    for name in ('pts', 'shm'):
        (staging / name).mkdir()
    _mount('--bind', '/dev/pts', staging / 'pts')
    _mount('-t', 'tmpfs', '-o', 'mode=1777', 'shm', staging / 'shm')
    for name, target in (('fd', 'fd'), ('stdin', 'fd/0'),
                         ('stdout', 'fd/1'), ('stderr', 'fd/2')):
        (staging / name).symlink_to(f'/proc/self/{target}')
    _mount('--move', staging, '/dev')


def _mount_programs(simulator):
    """The fake programs lie over the real ones, wherever they are called."""
    names = subprocess.run([simulator, 'programs'], check=True, text=True,
                           capture_output=True).stdout.split()
    for name in names:
        (RUN / 'bin' / name).symlink_to(simulator)
    for directory in PROGRAM_DIRECTORIES:
        if os.path.isdir(directory):
            _mount('-t', 'overlay', 'programs', '-o',
                   f'lowerdir={RUN}/bin:{directory}', directory)


def _mount_etc(greedy):
    """An /etc whose changes stay in the namespace, set up for iSCSI."""
    _mount('-t', 'overlay', 'etc', '-o',
           f'lowerdir=/etc,upperdir={RUN}/etc,workdir={RUN}/etc-work', '/etc')
    iscsi = pathlib.Path('/etc/iscsi')
    (iscsi / 'nodes').mkdir(parents=True, exist_ok=True)
    (iscsi / 'send_targets').mkdir(exist_ok=True)
    (iscsi / 'initiatorname.iscsi').write_text(
        'InitiatorName=iqn.1993-08.org.debian:01:simulated\n')
    (iscsi / 'iscsid.conf').write_text('node.startup = manual\n')
    multipath = pathlib.Path('/etc/multipath')
    multipath.mkdir(exist_ok=True)
    (multipath / 'wwids').write_text(
        '# Multipath wwids, Version : 1.0\n'
        '# NOTE: This file is automatically maintained by multipath and '
        'multipathd.\n'
        '# You should not need to edit this file in normal circumstances.\n'
        '#\n# Valid WWIDs:\n')
    pathlib.Path('/etc/multipath.conf').write_text(
        MULTIPATH_CONF % ('no' if greedy else 'yes'))


def _prepare(simulator, options):
    greedy = 'yes' not in options
    subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)
    _mount_run()
    _mount_dev()
    _mount('-t', 'tmpfs', 'sys', '/sys')
    _mount_etc(greedy)
    _mount_programs(simulator)


def _go_first():
    """Other work on the machine shall not show in the times."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, -15)
    except PermissionError:
        pass


def _inside(arguments):
    """Prepare the namespace, start the simulator, run the command."""
    _go_first()
    split = arguments.index('--')
    options, argv = arguments[:split], arguments[split + 1:]
    simulator = target_directory().resolve() / 'release' / 'simhost'
    _prepare(simulator, options)
    environment = dict(os.environ, PATH=f'{RUN}/bin:{os.environ["PATH"]}')
    if options[:1] == ['--tree']:
        subprocess.run([simulator, 'tree', '--root', '/', *options[1:]],
                       check=True)
        return subprocess.run(argv, env=environment).returncode
    daemon = subprocess.Popen([simulator, 'daemon', *options], text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        if daemon.stdout.readline() != 'ready\n':
            raise SystemExit('the simulator did not start')
        return subprocess.run(argv, env=environment).returncode
    finally:
        daemon.stdin.close()
        daemon.wait(timeout=10)


def main():
    arguments = sys.argv[1:]
    if '--' not in arguments:
        raise SystemExit(__doc__)
    if arguments[0] == '--inside':
        return _inside(arguments[1:])
    if os.geteuid() != 0:
        raise SystemExit('namespaces with mounts need root')
    build()
    split = arguments.index('--')
    line = command(arguments[:split], arguments[split + 1:])
    return subprocess.run(line).returncode


if __name__ == '__main__':
    sys.exit(main())
