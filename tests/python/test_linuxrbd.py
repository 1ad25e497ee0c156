# SPDX-License-Identifier: Apache-2.0
"""Images through librbd: what is open, what is closed, and the image as a file."""

import gc
import io
import os
import shutil

import pytest

import fake_ceph

from os_brick import exception
from os_brick.initiator import linuxrbd


@pytest.fixture
def cluster(monkeypatch):
    cluster = fake_ceph.Cluster()
    monkeypatch.setattr(linuxrbd, 'rados', cluster.rados)
    monkeypatch.setattr(linuxrbd, 'rbd', cluster.rbd)
    stored = cluster.add('volumes', 'v1')
    stored.content[:] = bytes(number % 251 for number in range(len(stored.content)))
    return cluster


@pytest.fixture
def conf(tmp_path):
    path = tmp_path / 'ceph.conf'
    path.write_text(f'[global]\nmon_host = 10.0.0.1:6789\n{fake_ceph.KEYRING}\n')
    return str(path)


@pytest.fixture
def client(cluster, conf):
    return linuxrbd.RBDClient('cinder', 'volumes', conffile=conf, rbd_cluster_name='north')


@pytest.fixture
def image(client):
    return linuxrbd.RBDVolume(client, 'v1')


@pytest.fixture
def handle(image, conf):
    return linuxrbd.RBDVolumeIOWrapper(linuxrbd.RBDImageMetadata(image, 'volumes', 'cinder', conf))


class TestClient:

    def test_rb_02_the_cluster_and_its_conf_are_passed_on(self, client, cluster, conf):
        with open(conf) as stream:
            assert cluster.connections == [('cinder', 'north', stream.read())]
        assert (client.rbd_user, client.rbd_pool, client.rbd_conf, client.rbd_cluster_name) == (
            'cinder', 'volumes', conf, 'north')
        assert client.ioctx.pool == 'volumes'

    def test_defaults(self, cluster, monkeypatch):
        monkeypatch.setattr(linuxrbd.RBDClient, 'connect', lambda self: (None, None))
        client = linuxrbd.RBDClient('cinder', 'volumes')
        assert (client.rbd_conf, client.rbd_cluster_name) == ('/etc/ceph/ceph.conf', 'ceph')

    def test_as_a_context(self, cluster, conf):
        with linuxrbd.RBDClient('cinder', 'volumes', conffile=conf) as client:
            assert cluster.opened == [client.client, client.ioctx]
        assert cluster.opened == []

    def test_rb_15_bytes_become_text(self, cluster, conf):
        client = linuxrbd.RBDClient(b'cinder', b'volumes', conffile=conf)
        assert (client.rbd_user, client.rbd_pool) == ('cinder', 'volumes')
        cluster.add('volumes', 'v1', snapshot='s')
        assert linuxrbd.RBDVolume(client, b'v1', snapshot=b's').image.stored is cluster.images['volumes', '', 'v1', 's']
        metadata = linuxrbd.RBDImageMetadata(None, b'p', b'u', b'c')
        assert (metadata.pool, metadata.user, metadata.conf) == ('p', 'u', 'c')

    def test_rb_09_no_user(self, cluster, conf):
        cluster.cephx = False
        linuxrbd.RBDClient(None, 'volumes', conffile=conf)
        assert cluster.connections[0][0] is None

    @pytest.mark.parametrize('step', ['construct', 'connect', 'open_ioctx'])
    def test_no_connection(self, cluster, conf, step, caplog):
        cluster.fail(step, fake_ceph.RadosError('reason'))
        with pytest.raises(exception.BrickException) as caught:
            linuxrbd.RBDClient('cinder', 'volumes', conffile=conf)
        assert type(caught.value) is exception.BrickException
        assert str(caught.value) == 'Error connecting to ceph cluster.'
        assert str(caught.value.__cause__) == 'reason'
        assert cluster.opened == []

    def test_no_connection_for_another_reason(self, cluster, conf):
        cluster.fail('open_ioctx', KeyError('reason'))
        with pytest.raises(KeyError):
            linuxrbd.RBDClient('cinder', 'volumes', conffile=conf)
        assert cluster.opened == []

    @pytest.mark.parametrize('missing', ['rados', 'rbd'])
    def test_cf_09_a_missing_module_is_named(self, cluster, monkeypatch, missing):
        monkeypatch.setattr(linuxrbd, missing, None)
        with pytest.raises(exception.InvalidParameterValue) as caught:
            linuxrbd.RBDClient('cinder', 'volumes')
        assert str(caught.value) == f'{missing} module required'

    def test_modules_can_be_passed(self, conf, monkeypatch):
        monkeypatch.setattr(linuxrbd, 'rados', None)
        monkeypatch.setattr(linuxrbd, 'rbd', None)
        other = fake_ceph.Cluster()
        client = linuxrbd.RBDClient('cinder', 'volumes', conffile=conf, rados=other.rados, rbd=other.rbd)
        assert other.opened == [client.client, client.ioctx]

    def test_rb_17_a_timeout_is_not_pretended(self, cluster, conf):
        """The binding would refuse an argument it does not know."""
        client = linuxrbd.RBDClient('cinder', 'volumes', conffile=conf, rados_connect_timeout=5)
        assert not [name for name in vars(client) if 'timeout' in name]

    def test_rb_10_the_cluster_goes_even_if_the_pool_resists(self, client, cluster):
        cluster.fail('ioctx.close', fake_ceph.RadosError('reason'))
        with pytest.raises(fake_ceph.RadosError):
            client.disconnect()
        assert cluster.opened == []


