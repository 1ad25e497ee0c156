# SPDX-License-Identifier: Apache-2.0
"""Pages that list options, connection properties and protocols list those of the package, all of them."""

import importlib
import pathlib
import re
import subprocess
import sys

from oslo_config import cfg
from oslo_privsep import capabilities
import pytest

import os_brick
from os_brick import opts
from os_brick import privileged  # noqa: F401 registers [privsep_osbrick]
from os_brick.initiator import connector
from os_brick.initiator.connectors import lightos

TOP = pathlib.Path(__file__).parents[2]
DOCS = TOP / 'docs'
#: Names of oslo.config's types, as the pages say them.
TYPES = {'String': 'text', 'Integer': 'integer', 'Float': 'number', 'Boolean': 'boolean', 'HostAddress': 'host',
         'Port': 'port'}


def section(page, heading):
    parts = re.split(r'^##+ (.+)\n', (DOCS / page).read_text(), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))[heading]


def rows(text):
    """The cells of the tables of a text, without their heads."""
    found, in_body = [], False
    for line in text.splitlines():
        if not line.startswith('|'):
            in_body = False
        elif set(line) <= set('|-'):
            in_body = True
        elif in_body:
            found.append([cell.strip() for cell in line.split('|')[1:-1]])
    return found


def code(text):
    return re.findall(r'`([^`]+)`', text)


def kind(option):
    name = type(option.type).__name__
    least = getattr(option.type, 'min', None)
    return TYPES[name] if name == 'Port' or least is None else f'{TYPES[name]}, {least} or more'


def shown(value):
    return {'None': 'none', 'True': 'true', 'False': 'false'}.get(str(value), str(value))


def test_every_option_of_os_brick_is_listed_with_its_type_and_default():
    options = [option for listed in (opts.list_opts(), lightos.list_opts()) for group, found in listed
               for option in found if group == 'os_brick']
    assert [row[:3] for row in rows(section('options.md', 'os_brick'))] == [
        [f'`{option.name}`', kind(option), shown(option.default)] for option in options]


def test_the_options_of_privsep_are_listed_with_the_defaults_they_have_here():
    listed = {}
    for names, _type, default, *_rest in rows(section('options.md', 'privsep_osbrick')):
        listed.update((name, default) for name in code(names))
    group = cfg.CONF.privsep_osbrick
    assert sorted(listed) == sorted(group)
    names = (capabilities.CAPS_BYVALUE[number] for number in group.capabilities)
    values = {**group, 'capabilities': ', '.join(names)}
    assert listed == {name: shown(value) for name, value in values.items()}


@pytest.mark.parametrize('page, module', [
    ('iscsi.md', 'iscsi'), ('fibre-channel.md', 'fibre_channel'), ('nvmeof.md', 'nvmeof')])
def test_every_connection_property_the_engine_takes_is_listed(page, module):
    text = section(f'connectors/{page}', 'Connection properties')
    in_tables = {name for row in rows(text) for name in code(row[0])}
    known = set(importlib.import_module(f'os_brick.privileged.{module}').PROPERTIES)
    assert in_tables - known == set()
    prose = '\n'.join(line for line in text.splitlines() if not line.startswith('|'))
    assert known - in_tables - set(code(prose)) == set()


def test_the_index_of_connectors_has_every_protocol_and_its_class():
    text = (DOCS / 'connectors' / 'README.md').read_text()
    listed = {}
    for row in rows(text):
        protocols, classes = code(row[0]), code(row[1])
        if classes and classes[0].endswith('Connector'):
            listed.update(zip(protocols, classes if len(classes) == len(protocols) else classes * len(protocols)))
    mapping = connector.get_connector_mapping('x86_64')
    assert listed == {protocol: path.partition('connectors.')[2] for protocol, path in mapping.items()}


def consoles():
    for page in sorted(DOCS.rglob('*.md')):
        for block in re.findall(r'^```console\n(.*?)^```', page.read_text(), re.M | re.S):
            yield from ((page.name, *part.partition('\n')[::2]) for part in re.split(r'^\$ ', block, flags=re.M)[1:])


@pytest.mark.parametrize('page, command, output', list(consoles()))
def test_what_a_console_shows_is_what_happens(page, command, output):
    """Such blocks are there for commands of Python alone."""
    if pathlib.Path(os_brick.__file__).is_relative_to(TOP / 'python'):
        pytest.skip('the source tree is no installed package')
    program, option, text = re.fullmatch(r"(python3) (-c) '(.*)'", command).groups()
    found = subprocess.run([sys.executable, option, text], capture_output=True, text=True, check=True)
    assert found.stdout == output
