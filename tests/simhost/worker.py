# SPDX-License-Identifier: Apache-2.0
"""One library on one simulated host: does a round for each line it reads.

Runs inside the namespace with the python of the library under test, so only
that library and the standard library may be imported.  A line on standard
input is a JSON object with ``volumes``, ``portals``, ``multipath`` and
``kind``; the answer on standard output is the round's times and what the host
was doing.
"""

import glob
import json
import logging
import os
import socket
import struct
import sys
import threading
import time

from oslo_concurrency import lockutils
from oslo_config import cfg

import os_brick
from os_brick.initiator import connector
import os_brick.privileged

IQN = 'iqn.2010-10.org.example:target-1'
NQN = 'nqn.2014-08.org.example:subsystem-1'
LOCK_PATH = '/run/lock/os-brick'
SETTLE = 0.3


def _receive(connection):
    def exactly(count):
        data = b''
        while len(data) < count:
            part = connection.recv(count - len(data))
            if not part:
                raise ConnectionError('the simulator closed the connection')
            data += part
        return data
    return exactly(struct.unpack('<I', exactly(4))[0]).decode()


def simctl(*words):
    """Ask the simulator itself; costs no simulated time."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect('/run/simhost/socket')
        payload = '\0'.join(('0', '', 'simctl') + words).encode()
        connection.sendall(struct.pack('<I', len(payload)) + payload)
        code, out, err = (_receive(connection) for _ in range(3))
    if code != '0':
        raise RuntimeError(err)
    return out


def setup():
    logging.getLogger().addHandler(logging.NullHandler())
    cfg.CONF([], project='os-brick')
    lockutils.set_defaults(LOCK_PATH)
    os_brick.setup(cfg.CONF)
    os_brick.privileged.default.set_client_mode(False)


def of_iscsi(volume, portals, multipath):
    """The connection properties a driver would give for the volume."""
    addresses = [f'127.0.1.{at}:3260' for at in range(1, portals + 1)]
    found = {'target_discovered': False, 'target_portal': addresses[0],
             'target_iqn': IQN, 'target_lun': volume, 'volume_id': volume}
    if multipath:
        found.update(target_portals=addresses, target_iqns=[IQN] * portals,
                     target_luns=[volume] * portals)
    return found


def of_fibre_channel(volume, portals, multipath):
    """The same for a LUN of an array's ports."""
    wwns = [f'500601603ee0{at:04x}' for at in range(portals)]
    return {'target_discovered': True, 'target_wwn': wwns,
            'target_lun': volume, 'volume_id': volume}


def of_nvme(volume, portals, multipath):
    """The same for a namespace of a subsystem."""
    addresses = [(f'127.0.1.{at}', '4420', 'tcp')
                 for at in range(1, portals + 1)]
    return {'target_nqn': NQN, 'portals': addresses, 'volume_id': volume,
            'vol_uuid': f'{volume - 1:08x}-1111-2222-3333-444444444444'}


# The connector's protocol, and its properties.
KINDS = {'iscsi': ('ISCSI', of_iscsi),
         'fc': ('FIBRE_CHANNEL', of_fibre_channel),
         'nvme': ('NVMEOF', of_nvme)}


def together(function, items):
    """Call for all items at once; give start, end and the results."""
    results = [None] * len(items)
    barrier = threading.Barrier(len(items) + 1)

    def run(at, item):
        barrier.wait()
        try:
            results[at] = (function(item), None)
        except Exception as exc:
            results[at] = (None, exc)

    threads = [threading.Thread(target=run, args=pair)
               for pair in enumerate(items)]
    for thread in threads:
        thread.start()
    start = time.monotonic_ns()
    barrier.wait()
    for thread in threads:
        thread.join()
    end = time.monotonic_ns()
    for __, exc in results:
        if exc:
            raise exc
    return start, end, [result for result, __ in results]


def steps_between(start, end):
    """What the host did between two moments; empties the trace."""
    steps = []
    for line in simctl('trace').splitlines():
        began, ended, what = line.split('\t')
        began, ended = max(int(began), start), min(int(ended), end)
        if ended > began:
            steps.append((began, ended, what))
    return sorted(steps)


def in_flight(steps, start):
    """How long at least one program or step of the kernel was under way."""
    total = 0
    reached = start
    for began, ended, __ in steps:
        total += max(0, ended - max(began, reached))
        reached = max(reached, ended)
    return total / 1e9


def check(answers, order):
    """The answer must be right, or its time means nothing."""
    portals, multipath = order['portals'], order['multipath']
    for volume, answer in enumerate(answers, 1):
        name = os.path.basename(os.path.realpath(answer['path']))
        if order['kind'] == 'nvme':
            paths = glob.glob(f'/sys/class/nvme/nvme*/nvme*c*n{volume}')
            if not name.endswith(f'n{volume}') or len(paths) != portals:
                raise RuntimeError(f'{name} has the paths {paths}')
        elif multipath:
            slaves = os.listdir(f'/sys/block/{name}/slaves')
            if not name.startswith('dm-') or len(slaves) != portals:
                raise RuntimeError(f'{name} has the paths {slaves}')
        elif not name.startswith('sd'):
            raise RuntimeError(f'no single path: {answer}')


def timed(function, items):
    simctl('trace')
    start, end, results = together(function, items)
    steps = steps_between(start, end)
    return results, {
        'seconds': (end - start) / 1e9,
        'in_flight': in_flight(steps, start),
        'programs': sum(' -> ' in what for __, __, what in steps),
        'trace': [[round((began - start) / 1e6, 3),
                   round((ended - began) / 1e6, 3), what]
                  for began, ended, what in steps]}


def one_round(order):
    portals, multipath = order['portals'], order['multipath']
    protocol, properties = KINDS[order['kind']]
    volumes = [properties(at, portals, multipath)
               for at in range(1, order['volumes'] + 1)]
    made = [connector.InitiatorConnector.factory(
        protocol, None, use_multipath=multipath) for __ in volumes]
    pairs = list(zip(made, volumes))
    answers, connect = timed(lambda p: p[0].connect_volume(p[1]), pairs)
    time.sleep(SETTLE)
    check(answers, order)
    jobs = list(zip(made, volumes, answers))
    __, disconnect = timed(lambda p: p[0].disconnect_volume(p[1], p[2]), jobs)
    time.sleep(SETTLE)
    left = dict(line.split() for line in simctl('state').splitlines())
    # A controller stays while it leads to other namespaces.
    simctl('unmap')
    return {'connect': connect, 'disconnect': disconnect,
            'left': {name: int(count) for name, count in left.items()}}


def main():
    setup()
    for line in sys.stdin:
        try:
            answer = one_round(json.loads(line))
        except Exception as exc:
            answer = {'error': f'{type(exc).__name__}: {exc}'}
        print(json.dumps(answer), flush=True)


if __name__ == '__main__':
    main()
