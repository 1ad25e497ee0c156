# SPDX-License-Identifier: Apache-2.0
"""What is in the wheel and what it says about itself."""

import email
import re
import zipfile

import pytest

from packaging import specifiers
from packaging import utils


@pytest.fixture(scope='module')
def names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def read(wheel, end):
    with zipfile.ZipFile(wheel) as archive:
        name, = (name for name in archive.namelist() if name.endswith(end))
        return archive.read(name).decode()


@pytest.fixture(scope='module')
def metadata(wheel):
    return email.message_from_string(read(wheel, '.dist-info/METADATA'))


def test_one_wheel_serves_every_python_from_3_11(wheel):
    name, _, _, tags = utils.parse_wheel_filename(wheel.name)
    assert name == 'os-brick'
    assert {(tag.interpreter, tag.abi) for tag in tags} == {('cp311', 'abi3')}
    assert all(re.match(r'manylinux_2_\d+_\w+|linux_\w+', tag.platform) for tag in tags)


def test_the_version_satisfies_what_services_ask_for(metadata):
    assert re.fullmatch(r'7\.1\.1\+rs\d+', metadata['Version'])
    for wanted in ('>=6.10.0', '==7.1.1', '<8'):
        assert specifiers.SpecifierSet(wanted).contains(metadata['Version'])


def test_the_extension_is_private_and_typed(names):
    extensions = {name for name in names if name.endswith('.so')}
    assert extensions == {'os_brick/_engine.abi3.so'}
    assert 'os_brick/py.typed' in names
    assert {name for name in names if name.endswith('.pyi')} == {
        f'os_brick/_engine/{part}.pyi' for part in (
            '__init__', 'fibre_channel', 'inventory', 'iscsi', 'nvmeof', 'scsi', 'test_support')}


def test_nothing_strange_is_packed(names):
    allowed = re.compile(r'os_brick/.*\.(py|pyi|typed|so)|os_brick-[^/]+\.dist-info/.*|'
                         r'os_brick/verify/openapi\.json|os_brick/verify/page/\w+\.(html|css|js|svg)|'
                         r'os_brick-[^/]+\.data/data/(etc/os-brick/rootwrap\.d/os-brick\.filters|'
                         r'share/man/man1/os-brick\.1)')
    assert sorted(name for name in names if not allowed.fullmatch(name)) == []


def test_what_the_tests_of_consumers_import_is_packed(names):
    """Cinder's tests of its StorPool driver take a configuration from here."""
    assert {name for name in names if name.startswith('os_brick/tests/')} == {
        'os_brick/tests/__init__.py', 'os_brick/tests/initiator/__init__.py',
        'os_brick/tests/initiator/test_storpool_utils.py'}


def test_the_rootwrap_filters_and_the_manual_page_are_data(names):
    assert sorted(name.partition('.data/')[2] for name in names if '.data/' in name) == [
        'data/etc/os-brick/rootwrap.d/os-brick.filters', 'data/share/man/man1/os-brick.1']


def test_what_only_the_command_uses_is_an_extra(metadata):
    extra = {re.match(r'[\w-]+', line)[0] for line in metadata.get_all('Requires-Dist') if 'extra ==' in line
             and 'cli' in line.partition('extra ==')[2]}
    assert extra == {'rich', 'shtab'}


def test_the_entry_points_are_upstreams_and_the_command(wheel):
    lines = [line.strip().replace(' ', '') for line in read(wheel, '/entry_points.txt').splitlines() if line.strip()]
    groups, current = {}, None
    for line in lines:
        if line.startswith('['):
            current = groups.setdefault(line.strip('[]'), set())
        else:
            current.add(line)
    assert groups == {
        'oslo.config.opts': {'os_brick=os_brick.opts:list_opts',
                             'os_brick.lightos=os_brick.initiator.connectors.lightos:list_opts'},
        'oslo.config.opts.defaults': {'os_brick=os_brick.opts:set_defaults'},
        'console_scripts': {'os-brick=os_brick.cli:main'},
    }


def test_licence_and_python(metadata):
    assert metadata['License-Expression'] == 'Apache-2.0'
    assert metadata['Requires-Python'] == '>=3.11'
