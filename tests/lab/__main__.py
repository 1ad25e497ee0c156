"""The command line: run, try, exec, sh, up, send, down, list, image.

What must not live here: anything but arguments and the order of calls.
"""

import argparse
import functools
import json
import os
from pathlib import Path
import sys

from lab import flavours, image, medians, report, runner, selection
from lab.boot import Machine


def main(argv=None):
    parser = argparse.ArgumentParser(prog='lab', description='os_brick on a real kernel, in a virtual machine.')
    commands = parser.add_subparsers(dest='command', required=True)
    add = functools.partial(_command, commands)

    run = add('run', command_run, 'run scenarios in fresh machines; exit code 1 when one fails')
    run.add_argument('patterns', nargs='*', metavar='SCENARIO', help='glob like "iscsi/*" or "dead_portal:refused"')
    run.add_argument('--boots', type=int, default=default_boots(), help='machines at once (default %(default)s)')
    run.add_argument('--out', default=str(default_output()), help='folder for results and evidence (default %(default)s)')
    _case_options(run)

    attempt = add('try', command_try, 'run one scenario file on the machine of `up`, or on a fresh one')
    attempt.add_argument('file')
    attempt.add_argument('--variant')
    _case_options(attempt)

    send = add('send', command_send, 'refresh code and wheel of the machine of `up`, then run scenarios there')
    send.add_argument('patterns', nargs='*', metavar='SCENARIO')
    send.add_argument('--out', default=str(default_output()))
    _case_options(send)

    execute = add('exec', command_exec, 'run Python with `lab` and `host` at hand; the host is left as it gets')
    execute.add_argument('code', help='source text, or a file name')
    _case_options(execute)

    shell = add('sh', command_sh, 'run a shell command in the machine of `up`, or in a fresh one')
    shell.add_argument('line')
    shell.add_argument('--wheel')

    up = add('up', command_up, 'boot a machine that stays')
    up.add_argument('--wheel')
    _image_option(up)
    add('down', command_down, 'end the machine of `up`')
    listing = add('list', command_list, 'the scenarios and what they show')
    listing.add_argument('patterns', nargs='*')
    _image_option(add('image', command_image, 'build the image when it is missing'))
    options = parser.parse_args(argv)
    return options.function(options)


def _command(commands, name, function, text):
    command = commands.add_parser(name, help=text, description=text)
    command.set_defaults(function=function)
    command.add_argument('--name', default='dev', help='which machine of `up` (default %(default)s)')
    return command


def _image_option(command):
    command.add_argument('--image', choices=sorted(flavours.FLAVOURS), help='instead of the ordinary image')


def _case_options(command):
    command.add_argument('--wheel', help='our wheel, or a folder with it (the newest is taken)')
    command.add_argument('--mode', action='append', choices=('root', 'nova'))
    command.add_argument('--package', action='append', choices=('ours', 'upstream'),
                         help='default: ours when a wheel is given, else upstream')


