# SPDX-License-Identifier: Apache-2.0
"""Entry points of the tests: what can only be seen from inside the privileged process.

Loaded as `os_brick.privileged.probe`, because privsep takes entry points from below that package only.
"""

import ctypes
import fcntl
import logging
import os
import struct
import threading

from os_brick import _engine
from os_brick import privileged
from oslo_config import cfg

_meeting = threading.Condition()
_present = set()


@privileged.default.entrypoint
def facts():
    """Who and where the process is.  The umask can only be read by setting it."""
    umask = ctypes.CDLL(None).umask(0)
    ctypes.CDLL(None).umask(umask)
    status = dict(line.split(':\t', 1) for line in open('/proc/self/status').read().splitlines() if ':\t' in line)
    return {'pid': os.getpid(), 'uid': os.geteuid(), 'umask': umask, 'cwd': os.getcwd(),
            'capabilities': int(status['CapEff'], 16), 'threads': cfg.CONF.privsep_osbrick.thread_pool_size}


@privileged.default.entrypoint
def sends_a_list():
    return [1, [2, 3]]


@privileged.default.entrypoint
def panics(message):
    _engine.test_support.panic(message)


@privileged.default.entrypoint
def meet(name, count):
    """Return how many callers were in here at once, when all have come or nobody else comes for a while."""
    with _meeting:
        _present.add(name)
        _meeting.notify_all()
        _meeting.wait_for(lambda: len(_present) >= count, timeout=10)
        return len(_present)


class _Awaited(logging.Handler):
    """Tells when a record with a certain text came by."""

    def __init__(self, text):
        super().__init__()
        self.text, self.came = text, threading.Event()

    def emit(self, record):
        if self.text in record.getMessage():
            self.came.set()


@privileged.default.entrypoint
def works_beside_the_engine(properties, settings):
    """Hold the lock an attach needs, start the attach, and do Python work while the engine waits for the lock.

    Returns whether the engine was still waiting after that work, and whether it went on when the lock was free.
    """
    awaited = _Awaited('waiting for another os-brick')
    logging.getLogger().addHandler(awaited)
    lock = os.open(os.path.join(settings['lock_path'], 'os-brick-connect_volume'), os.O_RDWR | os.O_CREAT, 0o666)
    write_lock = struct.pack('hhqqi4x', fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    fcntl.fcntl(lock, fcntl.F_OFD_SETLK, write_lock)
    ended = threading.Event()

    def attach():
        try:
            _engine.iscsi.connect_volume(properties, settings)
        except Exception:
            logging.getLogger(__name__).debug('the attach failed as it was to', exc_info=True)
        ended.set()

    thread = threading.Thread(target=attach)
    try:
        thread.start()
        # Were the GIL kept, nothing in this process would go on before the engine gives up, in 20 minutes.
        was_waiting = awaited.came.wait(10) and not ended.is_set()
    finally:
        os.close(lock)
        logging.getLogger().removeHandler(awaited)
    return {'was_waiting': was_waiting, 'went_on': ended.wait(10)}
