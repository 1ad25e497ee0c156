"""Runs one scenario in the guest: prepares, runs, looks at what is left, keeps the evidence, cleans.

Reads one JSON object from standard input (scenario, mode, package, variant) and prints one JSON event a line.
"""

import importlib.util
import json
import os
from pathlib import Path
import sys
import time
import traceback

from guest import caller, clean, command, daemons, lab, leftovers, multipath_conf, poll

CODE = Path('/opt/lab/code')
SETTLE_SECONDS = 6

# Only events go to the real standard output; what a scenario prints goes to the error stream.
EVENTS = os.fdopen(os.dup(1), 'w', buffering=1)
os.dup2(2, 1)


def emit(**event):
    print(json.dumps(event, default=str), file=EVENTS, flush=True)


def load(name):
    path = Path(name) if name.startswith('/') else CODE / 'scenarios' / f'{name}.py'
    specification = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def main():
    spec = json.loads(sys.stdin.read())
    started = time.monotonic()
    module = load(spec['scenario'])
    log_sizes = prepare(module, spec)
    before = leftovers.snapshot()
    emit(event='begin', prepared=time.monotonic() - started)
    actor = lab.Lab(spec, emit)
    error = run(module, actor)
    left = look_at_rest(module, actor, before)
    if error or actor.failed or left:
        keep_evidence(log_sizes)
    cleaning = time.monotonic()
    resisted = clean.force()
    if resisted:
        emit(event='note', text=f'the forced clean-up could not remove {resisted}')
    emit(event='end', failed=actor.failed, error=bool(error), left=left, seconds=cleaning - actor.started,
         total=time.monotonic() - started)
    EVENTS.flush()
    # Threads of a scenario that still sit in I/O must not keep the session.
    os._exit(1 if resisted else 0)


def prepare(module, spec):
    # A scenario that was killed could not clean up after itself.
    if leftovers.difference({}, leftovers.snapshot()):
        clean.force()
    daemons.start('iscsid')
    variant = getattr(module, 'MULTIPATH', None)
    multipath_conf.apply(variant(spec.get('variant')) if callable(variant) else variant)
    for old in daemons.LOG.glob('worker-*.log'):
        old.unlink()
    command.run('dmesg', '--clear')
    return daemons.log_sizes()


def run(module, actor):
    """True when the scenario could not run to its end."""
    try:
        module.run(actor)
    except lab.Stop:
        return False  # its failed check is reported already
    except caller.RemoteError as failure:
        emit(event='error', text=str(failure), traceback=traceback.format_exc() + failure.traceback)
        return True
    except (Exception, KeyboardInterrupt):
        emit(event='error', text=last_lines(traceback.format_exc()), traceback=traceback.format_exc())
        return True
    return False


def last_lines(text):
    """The scenario's own line and the exception; the whole goes into the evidence."""
    return '\n'.join(text.strip().splitlines()[-4:])


def look_at_rest(module, actor, before):
    """Whether something is left on the host that was not there before; reported as a check of its own."""
    actor.close()
    seconds = getattr(module, 'SETTLE_SECONDS', SETTLE_SECONDS)
    started = time.monotonic()
    found = leftovers.settled_difference(before, seconds)
    emit(event='left', found=found, seconds=time.monotonic() - started, at=actor.elapsed())
    return bool(found)


def keep_evidence(log_sizes):
    for name, text in daemons.logs_since(log_sizes).items():
        emit(event='file', name=name, text=text[-400_000:])
    for name, argv in (('dmesg.txt', ['dmesg']), ('multipath-ll.txt', ['multipath', '-ll']),
                       ('iscsiadm-session.txt', ['iscsiadm', '-m', 'session', '-P', '3']),
                       ('multipathd-paths.txt', ['multipathd', 'show', 'paths']),
                       ('processes.txt', ['ps', 'axo', 'pid,ppid,user,stat,wchan:20,etimes,args']),
                       ('links.txt', ['ls', '-lR', '/dev/disk']), ('dmsetup.txt', ['dmsetup', 'info', '-c'])):
        emit(event='file', name=name, text=command.run(*argv, check=False, seconds=15))
    emit(event='file', name='left-on-host.json', text=json.dumps(leftovers.snapshot(), indent=2))


if __name__ == '__main__':
    try:
        main()
    except poll.Timeout:
        emit(event='error', text=traceback.format_exc())
        keep_evidence({})
        os._exit(2)
