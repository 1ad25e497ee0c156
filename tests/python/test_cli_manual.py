# SPDX-License-Identifier: Apache-2.0
"""What is made from the parser of `os-brick`: its manual page, the help and the completion of shells."""

import argparse
import json
import os
import pathlib
import subprocess
import sys

import pytest

from os_brick import cli
from os_brick.cli import ending
from os_brick.cli import manual

TOP = pathlib.Path(__file__).parents[2]
PAGE = TOP / 'packaging/data/data/share/man/man1/os-brick.1'


def commands():
    parser = cli.parser()
    action, = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return action.choices


def test_the_manual_page_is_the_parsers():
    """`python -m os_brick.cli.manual > packaging/data/data/share/man/man1/os-brick.1` when it is not."""
    assert PAGE.read_text().splitlines() == list(manual.page())


def test_the_manual_page_is_well_formed():
    done = subprocess.run(['groff', '-man', '-ww', '-Tutf8', '-z', PAGE], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')


def test_modules_of_commands_are_in_order():
    names = [module.__name__ for module in cli._MODULES]
    assert names == sorted(names)


def test_every_command_has_json_help_and_examples(capsys):
    found = commands()
    assert {'attach', 'completion', 'detach', 'doctor', 'orphans', 'paths', 'properties', 'tree', 'volumes'} <= set(found)
    for name, parser in found.items():
        with pytest.raises(SystemExit) as ended:
            cli.main([name, '--help'])
        text = capsys.readouterr().out
        assert ended.value.code == 0
        assert '--json' in text and f'os-brick {name}' in text.partition('examples:\n')[2], name
        assert parser.get_default('run') and parser.get_default('show')


def test_help_and_pages_have_the_exit_codes(capsys):
    with pytest.raises(SystemExit):
        cli.main(['--help'])
    text = capsys.readouterr().out
    page = (TOP / 'docs/cli.md').read_text()
    for code, meaning in ending.MEANINGS:
        assert f'{code:<9}{meaning}' in text
        assert f'| {code} |' in page


def test_the_page_in_docs_names_every_command():
    page = (TOP / 'docs/cli.md').read_text()
    assert [name for name in commands() if f'`os-brick {name}' not in page] == []


def completed(script, line):
    """What bash offers for a line."""
    words = line.split(' ')
    ask = (f'{script}\nCOMP_WORDS=({" ".join(words)} "")\nCOMP_CWORD={len(words)}\n'
           f'COMP_LINE={line!r}" "\nCOMP_POINT={len(line) + 1}\n'
           '$(complete -p os-brick | sed "s/.*-F \\([^ ]*\\).*/\\1/") os-brick "" ""\nprintf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(['bash', '--norc'], input=ask, capture_output=True, text=True, timeout=60)
    assert done.stderr == ''
    return {word.strip() for word in done.stdout.split()}


def test_bash_completes_commands_and_options(capsys):
    assert cli.main(['completion', 'bash']) == 0
    script = capsys.readouterr().out
    assert set(commands()) <= completed(script, 'os-brick')


def test_zsh_takes_its_script(capsys):
    assert cli.main(['completion', 'zsh']) == 0
    script = capsys.readouterr().out
    done = subprocess.run(['zsh', '-n'], input=script, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, '')


def test_the_script_as_json(capsys):
    assert cli.main(['completion', '--json', 'zsh']) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found['shell'], found['script'].splitlines()[0]) == ('zsh', '#compdef os-brick')


def test_without_shtab_its_extra_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'shtab', None)
    assert cli.main(['completion', 'bash']) == 1
    assert capsys.readouterr().err == 'os-brick: completion needs shtab: pip install "os-brick[cli]"\n'


def test_the_program_runs_without_its_extras():
    done = subprocess.run([sys.executable, '-W', 'ignore', '-c',
                           'import sys; from os_brick import cli; cli.main(["volumes"]); '
                           'sys.exit(any(name in sys.modules for name in ("rich", "shtab")))'],
                          capture_output=True, text=True,
                          env={**os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, sys.path))})
    assert (done.returncode, done.stderr) == (0, '')
