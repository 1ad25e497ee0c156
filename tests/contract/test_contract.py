# SPDX-License-Identifier: Apache-2.0
"""Whoever imports, configures or packages upstream 7.1.1 finds the same in ours."""

import pathlib
import re
import tomllib

import pytest

import compare

ACCEPTED = pathlib.Path(__file__).with_name('accepted.toml')


@pytest.fixture(scope='module')
def accepted():
    return tomllib.loads(ACCEPTED.read_text())


@pytest.fixture(scope='module')
def problems(theirs, ours):
    found = compare.compare(theirs['modules'], ours['modules'])
    missing = sum(problem is not None for problem in found.values())
    print(f'contract: {len(found) - missing} of {len(found)} names match')
    assert len(found) > 1000
    return {name: problem for name, problem in found.items() if problem}


def test_names_signatures_values_and_bases_are_upstreams(problems, accepted):
    assert {name: problem for name, problem in problems.items() if name not in accepted['differences']} == {}


def test_no_acceptance_is_left_over(problems, accepted):
    """What matches again needs no line in accepted.toml."""
    assert [name for name in accepted['differences'] if name not in problems] == []


def test_every_acceptance_has_its_reason(accepted):
    assert all(len(reason) > 20 for reason in accepted['differences'].values())


def test_private_names_consumers_use_are_compared(theirs):
    found = compare.compare(theirs['modules'], {})
    assert compare.PRIVATE_BUT_USED - set(found) == {'os_brick.executor.Executor._root_helper'}


def test_an_executor_has_the_attributes_consumers_read():
    """They are made by the constructor, so no class shows them."""
    from os_brick import executor
    made = executor.Executor('sudo', execute=print)
    assert (made._root_helper, made._Executor__execute) == ('sudo', print)


def test_options_are_upstreams(theirs, ours, accepted):
    missing = {}
    for group, options in theirs['options'].items():
        for name, option in options.items():
            full = f'[{group}] {name}'
            if ours['options'].get(group, {}).get(name) != option and full not in accepted['options']:
                missing[full] = ours['options'].get(group, {}).get(name)
    assert missing == {}


def test_privsep_contexts_are_upstreams(theirs, ours):
    def without_logger(described):
        return {name: {key: value for key, value in context.items() if key != 'logger'}
                for name, context in described['contexts'].items()}
    assert without_logger(ours) == without_logger(theirs)


def test_only_the_hidden_context_has_the_hidden_logger(ours):
    """Upstream's two contexts share one option, and the first registered wins (PX-08)."""
    assert {name: context['logger'] for name, context in ours['contexts'].items()} == {
        'default': 'os_brick.privileged', 'brick_privsep_hide_output': 'brick_privsep_hide_output'}


def test_entry_points_are_upstreams(theirs, ours):
    added = ['console_scripts: os-brick = os_brick.cli:main']
    assert ours['distribution']['entry points'] == sorted(theirs['distribution']['entry points'] + added)


def test_the_data_file_is_where_upstream_has_it(theirs, ours):
    assert ours['distribution']['files'] == theirs['distribution']['files']


def test_the_data_file_filters_upstreams_command_and_that_of_the_other_context(theirs, ours):
    def lines(described):
        text = described['distribution']['data']['os-brick/rootwrap.d/os-brick.filters']
        return [' '.join(line.split()) for line in text.splitlines() if line.strip() and not line.startswith('#')]
    section, default = lines(theirs)
    other = default.replace('privsep-rootwrap:', 'privsep-rootwrap-hide-output:').replace(
        'os_brick.privileged.default', 'os_brick.privileged.brick_privsep_hide_output')
    assert lines(ours) == [section, default, other]


def test_no_requirement_is_added(theirs, ours):
    def names(described):
        return {re.match(r'[\w.-]+', line)[0].lower().replace('.', '-')
                for line in described['distribution']['requires'] if 'extra ==' not in line}
    assert names(theirs) and names(ours) <= names(theirs)