class TestVolume:

    def test_rb_16_it_has_its_name(self, image):
        assert image.name == 'v1'

    def test_what_it_lacks_is_the_images(self, image):
        assert image.size() == 8192
        with pytest.raises(AttributeError):
            image.nothing

    def test_as_a_context(self, client, cluster):
        with linuxrbd.RBDVolume(client, 'v1', read_only=True) as image:
            assert image.image.read_only
            assert cluster.open_kinds() == ['_Rados', '_Ioctx', '_OpenImage']
        assert cluster.opened == []

    def test_no_image(self, client, cluster):
        with pytest.raises(fake_ceph.ImageNotFound):
            linuxrbd.RBDVolume(client, 'other')
        assert cluster.opened == []

    def test_an_error_that_is_not_librbds(self, client, cluster):
        cluster.fail('open', TypeError('reason'))
        with pytest.raises(TypeError):
            linuxrbd.RBDVolume(client, 'v1')
        assert cluster.opened == []

    @pytest.mark.parametrize('step', ['image.close', 'ioctx.close'])
    def test_rb_10_all_is_closed_whatever_fails(self, image, cluster, step):
        cluster.fail(step, fake_ceph.RbdError('reason'))
        with pytest.raises(fake_ceph.RbdError):
            image.close()
        assert cluster.opened == []

    def test_it_can_be_looked_at_before_it_is_open(self):
        assert not hasattr(linuxrbd.RBDVolume.__new__(linuxrbd.RBDVolume), 'size')


