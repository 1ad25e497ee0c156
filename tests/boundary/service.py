# SPDX-License-Identifier: Apache-2.0
"""A small service: an unprivileged process that calls os_brick as it is told, through a privsep daemon.

Reads a JSON line `{"id", "call": "module:name", "args"}` for each call and answers each with a line, in the order the
calls end: the value or exception as Python source, and what was logged meanwhile.
"""

import importlib
import json
import logging
import sys
import threading

from oslo_config import cfg
from oslo_privsep import priv_context

import helper


class Collected(logging.Handler):
    """The log of the service, as (logger, level, text)."""

    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append((record.name, record.levelname, record.getMessage()))


def resolve(name):
    module, _, attributes = name.partition(':')
    found = importlib.import_module(module)
    for attribute in attributes.split('.'):
        found = getattr(found, attribute)
    return found


def connector(method, *args):
    """A method of a connector made for the call."""
    from os_brick.initiator import connector as connectors
    made = connectors.InitiatorConnector.factory('ISCSI', 'sudo')
    return getattr(made, method)(*args)


def answer(order, log):
    start = len(log.records)
    try:
        function = connector if order['call'] == 'connector' else resolve(order['call'])
        result = {'value': repr(function(*order['args']))}
    except Exception as exc:
        result = {'error': f'{type(exc).__module__}.{type(exc).__qualname__}', 'text': str(exc),
                  'ancestors': [one.__qualname__ for one in type(exc).__mro__],
                  'fields': {key: repr(value) for key, value in vars(exc).items()}}
    return {'id': order['id'], 'log': log.records[start:], **result}


def main():
    method, config = sys.argv[1:]
    log = Collected()
    logging.getLogger().addHandler(log)
    logging.getLogger().setLevel(logging.DEBUG)
    helper.install_probes()
    cfg.CONF(['--config-file', config], project='boundary')
    if method == 'fork':
        for context in (helper.os_brick.privileged.default, helper.os_brick.privileged.brick_privsep_hide_output):
            context.start(priv_context.Method.FORK)
    output = threading.Lock()

    def work(order):
        line = json.dumps(answer(order, log))
        with output:
            print(line, flush=True)

    for line in sys.stdin:
        threading.Thread(target=work, args=(json.loads(line),), daemon=True).start()


if __name__ == '__main__':
    main()
