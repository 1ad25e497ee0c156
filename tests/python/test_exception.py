# SPDX-License-Identifier: Apache-2.0
import logging

import pytest

from oslo_concurrency import processutils as putils

from os_brick import exception


@pytest.mark.parametrize('name, fields, text', [
    ('BrickException', {}, 'An unknown exception occurred.'),
    ('NotFound', {}, 'Resource could not be found.'),
    ('Invalid', {}, 'Unacceptable parameters.'),
    ('InvalidParameterValue', {'err': 'target_lun: no'}, 'target_lun: no'),
    ('VolumeDeviceNotFound', {'device': '/dev/sda'}, 'Volume device not found at /dev/sda.'),
    ('VolumePathsNotFound', {}, 'Could not find any paths for the volume.'),
    ('VolumePathNotRemoved', {'volume_path': ['/dev/sda']},
     "Volume path ['/dev/sda'] was not removed in time."),
    ('TargetPortalNotFound', {'target_portal': 'P'}, 'Unable to find target portal P.'),
    ('TargetPortalsNotFound', {'target_portals': ['P', 'Q']},
     "Unable to find target portal in ['P', 'Q']."),
    ('FailedISCSITargetPortalLogin', {}, 'Unable to login to iSCSI Target Portal'),
    ('CommandExecutionFailed', {'cmd': 'multipath -l'},
     'Failed to execute command multipath -l'),
    ('VolumeEncryptionNotSupported', {'volume_id': 'v', 'volume_type': 'rbd'},
     'Volume encryption is not supported for rbd volume v.'),
])
def test_templates_are_filled_in(name, fields, text):
    exc = getattr(exception, name)(**fields)
    assert (str(exc), exc.msg, exc.args) == (text, text, (text,))


def test_codes_and_bases():
    assert exception.BrickException().kwargs == {'code': 500}
    assert exception.NotFound().kwargs == {'code': 404}
    assert exception.Invalid(code=499).kwargs == {'code': 499}
    assert issubclass(exception.TargetPortalsNotFound, exception.TargetPortalNotFound)
    assert issubclass(exception.ExecutionTimeout, putils.ProcessExecutionError)


def test_cf_01_unknown_protocol_is_a_value_error_only():
    assert issubclass(exception.InvalidConnectorProtocol, ValueError)
    assert not issubclass(exception.InvalidConnectorProtocol, exception.BrickException)


@pytest.mark.parametrize('args, kwargs', [
    (('given',), {}), ((), {'message': 'given'}), ((), {'msg': 'given'}),
    (('given',), {'msg': 'other'})])
def test_cf_08_a_given_text_wins(args, kwargs):
    assert str(exception.VolumeDeviceNotFound(*args, **kwargs)) == 'given'


def test_cf_08_sc_09_wrong_fields_log_and_fall_back_to_the_template(caplog):
    exc = exception.VolumeDeviceNotFound(path='/dev/sda')
    assert str(exc) == 'Volume device not found at %(device)s.'
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert 'VolumeDeviceNotFound' in caplog.text


@pytest.mark.parametrize('exc', [
    exception.VolumeDeviceNotFound(device='/dev/100%s'),
    exception.TargetPortalNotFound(target_portal='[fd00::1]:3260'),
    exception.InvalidParameterValue(err='50%')])
def test_exceptions_survive_the_way_back_from_the_daemon(exc):
    again = type(exc)(*exc.args)
    assert (str(again), again.msg) == (str(exc), exc.msg)


class TestExceptionChainer:
    """PX-13."""

    def test_empty_is_false_and_has_no_text(self):
        chain = exception.ExceptionChainer()
        assert not chain
        assert (str(chain), repr(chain)) == ('', '')

    def test_catching_stores_and_goes_on(self, caplog):
        chain = exception.ExceptionChainer()
        with chain.context(True, 'step %s failed', 'one'):
            raise ValueError('first')
        with chain.context(True):
            raise KeyError('second')
        assert chain
        assert [record.getMessage() for record in caplog.records] == ['step one failed']
        assert caplog.records[0].levelno == logging.WARNING
        text = str(chain)
        assert text.index('Chained Exception #1') < text.index('ValueError: first')
        assert text.index('ValueError: first') < text.index('Chained Exception #2')
        assert "KeyError: 'second'" in text
        assert text.count('Traceback (most recent call last)') == 2
        assert repr(chain) == text

    def test_not_catching_stores_and_raises(self):
        chain = exception.ExceptionChainer()
        with pytest.raises(ValueError, match='^boom$'):
            with chain.context(False, 'step failed'):
                raise ValueError('boom')
        assert chain

    def test_the_text_follows_later_exceptions(self):
        chain = exception.ExceptionChainer()
        chain.add_exception(ValueError, ValueError('first'), None)
        assert '#2' not in str(chain)
        chain.add_exception(ValueError, ValueError('second'), None)
        assert 'Chained Exception #2' in str(chain)

    def test_a_step_that_succeeds_leaves_no_trace(self):
        chain = exception.ExceptionChainer()
        with chain.context(True, 'never logged'):
            pass
        assert not chain

    def test_it_can_be_raised(self):
        chain = exception.ExceptionChainer()
        chain.add_exception(ValueError, ValueError('x'), None)
        with pytest.raises(exception.BrickException) as caught:
            raise chain
        assert caught.value is chain

    def test_a_text_from_the_daemon_is_shown(self):
        assert str(exception.ExceptionChainer('two unlinks failed')) == 'two unlinks failed'
