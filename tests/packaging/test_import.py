# SPDX-License-Identifier: Apache-2.0
"""Importing starts nothing, reads nothing of the host, and costs no more than upstream.

privsep forks after the import, and a thread started before a fork does not exist after it.
"""

import json
import re
import statistics

import pytest

from conftest import run

IMPORT = 'import os_brick.initiator.connector'

# Compares the threads and watches what the interpreter opens, starts and connects to.
WATCHED = '''
import json, os, sys
seen = []
def hook(event, args):
    if event in ("open", "os.listdir", "os.scandir", "subprocess.Popen", "os.exec", "os.posix_spawn", "os.fork",
                 "os.system", "socket.connect", "socket.bind"):
        seen.append([event, str(args[0])])
sys.addaudithook(hook)
import os_brick.initiator.connector
json.dump({"seen": seen, "threads": os.listdir("/proc/self/task"), "pid": str(os.getpid())}, sys.stdout)
'''

HOST = re.compile(r'/(sys|dev|run|var|etc/(iscsi|multipath|nvme))\b')
#: Opened by the interpreter and its libraries themselves.
HARMLESS = re.compile(r'/dev/(null|urandom)$')


def of_host(paths):
    return sorted({path for path in paths if HOST.match(path) and not HARMLESS.match(path)})


@pytest.fixture(scope='module')
def watched(clean_python):
    return json.loads(run(clean_python, '-I', '-W', 'ignore', '-c', WATCHED, cwd='/'))


def test_no_thread_is_started(watched):
    assert watched['threads'] == [watched['pid']]


def test_no_file_of_the_host_is_opened(watched):
    opened = [path for event, path in watched['seen'] if event in ('open', 'os.listdir', 'os.scandir')]
    assert len(opened) > 50, 'the hook does not see the interpreter open its modules'
    assert of_host(opened) == []


def test_no_program_is_started_and_nobody_is_talked_to(watched):
    files = ('open', 'os.listdir', 'os.scandir')
    assert [(event, what) for event, what in watched['seen'] if event not in files] == []


def test_the_extension_opens_nothing_behind_pythons_back(clean_python, tmp_path):
    """The audit hook does not see what Rust does; system calls do."""
    trace = tmp_path / 'trace'
    run('strace', '-f', '-e', 'trace=openat,open,execve,clone,clone3,fork,vfork,connect', '-o', trace,
        clean_python, '-I', '-S', '-W', 'ignore', '-c',
        f'import sys; sys.path.append({str(clean_python.parents[1])!r} + "/lib/python%d.%d/site-packages" % '
        f'sys.version_info[:2]); import os_brick._engine', cwd='/')
    lines = trace.read_text().splitlines()
    opened = [re.search(r'"([^"]*)"', line)[1] for line in lines if re.search(r'\bopen(at)?\(', line)]
    assert any(path.endswith('_engine.abi3.so') for path in opened)
    assert of_host(opened) == []
    started = [line for line in lines if re.search(r'\b(clone3?|v?fork|connect)\(', line)]
    assert started == []
    # The interpreter itself; through a wrapper it takes several.
    assert not [line for line in lines if 'execve(' in line and not re.search(r'python|pyenv|/env"|/sh"|bash', line)]


def import_seconds(python):
    """What `-X importtime` says the import took in all, its dependencies included."""
    out = run(python, '-I', '-W', 'ignore', '-X', 'importtime', '-c', IMPORT, cwd='/')
    whole = re.findall(r'\|\s*(\d+) \| (os_brick(?:\.initiator\.connector)?)$', out, re.M)
    # The package and the module are told one after the other; a package counts what it imports itself.
    return sum(int(micro) for micro, _ in whole) / 1e6


def test_the_import_is_not_slower_than_upstreams(clean_python, upstream_python, record_property):
    """In turns, so that a busy machine is busy for both; the median of each."""
    times = {'ours': [], 'upstream': []}
    for _ in range(7):
        times['ours'].append(import_seconds(clean_python))
        times['upstream'].append(import_seconds(upstream_python))
    ours, upstream = (statistics.median(times[name]) for name in ('ours', 'upstream'))
    assert upstream > 0.01, 'the times are not found in the output'
    record_property('import_ratio', round(ours / upstream, 3))
    print(f'import: ours {ours:.3f} s, upstream {upstream:.3f} s, ratio {ours / upstream:.2f}')
    # Generous: the dependencies both share are most of it, and vary by this much.
    assert ours <= upstream * 1.15
