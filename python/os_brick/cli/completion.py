# SPDX-License-Identifier: Apache-2.0
"""`os-brick completion`: a script that lets a shell complete the commands and their options, made from the parser."""

import argparse
from collections.abc import Iterator
from typing import Any, Callable

#: How shtab is told that an argument is a file.
_FILE = {'bash': '_shtab_compgen_files', 'zsh': '_files'}

_EXAMPLES = """\
  source <(os-brick completion bash)
  os-brick completion bash > /etc/bash_completion.d/os-brick
  os-brick completion zsh > /usr/local/share/zsh/site-functions/_os-brick
"""


def add(verb: Callable[..., argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = verb('completion', 'the completion script of a shell', run, show, _EXAMPLES)
    parser.add_argument('shell', choices=('bash', 'zsh'), metavar='SHELL', help='bash or zsh')


def _mark_files(parser: argparse.ArgumentParser) -> None:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for sub in action.choices.values():
                _mark_files(sub)
        elif action.metavar == 'FILE':
            action.complete = _FILE  # type: ignore[attr-defined]


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Make the script.

    :raises ImportError: shtab is not installed
    """
    try:
        import shtab
    except ImportError:
        raise ImportError('completion needs shtab: pip install "os-brick[cli]"') from None
    from os_brick import cli
    parser = cli.parser()
    _mark_files(parser)
    return {'shell': arguments.shell, 'script': shtab.complete(parser, arguments.shell)}


def show(result: dict[str, Any]) -> Iterator[str]:
    """Give the script."""
    yield result['script'].rstrip('\n')
