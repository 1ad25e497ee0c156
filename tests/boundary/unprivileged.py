# SPDX-License-Identifier: Apache-2.0
"""Runs a program as a user who exists only here and may start one thing as root: in a mount namespace of its own.

usage: unshare --mount --propagation private python unprivileged.py SCRATCH ALLOWED -- PROGRAM ARGUMENT...

Users and sudo's rules are laid over the host's for this namespace, so nothing of the host is changed.
"""

import os
import pathlib
import subprocess
import sys

NAME, ID = 'os-brick-test', 64123


def mount(*arguments):
    subprocess.run(['mount', *map(str, arguments)], check=True)


def lay_over(scratch, target, text, mode):
    copy = scratch / target.strip('/').replace('/', '-')
    copy.write_text(text)
    copy.chmod(mode)
    mount('--bind', copy, target)


def closed_ancestor(place):
    """The outermost directory above a place that others may not enter."""
    for ancestor in reversed(place.parents):
        if not ancestor.stat().st_mode & 0o001:
            return ancestor
    return None


def open_way_to(scratch, places):
    """Make places reachable that lie in somebody's closed home: the interpreter's, the checkout's."""
    for index, place in enumerate(places):
        closed = closed_ancestor(place)
        if closed is None:
            continue
        aside = scratch / f'aside-{index}'
        aside.mkdir()
        mount('--bind', place, aside)
        mount('-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', closed)
        place.mkdir(parents=True)
        mount('--move', aside, place)


def main():
    scratch, allowed = pathlib.Path(sys.argv[1]), sys.argv[2]
    program = sys.argv[4:]
    passwd = pathlib.Path('/etc/passwd').read_text()
    lay_over(scratch, '/etc/passwd', f'{passwd}{NAME}:*:{ID}:{ID}::/nonexistent:/bin/sh\n', 0o644)
    rules = f'Defaults !syslog, !use_pty, !pam_session\n{NAME} ALL=(root) NOPASSWD: {allowed} *\n'
    lay_over(scratch, '/etc/sudoers', rules, 0o440)
    here = pathlib.Path(__file__).resolve()
    open_way_to(scratch, [pathlib.Path(sys.base_prefix).resolve(), here.parents[2], pathlib.Path(sys.prefix)])
    os.setgroups([])
    os.setresgid(ID, ID, ID)
    os.setresuid(ID, ID, ID)
    os.chdir('/')
    os.execv(program[0], program)


if __name__ == '__main__':
    main()