def default_boots():
    """Timing checks suffer when machines outnumber processors: a guest keeps about one and a half busy."""
    return max(1, (os.cpu_count() or 1) // 2)


def default_output():
    return image.cache_root() / 'results'


def packages(options):
    if not options.package:
        machine = standing_machine(options.name)
        has_wheel = options.wheel or (machine and options.command != 'run' and (machine.directory / 'ours.tar').exists())
        options.package = ['ours' if has_wheel else 'upstream']
    return options.package


def command_run(options):
    cases = selection.cases(options.patterns, options.mode, packages(options))
    if not cases:
        raise SystemExit('no scenario matches')
    if any(case.package == 'ours' for case in cases) and not options.wheel:
        raise SystemExit('package ours needs --wheel')
    output = Path(options.out).resolve()
    for flavour in {case.declared['IMAGE'] for case in cases}:
        image.ensure(flavour, say=report.say)
    return finish(runner.Run(cases, options.wheel, options.boots, output).run(), output)


def command_send(options):
    machine = standing_machine(options.name)
    if not machine:
        raise SystemExit(f'no machine {options.name}: start it with `lab up`')
    cases = selection.cases(options.patterns, options.mode, packages(options))
    if not cases:
        raise SystemExit('no scenario matches')
    if any(case.declared['MACHINES'] > 1 for case in cases):
        raise SystemExit('a scenario with two machines boots them itself: lab run, or lab try')
    machine.connect()
    machine.refresh(options.wheel)
    output = Path(options.out).resolve()
    return finish(_in_turn(machine, cases, output), output)


def command_try(options):
    path = Path(options.file).resolve()
    if not path.exists():
        raise SystemExit(f'no such file: {path}')
    declared = selection.declarations(path)
    variants = [options.variant] if options.variant else declared['VARIANTS']
    cases = [selection.Case('/run/lab/try.py', mode, package, variant, declared)
             for variant in variants for package in packages(options) for mode in options.mode or declared['MODES']]
    with _machine(options, declared['IMAGE'], declared['MACHINES']) as machine:
        machine.put(path, '/run/lab/try.py')
        return finish(_in_turn(machine, cases, default_output()), default_output())


def command_exec(options):
    path = Path(options.code)
    source = path.read_text() if path.suffix == '.py' and path.exists() else options.code
    spec = {'package': packages(options)[0], 'mode': (options.mode or ['root'])[0], 'source': source}
    return _passed_through(options, ['/usr/bin/python3', '-m', 'guest.snippet'], json.dumps(spec))


def command_sh(options):
    return _passed_through(options, ['/bin/bash', '-c', options.line], '')


def _passed_through(options, argv, stdin):
    with _machine(options) as machine:
        status, _ = machine.execute(argv, stdin=stdin, timeout=3600,
                                    on_line=lambda stream, line: print(line, flush=True,
                                                                       file=sys.stdout if stream == 'out' else sys.stderr))
    return status or 0


def command_up(options):
    if standing_machine(options.name):
        raise SystemExit(f'machine {options.name} is up already')
    machine = Machine(machine_directory(options.name), options.image)
    for stale in machine.directory.glob('sent-*'):
        stale.unlink()
    seconds = machine.start(options.wheel, outlive_parent=True, say=report.say)
    report.say(f'machine {options.name} is up after {seconds:.1f} s; its console: {machine.console}')
    return 0


def command_down(options):
    machine = standing_machine(options.name)
    if not machine:
        raise SystemExit(f'no machine {options.name}')
    machine.stop()
    return 0


def command_list(options):
    for name in sorted({case.scenario for case in selection.cases(options.patterns)}):
        declared = selection.declarations(selection.SCENARIOS / f'{name}.py')
        variants = ' '.join(filter(None, declared['VARIANTS']))
        print(f"{name}  {variants}\n    {declared['doc'].splitlines()[0]}  [{', '.join(declared['LEDGER'])}]")
    return 0


def command_image(options):
    print(image.ensure(options.image, say=report.say))
    return 0


def machine_directory(name):
    return image.cache_root() / 'run' / name


def standing_machine(name):
    machine = Machine(machine_directory(name))
    return machine if machine.recorded_pid() else None


class _machine:
    """The machine of `up` with fresh code, or one that lives for this command only."""

    def __init__(self, options, flavour=None, machines=1):
        self.options, self.flavour, self.machines = options, flavour, machines
        # One that stands is alone.
        self.machine = standing_machine(options.name) if machines == 1 else None
        self.temporary = self.machine is None

    def __enter__(self):
        if self.temporary:
            self.machine = Machine.temporary(self.flavour, self.machines)
            self.machine.start(self.options.wheel, say=report.say)
        else:
            self.machine.connect()
            self.machine.refresh(self.options.wheel)
        return self.machine

    def __exit__(self, *details):
        if self.temporary:
            self.machine.stop()


def _in_turn(machine, cases, output):
    results = []
    for case in cases:
        report.say(f'== {case.name}')
        result = runner.run_case(machine, case)
        results.append(result)
        if result.status != report.PASSED:
            report.say(f'== evidence in {report.save(result, output)}')
    return results


def finish(results, output):
    report.save_all(results, output)
    medians.save(results, output)
    report.say(report.summary(results))
    return 1 if any(result.status == report.FAILED for result in results) else 0


if __name__ == '__main__':
    sys.exit(main())
