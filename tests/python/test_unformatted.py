# SPDX-License-Identifier: Apache-2.0
"""EN-12: what a LUKS format may overwrite, judged by the real blkid, dd and cmp on files."""

import struct
import subprocess
import zlib

import encrypted_host
from encrypted_host import attach
from encrypted_host import format_disk
from encrypted_host import make
import pytest

from oslo_concurrency import processutils as putils

from os_brick import exception
from os_brick.encryptors import luks
from os_brick.encryptors import unformatted

MIB = 1 << 20


@pytest.fixture
def host(tmp_path, monkeypatch):
    return encrypted_host.install(tmp_path, monkeypatch)


def write(host, offset, data):
    with open(host.disk, 'r+b') as stream:
        stream.seek(offset if offset >= 0 else host.disk.stat().st_size + offset)
        stream.write(data)


def refusal(host, **metadata):
    """Attach; return why the format was refused, having seen that nothing was written and nothing is open."""
    content = host.disk.read_bytes()
    with pytest.raises(exception.BrickException) as caught:
        attach(host, **metadata)
    assert host.disk.read_bytes() == content
    assert [line for line in host.verbs() if 'luksFormat' in line] == []
    assert host.mappings() == []
    prefix = f'{host.disk} is not formatted as an encrypted volume because '
    assert str(caught.value).startswith(prefix)
    return str(caught.value).removeprefix(prefix)


def formatted(host):
    attach(host)
    return luks.is_luks('sudo', str(host.disk), host.execute)


