# SPDX-License-Identifier: Apache-2.0
"""Options, contexts and setup (CF-11, LK-02, PX-07, PX-08)."""

import logging

import pytest

from oslo_concurrency import lockutils  # noqa: F401 registers [oslo_concurrency]
from oslo_config import cfg
from oslo_privsep import capabilities

import os_brick
from os_brick import opts
from os_brick import privileged


def test_cf_11_options_and_defaults_live_in_one_group():
    (group, options), = opts.list_opts()
    assert group == 'os_brick'
    assert {option.name: option.default for option in options} == {
        'lock_path': None, 'wait_mpath_device_attempts': 4, 'wait_mpath_device_interval': 1,
        'portal_grace_period': 2.0, 'enforce_identity': False, 'attachment_record_path': None,
        'luks_format_stale_volumes': False}


@pytest.mark.parametrize('name, value', [
    ('portal_grace_period', -0.1), ('wait_mpath_device_attempts', 0),
    ('wait_mpath_device_interval', 0)])
def test_bounds(configured, name, value):
    with pytest.raises(ValueError):
        configured.set_override(name, value, group='os_brick')


def test_lk_02_setup_takes_the_services_lock_path_and_can_be_repeated(configured):
    configured.clear_override('lock_path', group='os_brick')
    configured.set_override('lock_path', '/service/one', group='oslo_concurrency')
    os_brick.setup(configured)
    assert configured.os_brick.lock_path == '/service/one'
    configured.set_override('lock_path', '/service/two', group='oslo_concurrency')
    os_brick.setup(configured)
    assert configured.os_brick.lock_path == '/service/two'
    configured.set_default('lock_path', None, group='os_brick')


def test_setup_warns_of_unknown_arguments(configured, caplog):
    os_brick.setup(configured, shiny=True)
    assert 'shiny' in caplog.text


def test_contexts_have_their_deployed_names():
    assert privileged.default.pypath == 'os_brick.privileged.default'
    assert privileged.brick_privsep_hide_output.pypath == (
        'os_brick.privileged.brick_privsep_hide_output')
    assert privileged.default.cfg_section == 'privsep_osbrick'
    assert privileged.brick_privsep_hide_output.cfg_section == 'privsep_osbrick'


def test_px_07_px_08_capabilities_and_loggers():
    section = cfg.CONF.privsep_osbrick
    assert privileged.capabilities == [capabilities.CAP_SYS_ADMIN,
                                       capabilities.CAP_DAC_READ_SEARCH]
    assert set(section.capabilities) == set(privileged.capabilities)
    assert privileged.default.conf.logger_name == 'os_brick.privileged'
    hidden = privileged.brick_privsep_hide_output.conf
    assert hidden.logger_name == 'brick_privsep_hide_output'
    assert set(hidden.capabilities) == set(privileged.capabilities)
    assert section.thread_pool_size == 32


def test_credentials_context_logs_errors_only():
    assert logging.getLogger('brick_privsep_hide_output').level == logging.ERROR
