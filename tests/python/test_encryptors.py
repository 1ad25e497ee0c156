# SPDX-License-Identifier: Apache-2.0
"""Encryptors over the real cryptsetup, on a host whose devices are files."""

import os
import threading

import encrypted_host
from encrypted_host import attach
from encrypted_host import format_disk
from encrypted_host import Key
from encrypted_host import make
from encrypted_host import mapping
from encrypted_host import PASSPHRASE
import pytest

from oslo_concurrency import processutils as putils

from os_brick import exception
from os_brick.encryptors import cryptsetup
from os_brick.encryptors import luks
from os_brick.encryptors import nop

FIRST_ATTACH = ['cryptsetup luksOpen', 'cryptsetup isLuks', 'cryptsetup isLuks', 'blockdev', 'dd', 'dd', 'blkid', 'cmp',
                'cryptsetup luksFormat', 'cryptsetup luksOpen', 'ln']


@pytest.fixture
def host(tmp_path, monkeypatch):
    return encrypted_host.install(tmp_path, monkeypatch)


class TestAttach:

    def test_a_formatted_volume(self, host):
        content = format_disk(host)
        encryptor = attach(host)
        assert host.commands == [
            f'cryptsetup luksOpen --key-file=- {host.disk} {mapping(host)}',
            f'ln --symbolic --force {host.mapper}/{mapping(host)} {host.link}']
        assert host.stdin == [PASSPHRASE, None]
        assert host.disk.read_bytes() == content
        assert os.readlink(host.link) == f'{host.mapper}/{mapping(host)}'
        assert encryptor._key_manager.asked == [('context', 'key-1')]

    def test_en_01_the_mapping_is_not_named_like_the_link(self, host):
        assert make(host).dev_name == mapping(host)
        assert host.commands == []

    @pytest.mark.parametrize('provider, version', [('luks', '1'), ('luks2', '2')])
    def test_en_09_a_new_volume_is_formatted_as_the_version_asked_for(self, host, provider, version):
        attach(host, provider)
        assert host.verbs() == FIRST_ATTACH
        formats = [line for line in host.commands if 'luksFormat' in line]
        assert formats == [f'cryptsetup --batch-mode luksFormat --type luks{version} --key-file=- {host.disk}']
        assert host.options[host.commands.index(formats[0])] == {'check_exit_code': True, 'attempts': 3}
        _code, dump, _err = host._program(('cryptsetup', 'luksDump', str(host.disk)), {})
        assert dump.split('Version:')[1].split()[0] == version

    def test_the_cipher_of_the_metadata(self, host):
        attach(host, cipher='aes-cbc-essiv:sha256', key_size=256, provider='luks', control_location='front-end')
        _code, dump, _err = host._program(('cryptsetup', 'luksDump', str(host.disk)), {})
        assert {'cbc-essiv:sha256', '256'} < set(dump.split())

    @pytest.mark.parametrize('metadata, text', [
        ({'cipher': 5}, 'cipher must be a name, not 5'), ({'cipher': ''}, "cipher must be a name, not ''"),
        ({'key_size': 'big'}, "key_size must be a number of bits, not 'big'"),
        ({'key_size': -1}, 'key_size must be a number of bits, not -1'),
        ({'key_size': 0}, 'key_size must be a number of bits, not 0')])
    @pytest.mark.parametrize('provider', ['luks', 'plain'])
    def test_metadata_without_sense(self, host, metadata, text, provider):
        with pytest.raises(exception.InvalidParameterValue) as caught:
            attach(host, provider, **metadata)
        assert str(caught.value) == text
        assert host.disk.read_bytes() == bytes(32 << 20)
        assert host.mappings() == []

    @pytest.mark.parametrize('provider', ['luks', 'luks2'])
    def test_it_can_be_opened_again(self, host, provider):
        attach(host, provider).detach_volume()
        content = host.disk.read_bytes()
        # No connect in between: the link still leads to the mapping that is gone.
        attach(host, provider).detach_volume()
        assert host.disk.read_bytes() == content
        assert host.mappings() == []

    @pytest.mark.parametrize('kind, value, passphrase', [
        ('symmetric', b'\x04\xab', '04ab'), ('opaque', b'\x00\x0f', '000f'), ('passphrase', 'caf\xe9\n'.encode(), 'caf\xe9\n')])
    def test_en_10_en_11_passphrases(self, host, kind, value, passphrase):
        format_disk(host, passphrase)
        attach(host, key=Key(value, kind))
        assert host.stdin[0] == passphrase
        assert host.mappings() == [mapping(host)]

    def test_an_empty_key_protects_nothing(self, host):
        with pytest.raises(exception.Invalid, match='^the encryption key key-1 is empty$'):
            attach(host, key=Key(b''))
        assert host.commands == []

    def test_no_secret_is_shown(self, host, debug_log):
        encryptor = attach(host)
        encryptor.extend_volume('context')
        encryptor.detach_volume()
        host.link.unlink()
        host.link.symlink_to(host.disk)
        with pytest.raises(putils.ProcessExecutionError) as caught:
            attach(host, key=Key(b'\x05\xcd'))
        shown = debug_log.text + str(caught.value) + repr(caught.value) + repr(encryptor) + '\n'.join(host.commands)
        for secret in ('04ab', '05cd', 'hunter2', r'\x04\xab'):
            assert secret not in shown

    def test_en_17_no_quality_is_asked_of_a_key(self, host):
        attach(host, key=Key(b'a', 'passphrase'))
        assert host.mappings() == [mapping(host)]
        assert [line for line in host.commands if 'AddKey' in line or 'ChangeKey' in line] == []


