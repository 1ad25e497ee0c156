# SPDX-License-Identifier: Apache-2.0
"""Times one library's look-ups on the tree of a host with many volumes.

Runs with the python of the library under test on a simulated host.  Each
line read names an operation; the answer has the seconds of every call and
what the calls found, in a form that two libraries can be compared by.
"""

import importlib
import json
import logging
import sys
import time

from oslo_concurrency import lockutils
from oslo_config import cfg

import os_brick
import os_brick.privileged

LOCK_PATH = '/run/lock/os-brick'
# At most this long, and at least three counted calls, on one operation.
BUDGET = 2.0


def setup():
    logging.getLogger().addHandler(logging.NullHandler())
    cfg.CONF([], project='os-brick')
    lockutils.set_defaults(LOCK_PATH)
    os_brick.setup(cfg.CONF)
    os_brick.privileged.default.set_client_mode(False)


def measure(module, operations, name, volumes, calls):
    """Time the operation on several volumes in turn; the first is warm-up."""
    made = [getattr(operations, name)(operations.properties(at))
            for at in volumes]
    shape = module.SHAPES.get(name, lambda answer: answer)
    answers = [shape(call()) for call in made]
    seconds = []
    begun = time.perf_counter()
    while len(seconds) < calls:
        call = made[len(seconds) % len(made)]
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
        if time.perf_counter() - begun > BUDGET and len(seconds) >= 3:
            break
    return {'seconds': seconds, 'answers': answers}


def main():
    setup()
    module = importlib.import_module(sys.argv[1])
    operations = module.Operations(int(sys.argv[2]))
    volumes = json.loads(sys.argv[3])
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer = measure(module, operations, order['operation'], volumes,
                             order['calls'])
        except ModuleNotFoundError:
            # Upstream has no such thing.
            answer = {'absent': True}
        except Exception as exc:
            answer = {'error': f'{type(exc).__name__}: {exc}'}
        print(json.dumps(answer), flush=True)


if __name__ == '__main__':
    main()
