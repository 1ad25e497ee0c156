# SPDX-License-Identifier: Apache-2.0
"""What the pages name exists: commands, paths, messages, each other.  Links between pages are Sphinx's (`tox -e docs`)."""

import functools
import pathlib
import re
import subprocess

import pytest

TOP = pathlib.Path(__file__).parents[2]
DOCS = TOP / 'docs'
FRONT = ('README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'tests/lab/README.md')
PAGES = sorted([TOP / name for name in FRONT] + list(DOCS.rglob('*.md')))
#: Texts of other libraries.
FOREIGN = {'RequiredOptError', 'value required for option lock_path', 'privsep helper command exited non-zero'}

by_page = pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(TOP)))


def make_targets():
    return set(re.findall(r'^\.PHONY: (\S+)', (TOP / 'Makefile').read_text(), re.M))


def environments():
    return set(re.findall(r'^\[testenv:(\w+)\]', (TOP / 'tox.ini').read_text(), re.M))


def commands(text):
    """The commands of a page: in code spans, and in lines of fenced blocks."""
    blocks = re.findall(r'^```\w*\n(.*?)^```', text, re.M | re.S)
    # A span may go over the end of a line.
    spans = re.findall(r'`([^`]+)`', re.sub(r'^```.*?^```', '', text, flags=re.M | re.S))
    lines = [line.removeprefix('$ ') for block in blocks for line in block.splitlines()]
    return [span.replace('\n', ' ') for span in spans] + lines


@by_page
def test_targets_and_environments_exist(page):
    found = commands(page.read_text())
    targets = {match[1] for command in found if (match := re.match(r'make ([a-z-]+)(?=$|\s|;)', command))}
    named = {name for command in found if (match := re.search(r'\btox -e ([\w,]+)', command))
             for name in match[1].split(',')}
    assert targets - make_targets() == set()
    assert named - environments() - {'NAME'} == set()


def test_make_demo_knows_every_demonstration_and_refuses_others():
    def make(transport):
        return subprocess.run(['make', '--dry-run', 'demo', f'TRANSPORT={transport}'], cwd=TOP, capture_output=True, text=True)

    shown = [re.search(r'-e demo -- (\S+)$', make(transport).stdout, re.M)[1] for transport in ('iscsi', 'fc', 'nvme')]
    assert sorted(shown) == sorted(f'demo/{path.stem}' for path in (TOP / 'tests/lab/scenarios/demo').glob('*.py'))
    for refused in ('', 'ib', 'fc nvme', 'fibre_channel'):
        answer = make(refused)
        assert f'TRANSPORT={refused}: it must be iscsi, fc or nvme.' in answer.stderr
        assert (answer.returncode, answer.stdout) == (2, '')


@by_page
def test_named_files_of_the_repository_exist(page):
    text = page.read_text()
    named = re.findall(r'`((?:src|python|tests|docs|releasenotes|packaging)/[\w./-]*\w)/?(?=[`:])', text)
    assert sorted(name for name in set(named) if not (TOP / name).exists()) == []


@pytest.mark.parametrize('name', FRONT)
def test_links_outside_the_built_pages_lead_somewhere(name):
    """Sphinx reads docs/ alone."""
    page = TOP / name
    links = re.findall(r'\]\(([^)\s#]+)(?:#[^)]*)?\)', page.read_text())
    assert sorted(link for link in links if '://' not in link and not (page.parent / link).exists()) == []


@pytest.mark.parametrize('directory', ['', 'connectors'])
def test_an_index_leads_to_every_page(directory):
    index = (DOCS / directory / 'README.md').read_text()
    pages = {path.name for path in (DOCS / directory).glob('*.md')} - {'README.md'}
    assert pages - set(re.findall(r'\]\(([^)#]+)', index)) == set()


@functools.cache
def sources():
    """All texts of the source on one line each: Python's are joined from their parts, placeholders are gone."""
    texts = []
    for path in (TOP / 'python').rglob('*.py'):
        text = re.sub(r"""['"]\s*\n\s*f?['"]""", '', path.read_text())
        texts.append(text.replace("\\'", "'"))
    texts += [path.read_text() for path in (TOP / 'src').rglob('*.rs')]
    return '\n'.join(texts)


def messages():
    """The first column of the tables of messages: (section, message)."""
    sections = re.split(r'^## (.+)\n', (DOCS / 'troubleshooting.md').read_text(), flags=re.M)
    for section, text in zip(sections[1::2], sections[2::2]):
        table = text.partition('| Message |')[2]
        for line in table.splitlines()[2:]:
            if line.startswith('|'):
                yield from ((section, message) for message in re.findall(r'`([^`]+)`', line.split('|')[1]))


def test_messages_of_troubleshooting_are_raised_or_logged():
    found = [message for _section, message in messages() if message not in FOREIGN]
    assert len(found) > 60
    unknown = []
    for message in found:
        parts = [part.strip() for part in message.split('...')]
        if not all(part in sources() for part in parts):
            unknown.append(message)
    assert unknown == []