class TestWrongKey:

    @pytest.mark.parametrize('provider, version', [('luks', 'luks1'), ('luks2', 'luks2')])
    def test_en_12_it_is_said_and_nothing_is_formatted(self, host, provider, version):
        content = format_disk(host, 'other', version)
        with pytest.raises(putils.ProcessExecutionError) as caught:
            attach(host, provider)
        assert caught.value.exit_code == 2
        assert caught.value.description == f'The key key-1 does not open {host.disk}.'
        assert 'No key available with this passphrase.' in caught.value.stderr
        assert host.verbs() == ['cryptsetup luksOpen']
        assert host.disk.read_bytes() == content
        assert os.readlink(host.link) == str(host.disk)


class TestLeftovers:

    def test_a_mapping_of_this_device_that_nobody_uses_is_opened_anew(self, host):
        format_disk(host)
        host.open(mapping(host), host.disk)
        attach(host)
        assert host.verbs() == ['cryptsetup luksOpen', 'cryptsetup luksClose', 'cryptsetup luksOpen', 'ln']
        assert host.mappings() == [mapping(host)]

    @pytest.mark.parametrize('provider', ['luks', 'plain'])
    def test_a_mapping_in_use_stays(self, host, provider):
        format_disk(host)
        host.open(mapping(host), host.disk)
        host.in_use.add(mapping(host))
        with pytest.raises(putils.ProcessExecutionError) as caught:
            attach(host, provider)
        assert caught.value.exit_code == 5
        assert caught.value.stderr == 'Device crypt already exists.'
        assert host.mappings() == [mapping(host)]
        assert os.readlink(host.link) == str(host.disk)

    def test_a_mapping_of_another_device_stays(self, host):
        format_disk(host)
        host.open(mapping(host), '/dev/sdz')
        with pytest.raises(putils.ProcessExecutionError) as caught:
            attach(host)
        assert caught.value.exit_code == 5
        assert host.verbs() == ['cryptsetup luksOpen']

    def test_a_second_attach_never_sees_the_volume_through_its_mapping(self, host):
        format_disk(host)
        attach(host)
        content = host.disk.read_bytes()
        host.in_use.add(mapping(host))
        host.commands.clear()
        with pytest.raises(putils.ProcessExecutionError) as caught:
            attach(host)
        assert caught.value.exit_code == 5
        assert host.commands[0] == f'cryptsetup luksOpen --key-file=- {host.disk} {mapping(host)}'
        assert host.verbs() == ['cryptsetup luksOpen', 'cryptsetup luksClose']
        assert host.disk.read_bytes() == content
        assert (host.mapper / mapping(host)).read_bytes() == b'decrypted'

    @pytest.mark.parametrize('provider', ['luks', 'plain'])
    def test_without_a_link_the_mapping_goes_again(self, host, provider):
        format_disk(host)
        host.failures = {'ln': (1, 'ln: read-only file system')}
        with pytest.raises(putils.ProcessExecutionError) as caught:
            attach(host, provider)
        assert caught.value.stderr == 'ln: read-only file system'
        assert host.mappings() == []

    def test_the_first_error_is_raised(self, host, caplog):
        format_disk(host)
        host.failures = {'ln': (1, 'no link'), 'luksClose': (5, 'busy')}
        with pytest.raises(putils.ProcessExecutionError) as caught:
            attach(host)
        assert caught.value.stderr == 'no link'
        assert f'The mapping {mapping(host)} remains' in caplog.text


