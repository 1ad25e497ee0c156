"""What one case's events mean, and how results are shown and kept: lines, table, JSON, JUnit XML.

What must not live here: machines and processes (boot.py, runner.py).
"""

import dataclasses
import json
import shutil
import threading
from xml.sax import saxutils

PASSED, FAILED, KNOWN = 'passed', 'failed', 'known'
_printing = threading.Lock()


def say(text):
    with _printing:
        print(text, flush=True)


@dataclasses.dataclass
class Result:
    """The events of one case, judged."""

    case: object
    events: list = dataclasses.field(default_factory=list)
    files: dict = dataclasses.field(default_factory=dict)
    output: list = dataclasses.field(default_factory=list)
    ended: dict = None
    seconds: float = 0.0

    @property
    def problems(self):
        """Why the case did not pass, one line each."""
        found = [f"{event['name']}: {event['detail']}" for event in self.events
                 if event['event'] == 'check' and not event['ok']]
        found += [event['text'].strip() for event in self.events if event['event'] == 'error']
        found += [f'left on the host: {kind}: {", ".join(names)}' for event in self.events if event['event'] == 'left'
                  for kind, names in event['found'].items()]
        if not self.ended:
            found.append('the scenario did not end: ' + ' | '.join(self.output[-5:]))
        return found

    @property
    def status(self):
        if not self.problems:
            return PASSED
        declared = self.case.declared
        if self.case.package != 'upstream' or not self.ended:
            return FAILED
        only_left = not self.ended['failed'] and not self.ended['error']
        excused = declared['UPSTREAM_FAILS'] or (only_left and declared['UPSTREAM_LEAVES'])
        return KNOWN if excused else FAILED

    @property
    def checks(self):
        return [event for event in self.events if event['event'] == 'check']

    @property
    def measured(self):
        return [(event['name'], event['seconds']) for event in self.events if event['event'] == 'measured']

    def take(self, event, show):
        """Note one event of the session, and show it."""
        kind = event['event']
        if kind == 'file':
            self.files[event['name']] = event['text']
            return
        if kind == 'end':
            self.ended = event
            self.seconds = event['seconds']
        self.events.append(event)
        line = describe(event)
        if line:
            show(line)


def describe(event):
    """One line for the terminal, or None."""
    kind, at = event['event'], event.get('at')
    clock = f'{at:7.2f}s ' if at is not None else '         '
    if kind == 'check':
        took = f"  ({event['seconds']:.2f} s)" if event.get('seconds') is not None else ''
        return f"{clock}{'ok  ' if event['ok'] else 'FAIL'} {event['name']}{took}" + (
            f"\n              {event['detail']}" if event['detail'] else '')
    if kind == 'measured':
        return f"{clock}time {event['name']}: {event['seconds']:.2f} s"
    if kind == 'show':
        return event['text']
    if kind == 'note':
        return f"{clock}note {event['text']}"
    if kind == 'error':
        return f"         ERROR {event['text']}"
    if kind == 'left':
        if not event['found']:
            return f"{clock}ok   nothing left on the host  ({event['seconds']:.2f} s)"
        return f'{clock}LEFT ' + '; '.join(f'{name}: {", ".join(items)}' for name, items in event['found'].items())
    return None


def summary(results):
    """The table at the end, what did not pass last, where even a log that was cut shows it."""
    results = sorted(results, key=lambda result: result.status != PASSED)
    width = max([len(result.case.name) for result in results] + [10])
    lines = ['', f"{'scenario':{width}}  {'result':7} {'checks':>6} {'time':>8}"]
    for result in results:
        lines.append(f'{result.case.name:{width}}  {result.status:7} {len(result.checks):6} {result.seconds:7.1f}s')
        if result.status != PASSED:
            why = result.case.declared['UPSTREAM_FAILS'] or result.case.declared['UPSTREAM_LEAVES']
            if result.status == KNOWN:
                lines.append(f'    known of upstream: {why}')
            lines += ['    ' + problem.replace('\n', '\n    ') for problem in result.problems]
    counts = {status: sum(result.status == status for result in results) for status in (PASSED, FAILED, KNOWN)}
    known = f', {counts[KNOWN]} known of upstream' if counts[KNOWN] else ''
    lines += ['', f'{counts[PASSED]} passed, {counts[FAILED]} failed{known}']
    return '\n'.join(lines)


def evidence_folder(case, directory):
    return directory / case.name.strip('/').replace('/', '_').replace(':', '-')


def save(result, directory):
    """The evidence of a case that did not pass."""
    folder = evidence_folder(result.case, directory)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in result.files.items():
        (folder / name).write_text(text)
    (folder / 'events.jsonl').write_text(''.join(json.dumps(event) + '\n' for event in result.events))
    (folder / 'output.txt').write_text('\n'.join(result.output))
    return folder


def save_all(results, directory):
    directory.mkdir(parents=True, exist_ok=True)
    data = [{'name': result.case.name, **result.case.spec, 'status': result.status, 'seconds': result.seconds,
             'ledger': list(result.case.declared['LEDGER']), 'problems': result.problems,
             'measured': result.measured, 'checks': result.checks} for result in results]
    (directory / 'results.json').write_text(json.dumps(data, indent=1))
    (directory / 'junit.xml').write_text(junit(results))


def junit(results):
    failures = sum(result.status == FAILED for result in results)
    lines = ['<?xml version="1.0" encoding="UTF-8"?>',
             f'<testsuite name="lab" tests="{len(results)}" failures="{failures}">']
    for result in results:
        name = saxutils.quoteattr(result.case.name)
        lines.append(f'  <testcase classname="lab" name={name} time="{result.seconds:.2f}">')
        problems = saxutils.escape(''.join(char for char in '\n'.join(result.problems) if char >= ' ' or char == '\n'))
        if result.status == FAILED:
            lines.append(f'    <failure>{problems}</failure>')
        elif result.status == KNOWN:
            lines.append(f'    <skipped message="known of upstream"/><system-out>{problems}</system-out>')
        lines.append('  </testcase>')
    return '\n'.join(lines + ['</testsuite>', ''])
