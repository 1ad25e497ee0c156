# SPDX-License-Identifier: Apache-2.0
"""An account only root may read: it reaches the service and none of the logs, which are at debug."""

import pytest

READ = 'os_brick.privileged.scaleio:get_connector_username_password'
SECRET = 'not-to-be-seen'


@pytest.fixture
def conf(service):
    path = service.directory / 'connector.conf'
    path.write_text(f'[backend]\nsan_username = me\nsan_password = {SECRET}\n')
    path.chmod(0o600)
    return str(path)


def test_si_14_the_password_is_read_and_not_logged(service, conf):
    answer = service.call(READ, conf, 'backend', False)
    assert answer.value == ('me', SECRET)
    assert SECRET not in repr(answer.log)
    service.errors.flush()
    assert SECRET not in (service.directory / 'stderr').read_text()


def test_si_14_nor_in_an_error(service, conf):
    answer = service.call(READ, conf, 'backend', True)
    assert (answer.error, answer.text) == (
        'os_brick.exception.BrickException',
        f'there is no replicating_san_password in the section backend of {conf}')
    assert SECRET not in repr(answer)
