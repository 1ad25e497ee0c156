# SPDX-License-Identifier: Apache-2.0
"""A compute host of a test cloud and the service on it."""

import pytest

import machine
import service as services


@pytest.fixture(scope='module')
def host(tmp_path_factory):
    """A host with volumes that work, one with a path down, and what a killed detach left."""
    return machine.compute_host(tmp_path_factory.mktemp('host'))


@pytest.fixture(scope='module')
def service(host):
    """The service on that host, as root of it."""
    with services.running(host.root, '--debug', '--request-timeout', '2') as running:
        yield running
