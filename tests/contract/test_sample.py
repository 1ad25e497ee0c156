# SPDX-License-Identifier: Apache-2.0
"""The sample configuration that oslo-config-generator writes for a service: upstream's options, and ours after them."""

import re
import subprocess
import sys

import pytest

import upstream

GENERATOR = 'import sys; from oslo_config import generator; generator.main(sys.argv[1:])'


def generate(python, *namespaces):
    words = [word for namespace in namespaces for word in ('--namespace', namespace)]
    run = subprocess.run([python, '-I', '-W', 'ignore', '-c', GENERATOR, *words], capture_output=True, text=True, cwd='/',
                         timeout=100)
    assert run.returncode == 0, run.stderr
    return run.stdout


def sections(text):
    """{section: {option: (type, bounds and choices, the line an operator would uncomment)}}, without the help."""
    found, options, comment = {}, None, []
    for line in text.splitlines():
        if header := re.fullmatch(r'\[(\w+)\]', line):
            options, comment = found.setdefault(header[1], {}), []
        elif setting := re.match(r'#(\w+) = ', line):
            # The type ends the help; what stands behind it is the generator's own.
            facts = re.search(r'\(([^()]+\svalue)\)((?:\n.*)*)$', '\n'.join(comment))
            kind = ' '.join(facts[1].split())
            options[setting[1]], comment = (kind, facts[2].split('\n')[1:], line), []
        elif line.startswith('# '):
            comment.append(line[2:])
        else:
            comment = []
    return found


@pytest.fixture(scope='module')
def samples():
    """Services name oslo.concurrency, too: without it upstream's set_defaults fails (see below)."""
    namespaces = ('oslo.concurrency', 'os_brick', 'os_brick.lightos')
    return {name: sections(generate(python, *namespaces))
            for name, python in (('theirs', upstream.python()), ('ours', sys.executable))}


def test_the_parser_reads_upstreams_sample(samples):
    assert samples['theirs']['os_brick'] == {
        'lock_path': ('string value', [], '#lock_path = <None>'),
        'wait_mpath_device_attempts': ('integer value', ['Minimum value: 1'], '#wait_mpath_device_attempts = 4'),
        'wait_mpath_device_interval': ('integer value', ['Minimum value: 1'], '#wait_mpath_device_interval = 1'),
        'lightos_discovery_client_address': ('host address value', [], '#lightos_discovery_client_address = localhost'),
        'lightos_discovery_client_port': ('port value', ['Minimum value: 0', 'Maximum value: 65535'],
                                          '#lightos_discovery_client_port = 6060'),
        'lightos_discovery_client_dir_path': (
            'string value', [], '#lightos_discovery_client_dir_path = /etc/discovery-client/discovery.d/'),
    }


def test_every_section_is_upstreams_and_ours_only_adds_options(samples, theirs, ours):
    added = [name for name in ours['options']['os_brick'] if name not in theirs['options']['os_brick']]
    mine = {section: dict(options) for section, options in samples['ours'].items()}
    extra = [name for name in mine['os_brick'] if name not in samples['theirs']['os_brick']]
    for name in extra:
        del mine['os_brick'][name]
    assert mine == samples['theirs']
    assert list(mine['os_brick']) == list(samples['theirs']['os_brick'])
    assert extra == [name for name in added if name not in samples['theirs']['os_brick']]


@pytest.mark.parametrize('namespaces', [('os_brick',), ('os_brick.lightos',), ('os_brick', 'os_brick.lightos')])
def test_a_sample_needs_no_other_namespace(namespaces):
    """Upstream's fails: it reads an option of oslo.concurrency that nobody has registered."""
    assert list(sections(generate(sys.executable, *namespaces))) == ['DEFAULT', 'os_brick']