class TestLink:

    @pytest.mark.parametrize('provider', ['luks', 'luks2', 'plain'])
    def test_en_03_only_a_link_is_replaced(self, host, provider):
        host.link.unlink()
        host.link.write_bytes(b'a node or the volume itself')
        with pytest.raises(exception.InvalidParameterValue, match=f'^device_path {host.link.parent}.* is no symbolic'):
            attach(host, provider)
        assert host.link.read_bytes() == b'a node or the volume itself'
        assert host.commands == []

    def test_a_missing_link_is_no_device(self, host):
        host.link.unlink()
        with pytest.raises(putils.ProcessExecutionError) as caught:
            attach(host)
        assert caught.value.exit_code == 4
        assert host.verbs() == ['cryptsetup luksOpen']

    @pytest.mark.parametrize('path', ['sda', '/dev/'])
    def test_a_path_without_sense(self, host, path):
        with pytest.raises(exception.InvalidParameterValue) as caught:
            make(host, device_path=path)
        assert str(caught.value) == f'device_path must be the absolute path of a device, not {path!r}'

    @pytest.mark.parametrize('provider', ['luks', 'luks2', 'plain'])
    @pytest.mark.parametrize('path', [None, '', object()])
    def test_en_16_a_volume_without_a_device(self, host, provider, path, caplog):
        with pytest.raises(exception.VolumeEncryptionNotSupported) as caught:
            make(host, provider, device_path=path)
        assert str(caught.value) == 'Volume encryption is not supported for iscsi volume volume-1.'
        with pytest.raises(exception.VolumeEncryptionNotSupported, match='for iscsi volume id-1.$'):
            make(host, provider, device_path=path, volume_id='id-1')
        assert 'Error instantiating os_brick.encryptors.' in caplog.text


class TestOlderNames:
    """EN-02, MP-09."""

    @pytest.mark.parametrize('provider', ['luks', 'plain'])
    def test_en_02_open_under_the_name_of_the_link(self, host, provider):
        host.open(host.link.name, host.disk)
        encryptor = make(host, provider)
        assert encryptor.dev_name == host.link.name
        encryptor.detach_volume()
        assert host.mappings() == []

    def test_en_02_open_under_the_wwn(self, host):
        host.open('3600140', host.disk)
        assert make(host, multipath_id='3600140').dev_name == '3600140'
        assert host.commands == ['cryptsetup status 3600140']
        assert make(host).dev_name == mapping(host)

    def test_en_02_a_device_of_another_kind_is_passed_over_in_silence(self, host, caplog):
        host.open('3600140', host.disk)
        host.failures = {'status': (1, 'not crypt')}
        assert make(host, multipath_id='3600140').dev_name == mapping(host)
        assert caplog.records == []

    def test_en_02_a_map_that_cryptsetup_calls_active_is_not_closed(self, host):
        host.open('3600140', host.disk, uuid='mpath-3600140')
        assert make(host, multipath_id='3600140').dev_name == mapping(host)

    def test_en_02_another_failure_is_a_warning(self, host, caplog):
        host.open('3600140', host.disk)
        host.failures = {'status': (3, 'out of memory')}
        assert make(host, multipath_id='3600140').dev_name == mapping(host)
        assert 'cryptsetup status 3600140 exited abnormally (status 3): out of memory' in caplog.text


class TestDetach:

    @pytest.mark.parametrize('provider, verb', [('luks', 'luksClose'), ('luks2', 'luksClose'), ('plain', 'remove')])
    def test_en_08_a_volume_that_is_not_open(self, host, provider, verb):
        make(host, provider).detach_volume(provider=provider, key_size=256)
        assert host.commands == [f'cryptsetup {verb} {mapping(host)}']
        expected = {'check_exit_code': [0, 4]} | ({} if provider == 'plain' else {'attempts': 3})
        assert host.options == [expected]

    def test_en_08_also_without_its_link(self, host):
        attach(host)
        host.link.unlink()
        make(host).detach_volume()
        assert host.mappings() == []

    def test_a_volume_in_use(self, host):
        attach(host)
        host.in_use.add(mapping(host))
        with pytest.raises(putils.ProcessExecutionError, match='still in use'):
            make(host).detach_volume()