class TestFile:

    def test_what_it_tells(self, handle, image, conf):
        assert (handle.rbd_image, handle.rbd_pool, handle.rbd_user, handle.rbd_conf) == (
            image, 'volumes', 'cinder', conf)
        assert (handle.seekable(), handle.readable(), handle.writable(), handle.closed) == (
            True, True, True, False)

    def test_missing_metadata_is_empty(self):
        metadata = linuxrbd.RBDImageMetadata('image', None, None, None)
        assert vars(metadata) == {'image': 'image', 'pool': '', 'user': '', 'conf': ''}

    @pytest.mark.parametrize('length', [(), (None,), (-1,), (8192,), (9000,)])
    def test_read_all(self, handle, image, length):
        assert handle.read(*length) == bytes(image.image.stored.content)
        assert handle.tell() == 8192
        assert handle.read(*length) == b''

    def test_reads_follow_each_other_to_the_end(self, handle, image):
        content = bytes(image.image.stored.content)
        assert [handle.read(5000), handle.read(5000), handle.read(5000)] == [content[:5000], content[5000:], b'']

    @pytest.mark.parametrize('position', [8192, 10 ** 6])
    def test_rb_13_beyond_the_end_is_nothing(self, handle, position):
        handle.seek(position)
        assert handle.read(10) == b''
        assert handle.tell() == position

    def test_rb_13_a_failed_read_can_be_repeated(self, handle, cluster, image):
        handle.read(10)
        cluster.fail('read', fake_ceph.RbdError('reason'))
        with pytest.raises(fake_ceph.RbdError):
            handle.read(10)
        cluster.fail_at = None
        assert handle.read(10) == bytes(image.image.stored.content[10:20])

    def test_a_failed_write_can_be_repeated(self, handle, cluster):
        cluster.fail('write', fake_ceph.RbdError('reason'))
        with pytest.raises(fake_ceph.RbdError):
            handle.write(b'data')
        assert handle.tell() == 0

    def test_a_short_read_counts_what_came(self, handle, image):
        whole = image.image.read
        image.image.read = lambda offset, length: whole(offset, min(length, 3))
        assert handle.read(10) == bytes(image.image.stored.content[:3])
        assert handle.tell() == 3

    def test_an_image_that_shrinks(self, handle, image):
        handle.seek(6000)
        del image.image.stored.content[5000:]
        assert handle.read(10) == b''

    def test_readinto_and_what_builds_on_it(self, handle, image):
        content = bytes(image.image.stored.content)
        buffered = io.BufferedReader(handle, 1000)
        assert buffered.read(1500) == content[:1500]
        target = io.BytesIO()
        shutil.copyfileobj(buffered, target)
        assert target.getvalue() == content[1500:]
        assert handle.readall() == b''

    @pytest.mark.parametrize('kind', [bytes, bytearray, memoryview])
    def test_write(self, handle, image, kind):
        handle.seek(4)
        assert handle.write(kind(b'data')) == 4
        assert bytes(image.image.stored.content[4:8]) == b'data'
        assert handle.tell() == 8

    @pytest.mark.parametrize('whence, offset, expected', [
        (os.SEEK_SET, 10, 10), (os.SEEK_CUR, 10, 110), (os.SEEK_CUR, -100, 0),
        (os.SEEK_END, 0, 8192), (os.SEEK_END, -8192, 0), (os.SEEK_END, 5, 8197)])
    def test_seek(self, handle, whence, offset, expected):
        handle.seek(100)
        assert handle.seek(offset, whence) == expected
        assert handle.tell() == expected

    @pytest.mark.parametrize('arguments, text', [
        ((-1,), 'Invalid argument'), ((-101, 1), 'Invalid argument'), ((-8193, 2), 'Invalid argument'),
        ((0, 3), 'Invalid argument - whence=3 not supported')])
    def test_seek_nowhere(self, handle, arguments, text):
        handle.seek(100)
        with pytest.raises(OSError) as caught:
            handle.seek(*arguments)
        assert str(caught.value) == text
        assert handle.tell() == 100

    def test_rb_14_no_descriptor(self, handle):
        with pytest.raises(io.UnsupportedOperation) as caught:
            handle.fileno()
        assert str(caught.value) == 'fileno() not supported by RBD()'
        assert isinstance(caught.value, OSError)

    def test_flush(self, handle, image):
        handle.flush()
        assert image.image.stored.flushed == 1

    def test_rb_12_the_image_was_closed_before(self, handle, image, caplog):
        image.image.close()
        handle.flush()
        assert [record.getMessage() for record in caplog.records if record.levelname == 'WARNING'] == [
            'Image v1 was closed behind the back of the file over it, probably by the garbage collection']

    def test_another_error_of_flush(self, handle, cluster):
        cluster.fail('flush', fake_ceph.RbdError('reason'))
        with pytest.raises(fake_ceph.RbdError):
            handle.flush()

    def test_a_librbd_without_flush(self, handle, image, caplog):
        image.image = type('Old', (), {'require_not_closed': lambda self: None, 'close': lambda self: None})()
        handle.flush()
        assert 'This version of librbd has no flush()' in caplog.text

    def test_rb_11_close_flushes_and_closes_once(self, handle, image, cluster):
        handle.close()
        handle.close()
        assert handle.closed
        assert (image.image.closes, image.image.stored.flushed, cluster.opened) == (1, 1, [])

    def test_rb_11_a_failed_flush_closes_all_the_same(self, handle, image, cluster):
        cluster.fail('flush', fake_ceph.RbdError('reason'))
        with pytest.raises(fake_ceph.RbdError, match='reason'):
            handle.close()
        assert handle.closed
        assert (image.image.closes, cluster.opened) == (1, [])
        handle.close()
        assert image.image.closes == 1

    def test_rb_11_garbage_is_closed_once(self, client, cluster, conf):
        image = linuxrbd.RBDVolume(client, 'v1')
        opened = image.image
        handle = linuxrbd.RBDVolumeIOWrapper(linuxrbd.RBDImageMetadata(image, 'p', 'u', conf))
        handle.close()
        del handle, image
        gc.collect()
        assert opened.closes == 1

    @pytest.mark.parametrize('use', [
        lambda handle: handle.read(1), lambda handle: handle.write(b'x'), lambda handle: handle.seek(0),
        lambda handle: handle.tell(), lambda handle: handle.flush(), lambda handle: handle.readinto(bytearray(1))])
    def test_rb_11_nothing_works_after_close(self, handle, use):
        handle.close()
        with pytest.raises(ValueError):
            use(handle)
