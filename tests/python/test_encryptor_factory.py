# SPDX-License-Identifier: Apache-2.0
import logging

import pytest

from os_brick import encryptors
from os_brick import exception
from os_brick.encryptors import base
from os_brick.encryptors import cryptsetup
from os_brick.encryptors import luks
from os_brick.encryptors import nop

PATH = '/dev/disk/by-id/os-brick+dev+none-1'


def make(device_path=PATH, **kwargs):
    info = {'driver_volume_type': 'iscsi', 'serial': 'volume-1',
            'data': {'device_path': device_path, 'deep': [{'auth_password': 'hunter2'}]}}
    return encryptors.get_volume_encryptor(root_helper='sudo', connection_info=info,
                                           keymgr='keys', **kwargs)


class OutOfTree(nop.NoOpEncryptor):
    """An encryptor of somebody else's."""


@pytest.mark.parametrize('provider, cls', [
    ('luks', luks.LuksEncryptor), ('luks2', luks.Luks2Encryptor),
    ('plain', cryptsetup.CryptsetupEncryptor), (None, nop.NoOpEncryptor)])
@pytest.mark.parametrize('location', ['front-end', 'Front-End'])
def test_formats(provider, cls, location, caplog):
    made = make(provider=provider, control_location=location, encryption_key_id='key-1')
    assert type(made) is cls
    assert (made._root_helper, made._key_manager, made.encryption_key_id) == ('sudo', 'keys', 'key-1')
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert warnings == []


@pytest.mark.parametrize('provider, cls', [
    ('nova.volume.encryptors.luks.LuksEncryptor', luks.LuksEncryptor),
    ('nova.volume.encryptors.cryptsetup.CryptsetupEncryptor', cryptsetup.CryptsetupEncryptor),
    ('nova.volume.encryptors.nop.NoopEncryptor', nop.NoOpEncryptor),
    ('os_brick.encryptors.luks.LuksEncryptor', luks.LuksEncryptor),
    ('os_brick.encryptors.cryptsetup.CryptsetupEncryptor', cryptsetup.CryptsetupEncryptor),
    ('os_brick.encryptors.nop.NoopEncryptor', nop.NoOpEncryptor),
    ('LuksEncryptor', luks.LuksEncryptor), ('CryptsetupEncryptor', cryptsetup.CryptsetupEncryptor),
    ('NoOpEncryptor', nop.NoOpEncryptor)])
def test_en_14_names_of_classes(provider, cls, caplog):
    assert type(make(provider=provider, control_location='front-end')) is cls
    assert f'The encryption provider {provider} is the name of a class' in caplog.text


def test_other_classes(caplog):
    assert type(make(provider=f'{__name__}.OutOfTree', control_location='front-end')) is OutOfTree
    assert 'OutOfTree is not part of os-brick' in caplog.text
    with pytest.raises(ImportError):
        make(provider='nobody.Knows', control_location='front-end')
    assert 'Error instantiating nobody.Knows' in caplog.text


@pytest.mark.parametrize('location', [None, '', 'back-end'])
def test_en_15_the_storage_encrypts(location):
    made = make(device_path=None, provider='luks', control_location=location, cipher='c', key_size=1, more=2)
    assert type(made) is nop.NoOpEncryptor
    assert made.attach_volume('context', provider='luks', key_size=1) is None
    assert made.extend_volume('context', provider='luks') is None
    assert made.detach_volume(provider='luks') is None


def test_secrets_are_masked(debug_log):
    make(provider='luks', control_location='front-end')
    assert 'Using volume encryptor' in debug_log.text
    assert PATH in debug_log.text
    assert 'hunter2' not in debug_log.text


def test_the_base_is_abstract():
    with pytest.raises(TypeError):
        base.VolumeEncryptor('sudo', {}, None)


class Api:
    """Cinder's client."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = []

    def get_volume_encryption_metadata(self, context, volume_id):
        self.asked.append((context, volume_id))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class TestMetadata:

    def test_encrypted(self, debug_log):
        metadata = {'provider': 'luks', 'encryption_key_id': 'key-1'}
        api = Api(metadata)
        info = {'data': {'encrypted': True, 'auth_password': 'hunter2'}}
        assert encryptors.get_encryption_metadata('context', api, 'volume-1', info) is metadata
        assert api.asked == [('context', 'volume-1')]
        assert 'hunter2' not in debug_log.text

    @pytest.mark.parametrize('info', [{}, {'data': {}}, {'data': {'encrypted': False}}])
    def test_not_encrypted(self, info):
        api = Api({'provider': 'luks'})
        assert encryptors.get_encryption_metadata('context', api, 'volume-1', info) == {}
        assert api.asked == []

    @pytest.mark.parametrize('answer', [{}, None])
    def test_without_metadata(self, answer, caplog):
        info = {'data': {'encrypted': True}}
        assert encryptors.get_encryption_metadata('context', Api(answer), 'volume-1', info) == {}
        assert 'Volume volume-1 should be encrypted but there is no encryption metadata.' in caplog.text

    def test_errors_go_on(self, caplog):
        info = {'data': {'encrypted': True}}
        with pytest.raises(exception.NotFound):
            encryptors.get_encryption_metadata('context', Api(exception.NotFound()), 'volume-1', info)
        assert 'Failed to retrieve encryption metadata for volume volume-1' in caplog.text
