# SPDX-License-Identifier: Apache-2.0
"""Where the consumers' tests run: one virtual environment without os-brick, cached, and each os-brick in a folder of its own.

Which of the two a process meets is decided by its PYTHONPATH alone, so nothing but os-brick differs.
"""

import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import venv

REQUIREMENTS = pathlib.Path(__file__).with_name('requirements.txt')
UPSTREAM = 'os-brick==7.1.1'
#: What the pins leave out on purpose: each side brings its own os-brick, and netifaces-plus is netifaces.
LEFT_OUT = ('os-brick', 'netifaces')


def cache_root():
    return pathlib.Path(os.environ.get('OS_BRICK_CONSUMERS_CACHE') or pathlib.Path.home() / '.cache/os-brick-consumers')


def input_hash():
    """A digest of everything that decides what is installed."""
    return hashlib.sha256(f'{sys.version}\n{UPSTREAM}\n{REQUIREMENTS.read_text()}'.encode()).hexdigest()[:24]


def ensure(say=print):
    """The cached directory with `venv` and `upstream`; installs them when there is none for these pins."""
    place = cache_root() / input_hash()
    with locked(place):
        if not (place / 'complete').exists():
            say(f'consumers: installing into {place}, once; some minutes')
            install(place)
            (place / 'complete').touch()
    return place


@contextlib.contextmanager
def locked(place):
    place.parent.mkdir(parents=True, exist_ok=True)
    with open(place.with_suffix('.lock'), 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def install(place):
    shutil.rmtree(place, ignore_errors=True)
    venv.create(place / 'venv', with_pip=True)
    # Without resolving: the list is complete, and os-brick, which it leaves out, must not come in by itself.
    pip(place, 'install', '--no-deps', '-r', REQUIREMENTS)
    if found := unmet(python(place)):
        raise SystemExit('consumers: requirements.txt is not complete:\n' + '\n'.join(found))
    install_package(place, place / 'upstream', UPSTREAM, PIP_FIND_LINKS='')


def install_package(place, folder, requirement, **environment):
    """One os-brick, with its metadata and entry points, into a folder for PYTHONPATH."""
    shutil.rmtree(folder, ignore_errors=True)
    pip(place, 'install', '--no-deps', '--target', folder, requirement, **environment)


def pip(place, *argv, **environment):
    subprocess.run([python(place), '-m', 'pip', '--quiet', '--disable-pip-version-check', *argv], check=True,
                   stdin=subprocess.DEVNULL, env={**os.environ, **environment})


def unmet(interpreter, **environment):
    """What installed packages require and do not have, in pip's words.

    A module that cannot be imported fails on both sides, which no comparison would find.
    """
    told = subprocess.run([interpreter, '-m', 'pip', '--disable-pip-version-check', 'check'], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, env={**os.environ, **environment})
    if told.returncode == 0:
        return []
    left_out = tuple(f' requires {name}, which is not installed.' for name in LEFT_OUT)
    found = [line for line in told.stdout.splitlines() if not line.endswith(left_out)]
    return found if told.stdout else [told.stderr]


def python(place):
    return place / 'venv' / 'bin' / 'python'
