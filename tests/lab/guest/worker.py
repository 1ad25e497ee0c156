"""The process that imports os_brick and does what the scenario asks over a line-JSON pipe.

Started by caller.py as root or as an unprivileged user, with PYTHONPATH choosing the package. It stands for
nova-compute or cinder-volume: configuration file, `os_brick.setup`, logging, threads. What must not live here:
any knowledge of targets or of the host; those are looked at from outside.
"""

import importlib
import itertools
import json
import logging
import os
import sys
import threading
import time
import traceback
import warnings

# The pipe is stdout's descriptor alone: a stray print of a library must not end up between the answers.
PIPE = os.fdopen(os.dup(1), 'w', buffering=1)
os.dup2(2, 1)
warnings.simplefilter('ignore')


class LogCapture(logging.Handler):
    """Keeps every record's text and time, so that an answer can carry what was logged meanwhile."""

    def __init__(self):
        super().__init__()
        self.lines = []
        self.times = []
        self.setFormatter(logging.Formatter('%(levelname)s %(name)s [%(threadName)s] %(message)s'))

    def emit(self, record):
        text = self.format(record)
        now = time.monotonic()
        self.times.append(now)
        self.lines.append(text)
        print(f'{now:.3f} {text}', file=sys.stderr, flush=True)


class Worker:
    def __init__(self, log):
        self.log = log
        self.objects = {}
        self.numbers = itertools.count(1)
        self.lock = threading.Lock()

    def answer(self, request):
        first_line = len(self.log.lines)
        started = time.monotonic()
        try:
            reply = {'value': self.encode(self.perform(request), request.get('keep', False))}
        except BaseException as error:  # the scenario judges, also about SystemExit and panics
            reply = {'error': describe_error(error)}
        reply.update(id=request['id'], seconds=time.monotonic() - started, logs=self.log.lines[first_line:],
                     times=self.log.times[first_line:])
        with self.lock:
            print(json.dumps(reply), file=PIPE, flush=True)

    def perform(self, request):
        if 'source' in request:
            names = {name: self.decode(value) for name, value in request['names'].items()}
            exec(compile(request['source'], '<scenario>', 'exec'), names)
            return names.get('result')
        subject = self.find(request['target'])
        if not request.get('call', True):
            return subject
        return subject(*[self.decode(value) for value in request['args']],
                       **{name: self.decode(value) for name, value in request['kwargs'].items()})

    def find(self, target):
        """`package.module:attribute.path`, or `@7:attribute.path` of an object kept earlier."""
        place, _, path = target.partition(':')
        subject = self.objects[int(place[1:])] if place.startswith('@') else importlib.import_module(place)
        for name in path.split('.') if path else ():
            subject = getattr(subject, name)
        return subject

    def encode(self, value, keep=False):
        if keep:
            number = next(self.numbers)
            self.objects[number] = value
            return {'__object__': number, '__class__': class_name(type(value))}
        if isinstance(value, dict):
            return {str(name): self.encode(item) for name, item in value.items()}
        if isinstance(value, tuple):
            return {'__tuple__': [self.encode(item) for item in value]}
        if isinstance(value, list):
            return [self.encode(item) for item in value]
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        return {'__repr__': repr(value), '__class__': class_name(type(value))}

    def decode(self, value):
        if isinstance(value, dict):
            if '__object__' in value:
                return self.objects[value['__object__']]
            if '__tuple__' in value:
                return tuple(self.decode(item) for item in value['__tuple__'])
            return {name: self.decode(item) for name, item in value.items()}
        return [self.decode(item) for item in value] if isinstance(value, list) else value


def class_name(cls):
    return f'{cls.__module__}.{cls.__qualname__}'


def describe_error(error):
    attributes = {}
    for name in ('code', 'msg', 'cmd', 'exit_code', 'stdout', 'stderr', 'description', 'kwargs'):
        if hasattr(error, name):
            attributes[name] = repr(getattr(error, name))
    return {'class': class_name(type(error)), 'bases': [class_name(base) for base in type(error).__mro__],
            'message': str(error), 'attributes': attributes, 'repr': repr(error),
            'traceback': ''.join(traceback.format_exception(error))}


def set_up(settings):
    """What a service does at its start: configuration, the library's set-up, logging."""
    capture = LogCapture()
    logging.basicConfig(level=settings['log_level'], handlers=[capture])
    from oslo_config import cfg
    from oslo_concurrency import lockutils  # registers lock_path  # noqa: F401
    from oslo_privsep import priv_context
    import os_brick
    cfg.CONF(['--config-file', settings['config_file']], project='lab')
    os_brick.setup(cfg.CONF)
    from os_brick import privileged
    if settings['in_process']:
        privileged.default.set_client_mode(False)
        privileged.brick_privsep_hide_output.set_client_mode(False)
    else:
        if settings['root_helper']:
            priv_context.init(root_helper=settings['root_helper'].split())
        # A service has its daemon running long before most attaches; starting it is not what is timed.
        privileged.default.start()
    from os_brick.initiator import connector  # noqa: F401
    return capture, os_brick


def main():
    settings = json.loads(sys.stdin.readline())
    started = time.monotonic()
    capture, package = set_up(settings)
    worker = Worker(capture)
    print(json.dumps({'ready': True, 'file': package.__file__, 'pid': os.getpid(),
                      'seconds': time.monotonic() - started}), file=PIPE, flush=True)
    for line in sys.stdin:
        threading.Thread(target=worker.answer, args=(json.loads(line),), daemon=True).start()
    # The caller has closed the pipe: like a service that is stopped, without waiting for calls under way.
    os._exit(0)


if __name__ == '__main__':
    main()
