# SPDX-License-Identifier: Apache-2.0
"""A program `rbd` that keeps a table of mappings in a directory, with the links udev would make.

What must not live here: expectations, and imports at the head that slow the program down.
"""

import json
import os
import sys


class Program:
    """A program `rbd` in a directory of its own: a table of mappings, and the links udev would make."""

    def __init__(self, directory):
        self.directory = directory
        self.links = directory / 'dev-rbd'
        self.sys = directory / 'sys'
        self._table = directory / 'table.json'
        self._log = directory / 'log'
        (directory / 'bin').mkdir(parents=True)
        self.settings(udev=True, form='list', images=[], busy=[], fail=None)
        self._table.write_text('{}')
        program = directory / 'bin' / 'rbd'
        program.write_text(f'#!{sys.executable} -IS\n'
                           f'import sys\nsys.path.insert(0, {os.path.dirname(__file__)!r})\n'
                           f'import fake_rbd\nfake_rbd.program({str(directory)!r}, sys.argv[1:])\n')
        program.chmod(0o755)

    def settings(self, **changes):
        path = self.directory / 'settings.json'
        known = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps({**known, **changes}))

    def execute(self, *cmd, **kwargs):
        """Do what the program does, in this process: the `execute` of a caller that brings one."""
        import contextlib
        import io

        from oslo_concurrency import processutils as putils
        output = io.StringIO()
        try:
            with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
                program(str(self.directory), list(cmd[1:]))
        except SystemExit as end:
            raise putils.ProcessExecutionError(
                output.getvalue(), output.getvalue(), end.code, ' '.join(cmd)) from None
        return output.getvalue(), ''

    @property
    def mapped(self):
        """{'/dev/rbd0': 'pool/image'} of what is mapped."""
        return {entry['device']: '/'.join(filter(None, (
            entry['pool'], entry['namespace'], entry['name'])))
            + (f"@{entry['snap']}" if entry['snap'] != '-' else '')
            for entry in json.loads(self._table.read_text()).values()}

    @property
    def calls(self):
        """Every command: {'words', 'options', 'conf': its text, 'mode': its mode}."""
        if not self._log.exists():
            return []
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    def map_by_hand(self, pool, name, namespace='', snap='-'):
        table = json.loads(self._table.read_text())
        number = str(max(map(int, table), default=-1) + 1)
        table[number] = {'pool': pool, 'namespace': namespace, 'name': name, 'snap': snap,
                         'device': f'/dev/rbd{number}'}
        self._table.write_text(json.dumps(table))
        return f'/dev/rbd{number}'


def _parse(words):
    """Take a command line apart as rbd's own parser does for these commands."""
    names = {'--pool': 'pool', '--namespace': 'namespace', '--id': 'id', '--mon_host': 'mon_host',
             '--conf': 'conf', '-o': 'options', '--format': 'format'}
    positional, options, index = [], {}, 0
    while index < len(words):
        name, separator, value = words[index].partition('=')
        if name in names:
            if not separator:
                index += 1
                value = words[index]
            options.setdefault(names[name], []).append(value)
        elif words[index].startswith('-'):
            raise SystemExit(f'rbd: unknown option {words[index]}')
        else:
            positional.append(words[index])
        index += 1
    return positional, options


def program(directory, words):
    """What the program does; see Program."""
    def load(name):
        with open(os.path.join(directory, name)) as stream:
            return json.load(stream)

    settings, table = load('settings.json'), load('table.json')
    positional, options = _parse(words)
    seen = {'argv': words, 'words': positional, 'options': options}
    for conf in options.get('conf', ()):
        seen['mode'] = os.stat(conf).st_mode & 0o7777
        with open(conf) as stream:
            seen['conf'] = stream.read()
    with open(os.path.join(directory, 'log'), 'a') as log:
        log.write(json.dumps(seen) + '\n')
    verb = positional[0]
    if settings['fail'] == verb:
        print(f'rbd: {verb} failed', file=sys.stderr)
        sys.exit(22)
    run = {'map': _map, 'showmapped': _show, 'unmap': _unmap}[verb]
    run(directory, settings, table, positional[1:], options)
    with open(os.path.join(directory, 'table.json'), 'w') as stream:
        json.dump(table, stream)


def _map(directory, settings, table, words, options):
    image, _, snap = words[0].partition('@')
    pool, namespace = options['pool'][0], options.get('namespace', [''])[0]
    full = '/'.join(filter(None, (pool, namespace, words[0])))
    if full not in settings['images']:
        print(f'rbd: error opening image {full}', file=sys.stderr)
        sys.exit(2)
    number = str(max(map(int, table), default=-1) + 1)
    table[number] = {'pool': pool, 'namespace': namespace, 'name': image, 'snap': snap or '-',
                     'device': f'/dev/rbd{number}'}
    os.makedirs(os.path.join(directory, 'sys', number))
    with open(os.path.join(directory, 'sys', number, 'size'), 'w') as stream:
        stream.write('4096\n')
    if settings['udev']:
        device = os.path.join(directory, f'rbd{number}')
        with open(device, 'wb') as stream:
            stream.truncate(4096)
        link = os.path.join(directory, 'dev-rbd', full)
        os.makedirs(os.path.dirname(link), exist_ok=True)
        if os.path.lexists(link):
            os.unlink(link)
        os.symlink(device, link)
    print(f'/dev/rbd{number}')


def _show(directory, settings, table, words, options):
    if settings['form'] == 'dict':
        print(json.dumps(table))
    else:
        print(json.dumps([{'id': number, **entry} for number, entry in table.items()]))


def _unmap(directory, settings, table, words, options):
    number = next((number for number, entry in table.items() if entry['device'] == words[0]), None)
    if number is None:
        print(f'rbd: {words[0]} is not mapped', file=sys.stderr)
        sys.exit(22)
    if words[0] in settings['busy'] and options.get('options') != ['force']:
        print('rbd: sysfs write failed: (16) Device or resource busy', file=sys.stderr)
        sys.exit(16)
    del table[number]
    device = os.path.join(directory, f'rbd{number}')
    if os.path.exists(device):
        os.unlink(device)