class TestExtend:

    @pytest.mark.parametrize('provider', ['luks', 'luks2'])
    def test_en_13_the_size_of_the_mapping(self, host, provider):
        attach(host, provider)
        encryptor = make(host, provider)
        host.commands.clear()
        host.stdin.clear()
        assert encryptor.extend_volume('context', provider=provider) == len(b'decrypted')
        assert host.commands == [f'cryptsetup resize {host.link}', f'blockdev --getsize64 {host.link}']
        assert host.stdin == [PASSPHRASE, None]

    def test_without_the_link(self, host):
        attach(host)
        host.link.unlink()
        assert make(host).extend_volume('context') == len(b'decrypted')
        assert host.commands[-1] == f'blockdev --getsize64 {host.mapper}/{mapping(host)}'

    def test_a_failure_is_raised(self, host):
        host.failures = {'resize': (2, 'No key available with this passphrase.')}
        with pytest.raises(putils.ProcessExecutionError, match='No key available'):
            make(host).extend_volume('context')

    def test_en_13_plain_volumes_cannot(self, host):
        with pytest.raises(NotImplementedError):
            make(host, 'plain').extend_volume('context')


class TestPlain:

    def test_attach(self, host, monkeypatch):
        told = []
        monkeypatch.setattr(cryptsetup.versionutils, 'report_deprecated_feature',
                            lambda logger, text: told.append((logger.name, text[:42])))
        attach(host, 'plain', cipher='aes-xts-plain64', key_size=512)
        assert host.commands == [
            f'cryptsetup create --key-file=- --cipher aes-xts-plain64 --key-size 512 {mapping(host)} {host.disk}',
            f'ln --symbolic --force {host.mapper}/{mapping(host)} {host.link}']
        assert host.stdin == [PASSPHRASE, None]
        assert told == [('os_brick.encryptors.cryptsetup', 'The plain CryptsetupEncryptor is deprecate')]
        assert host.disk.read_bytes() == bytes(32 << 20)

    def test_errors_are_raised(self, host):
        host.failures = {'create': (1, 'no')}
        with pytest.raises(putils.ProcessExecutionError):
            attach(host, 'plain')
        assert len(host.commands) == 1


class TestIsLuks:

    def test_answers(self, host, caplog):
        assert luks.is_luks('sudo', str(host.disk), execute=host.execute) is False
        assert 'isLuks exited abnormally (status 1): ' in caplog.text
        format_disk(host)
        assert luks.is_luks('sudo', str(host.disk), host.execute) is True
        assert host.commands == [f'cryptsetup isLuks --verbose {host.disk}']

    def test_no_device(self, host):
        assert luks.is_luks('sudo', str(host.disk) + '-none', execute=host.execute) is False

    def test_the_default_execute_is_found_at_the_call(self, host, monkeypatch):
        monkeypatch.setattr(luks.priv_rootwrap, 'execute', host.execute)
        assert luks.is_luks('sudo', str(host.disk)) is False


def test_en_12_two_first_attaches_format_once(host):
    """The second waits, finds the header of the first, and opens it with the same key."""
    entered, go_on = threading.Event(), threading.Event()

    def wait():
        entered.set()
        assert go_on.wait(30)

    host.before['luksFormat'] = wait
    one = threading.Thread(target=make(host)._format_volume, args=(PASSPHRASE,))
    one.start()
    assert entered.wait(30)
    host.before.clear()
    second = make(host)
    other = threading.Thread(target=second._format_volume, args=(PASSPHRASE,))
    other.start()
    go_on.set()
    one.join(30)
    other.join(30)
    assert [line for line in host.verbs() if 'luksFormat' in line] == ['cryptsetup luksFormat']
    assert host.commands[-1] == f'cryptsetup luksOpen --test-passphrase --key-file=- {host.disk}'


def test_a_header_made_meanwhile_with_another_key_is_kept(host):
    content = format_disk(host, 'other')
    with pytest.raises(putils.ProcessExecutionError) as caught:
        make(host)._format_volume(PASSPHRASE)
    assert caught.value.description == f'The key key-1 does not open {host.disk}.'
    assert host.disk.read_bytes() == content


@pytest.mark.parametrize('cls', [luks.LuksEncryptor, luks.Luks2Encryptor, cryptsetup.CryptsetupEncryptor,
                                 nop.NoOpEncryptor])
def test_constructors(host, cls):
    manager = encrypted_host.KeyManager()
    for made in (cls('sudo', encrypted_host.connection(host), manager, host.execute, encryption_key_id='key-1'),
                 cls(root_helper='sudo', connection_info=encrypted_host.connection(host), keymgr=manager, execute=host.execute,
                     encryption_key_id='key-1', provider='x')):
        assert (made._root_helper, made.encryption_key_id, made._key_manager) == ('sudo', 'key-1', manager)