def backup_gpt(size):
    """The copy of a partition table that a deleted volume leaves in its last sector."""
    header = bytearray(struct.pack('<8sIIIIQQQQ16sQIII', b'EFI PART', 0x10000, 92, 0, 0, size // 512 - 1, 1, 34,
                                   size // 512 - 34, b'x' * 16, size // 512 - 33, 128, 128, zlib.crc32(bytes(128 * 128))))
    header[16:20] = struct.pack('<I', zlib.crc32(bytes(header)))
    return bytes(header).ljust(512, b'\0')


def test_en_12_a_blank_volume_is_formatted(host):
    assert formatted(host)


def test_en_12_remains_behind_a_front_of_zeroes_are_overwritten(host):
    # A new volume of thick LVM: 4 KiB of zeroes, then what a deleted volume held.
    write(host, 4096, b'\xa5' * (3 * MIB))
    write(host, -512, backup_gpt(32 * MIB))
    assert formatted(host)


def luks_header(host):
    write(host, 0, b'LUKS\xba\xbe\0\1' + b'x' * 600)


def damaged_luks2(host):
    """The first header is gone and the second one has a wrong checksum: cryptsetup says that it is not LUKS."""
    format_disk(host, version='luks2')
    write(host, 0, bytes(0x4000))
    write(host, 0x4000 + 600, b'damaged')


def ext4(host):
    subprocess.run(['mkfs.ext4', '-q', str(host.disk)], check=True, capture_output=True)


def swap(host):
    subprocess.run(['mkswap', '-f', str(host.disk)], check=True, capture_output=True)


def btrfs(host):
    write(host, 65536, btrfs_superblock())


@pytest.mark.parametrize('put, name', [(luks_header, 'crypto_LUKS'), (damaged_luks2, 'crypto_LUKS'), (ext4, 'ext4'),
                                       (swap, 'swap'), (btrfs, 'btrfs')])
def test_en_12_a_known_format_stays(host, put, name):
    put(host)
    assert refusal(host) == f'it holds {name}'


@pytest.mark.parametrize('offset, data', [(0, b'a database that knows its place'), (4095, b'\1')])
def test_en_12_an_unknown_format_stays(host, offset, data):
    write(host, offset, data)
    assert refusal(host) == (
        'it begins with data of an unknown format; if those are the remains of a deleted volume, overwrite the '
        'beginning with zeroes, or set [os_brick] luks_format_stale_volumes for storage whose new volumes are like that')


def btrfs_superblock():
    """Enough of a super block for blkid: checksum, own offset, magic, sizes."""
    body = bytearray(4096 - 32)
    struct.pack_into('<QQ8s', body, 16, 65536, 0, b'_BHRfS_M')
    struct.pack_into('<II', body, 112, 0, 0)
    table = []
    for number in range(256):
        for _ in range(8):
            number = (number >> 1) ^ (0x82F63B78 if number & 1 else 0)
        table.append(number)
    crc = 0xffffffff
    for byte in body:
        crc = (crc >> 8) ^ table[(crc ^ byte) & 0xff]
    return struct.pack('<I28x', crc ^ 0xffffffff) + bytes(body)


def test_data_of_no_known_format_when_the_storage_is_like_that(host, configured):
    write(host, 0, b'\xa5' * MIB)
    configured.set_override('luks_format_stale_volumes', True, group='os_brick')
    try:
        assert formatted(host)
        swap(host)
        assert refusal_of_check(host) == 'it holds swap'
    finally:
        configured.clear_override('luks_format_stale_volumes', group='os_brick')


def refusal_of_check(host):
    with pytest.raises(exception.BrickException) as caught:
        unformatted.check(make(host), str(host.disk))
    return str(caught.value).partition(' because ')[2]


@pytest.mark.parametrize('program, code, text', [
    ('blockdev', 1, 'No such device'), ('dd', 1, 'Input/output error'), ('blkid', 8, 'ambivalent'),
    ('blkid', 127, 'no such program'), ('cmp', 2, 'Input/output error')])
def test_en_12_an_error_is_not_an_empty_volume(host, program, code, text):
    host.failures = {program: (code, text)}
    assert refusal(host).startswith('it cannot be examined: ')


def test_en_12_the_end_must_be_readable_too(host):
    def fail():
        if 'skip=31' in host.commands[-1]:
            host.failures['dd'] = (1, 'Input/output error')
    host.before['dd'] = fail
    assert 'Input/output error' in refusal(host)


def test_a_device_without_a_size(host):
    host.failures = {}
    host._blockdev = lambda cmd, kwargs: (0, '0\n', '')
    assert refusal(host) == 'its size is not known'


@pytest.mark.parametrize('code', [2, 3, 4, 5, -9, 127])
def test_en_12_only_one_answer_of_is_luks_means_no(host, code):
    host.failures = {'isLuks': (code, 'Cannot read the device')}
    with pytest.raises(putils.ProcessExecutionError) as caught:
        attach(host)
    # The error is that of the open, which came first.
    assert (caught.value.exit_code, caught.value.cmd.split()[1]) == (1, 'luksOpen')
    assert host.verbs() == ['cryptsetup luksOpen', 'cryptsetup isLuks']
    with pytest.raises(exception.BrickException, match='because cryptsetup cannot tell what it is: '):
        make(host)._format_volume('x')
    assert host.disk.read_bytes() == bytes(32 * MIB)


@pytest.mark.parametrize('code', [2, 3, 4, 5, -9])
def test_en_12_other_failures_of_the_open_format_nothing(host, code):
    host.failures = {'luksOpen': (code, 'no')}
    with pytest.raises(putils.ProcessExecutionError) as caught:
        attach(host)
    assert caught.value.exit_code == code
    assert host.verbs() == ['cryptsetup luksOpen']


def test_en_12_luks_that_does_not_open_stays(host):
    content = format_disk(host)
    host.failures = {'luksOpen': (1, 'Cannot initialize device-mapper.')}
    with pytest.raises(putils.ProcessExecutionError, match='Cannot initialize'):
        attach(host)
    assert host.verbs() == ['cryptsetup luksOpen', 'cryptsetup isLuks', 'cryptsetup luksOpen']
    assert host.disk.read_bytes() == content


def test_en_12_a_volume_that_becomes_luks_between_the_questions_is_opened(host):
    def format_meanwhile():
        host.before.clear()
        format_disk(host)
    host.before['isLuks'] = format_meanwhile
    attach(host)
    assert host.mappings() == [encrypted_host.mapping(host)]
    assert [line for line in host.verbs() if 'luksFormat' in line] == []
