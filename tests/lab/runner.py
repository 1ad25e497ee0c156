"""Runs cases on one machine or several at once, and gathers their results.

What must not live here: QEMU (boot.py), the meaning of events (report.py), the command line (__main__.py).
"""

import contextlib
import json
import queue
import threading
import time

from lab import report
from lab.boot import BootError, Machine

SESSION = ['/usr/bin/python3', '-m', 'guest.session']
PEER = ['/usr/bin/python3', '-m', 'guest.peer']


def run_case(machine, case, show=None):
    """One case on one machine."""
    show = show or report.say
    result = report.Result(case)
    started = time.monotonic()

    def on_line(stream, line):
        event = _event(line) if stream == 'out' else None
        if event:
            result.take(event, show)
        else:
            result.output.append(line)

    with _companion(machine, case, result):
        machine.execute(SESSION, stdin=json.dumps(case.spec), timeout=case.declared['TIMEOUT'] + 90, on_line=on_line)
    result.seconds = result.seconds or time.monotonic() - started
    if result.output and result.problems:
        show('         output: ' + '\n                 '.join(result.output[-20:]))
    return result


@contextlib.contextmanager
def _companion(machine, case, result):
    """The other host does what the scenario asks of it, until the scenario has ended."""
    if case.declared['MACHINES'] == 1:
        yield
        return
    def serve():
        with contextlib.suppress(BootError):
            machine.companion.execute(PEER, timeout=case.declared['TIMEOUT'] + 90,
                                      on_line=lambda stream, line: result.output.append(f'the other host: {line}'))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield
    thread.join(60)


def _event(line):
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and 'event' in event else None


def _wanted(case):
    """What a case runs on: an image, and how many machines."""
    return case.declared['IMAGE'], case.declared['MACHINES']


class Run:
    """A set of cases over several machines; each takes the next case when it is free, and is replaced for another image."""

    def __init__(self, cases, wheel, boots, output):
        self.wheel, self.output = wheel, output
        # Those of one image together, and the long ones first: no machine is left alone with one at the end.
        self.cases = queue.Queue()
        for case in sorted(cases, key=lambda case: (case.declared['IMAGE'] or '', case.declared['MACHINES'],
                                                    -case.declared['SECONDS'])):
            self.cases.put(case)
        self.boots = max(1, min(boots, len(cases)))
        self.results = []

    def run(self):
        threads = [threading.Thread(target=self._machine, args=(number,)) for number in range(1, self.boots + 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # A case nobody could run any more counts: no machine came up for it.
        while not self.cases.empty():
            self.results.append(report.Result(self.cases.get_nowait(), output=['no machine could run it']))
        self.results.sort(key=lambda result: result.case.name)
        return self.results

    def _machine(self, number):
        prefix = f'{number}| ' if self.boots > 1 else ''
        machine = None
        try:
            while True:
                try:
                    case = self.cases.get_nowait()
                except queue.Empty:
                    return
                if machine and (machine.flavour, machine.machines) != _wanted(case):
                    machine.stop()
                    machine = None
                if machine is None:
                    machine = self._boot(prefix, case)
                if not self._one(machine, case, prefix):
                    machine.stop()
                    machine = None
        except BootError as error:
            report.say(f'{prefix}{error}')
        finally:
            if machine:
                machine.stop()

    def _boot(self, prefix, case):
        machine = Machine.temporary(*_wanted(case))
        try:
            seconds = machine.start(self.wheel, say=report.say)
        except BootError:
            machine.stop()
            # Another machine may come up for it; if none does, it is counted at the end.
            self.cases.put(case)
            raise
        report.say(f'{prefix}a machine is up after {seconds:.1f} s')
        return machine

    def _one(self, machine, case, prefix):
        """Run a case; False when the machine cannot be used for another one."""
        report.say(f'{prefix}== {case.name}')
        try:
            result = run_case(machine, case, lambda line: report.say(prefix + line))
        except BootError as error:
            result = report.Result(case, output=[str(error)])
        result.files['console.log'] = machine.console_tail(2000)
        self.results.append(result)
        folder = ''
        if result.status != report.PASSED:
            folder = f', evidence in {report.save(result, self.output)}'
        report.say(f'{prefix}== {case.name}: {result.status} in {result.seconds:.1f} s{folder}')
        return result.ended is not None
