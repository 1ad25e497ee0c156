# SPDX-License-Identifier: Apache-2.0
"""The link of encrypted volumes, and the decorators that make and undo it (X-11, X-12)."""

import itertools
import os

import pytest

from os_brick import encrypted_link
from os_brick import utils
from os_brick.initiator.connectors import base
from os_brick.privileged import rootwrap

LINK = '/dev/disk/by-id/os-brick+dev+dm-0'


@pytest.mark.parametrize('path, link', [
    ('/dev/dm-0', LINK),
    ('/dev/mapper/mpath=a', '/dev/disk/by-id/os-brick+dev+mapper+mpath=a'),
    ('/dev/vg/lv+1', '/dev/disk/by-id/os-brick+dev+vg+lv=2B1'),
    ('/dev/vg/lv=2B1', '/dev/disk/by-id/os-brick+dev+vg+lv=3D2B1'),
    ('/dev/vg/lv=3D', '/dev/disk/by-id/os-brick+dev+vg+lv=3D3D')])
def test_x_12_names(path, link):
    assert encrypted_link.name_for(path) == link
    assert encrypted_link.device_path_of(link) == path
    assert utils._symlink_name_from_device_path(path) == link
    assert utils._device_path_from_symlink(link) == path


def test_x_12_every_name_can_be_read_back():
    pieces = ['+', '=', '/', '2B', '3D', '2', 'B', '%', 'a']
    links = set()
    count = 0
    for length in range(1, 5):
        for name in itertools.product(pieces, repeat=length):
            path = '/dev/' + ''.join(name)
            assert encrypted_link.device_path_of(encrypted_link.name_for(path)) == path
            links.add((path, encrypted_link.name_for(path)))
            count += 1
    assert len({link for _path, link in links}) == len({path for path, _link in links})
    assert count > 5000


@pytest.mark.parametrize('path', [
    '/dev/sda', '', None, 5, '/dev/disk/by-id/os-brickdev', '/dev/disk/by-id/os-brick',
    '/dev/disk/by-id/os-brick+dev/../../../../etc/passwd', '/dev/disk/by-id/os-brick/x',
    '/dev/disk/by-id/os-brick+dev\0'])
def test_other_paths_are_left_alone(path):
    assert not encrypted_link.is_link_path(path)
    assert encrypted_link.device_path_of(path) == path


class Connector:
    """A connector in Python, decorated as those of this project are."""

    def __init__(self, path='/dev/none-1'):
        self.path = path
        self.calls = []

    @utils.connect_volume_prepare_result
    def connect_volume(self, connection_properties):
        return {'path': self.path, 'type': 'block'}

    @utils.connect_volume_undo_prepare_result(unlink_after=True)
    def disconnect_volume(self, connection_properties, device_info, force=False,
                          ignore_errors=False):
        self.calls.append((connection_properties, device_info, force, ignore_errors))
        return 'detached'

    @utils.connect_volume_undo_prepare_result
    def extend_volume(self, connection_properties):
        self.calls.append(connection_properties)
        return 5


class TestConnect:

    def test_en_03_an_encrypted_volume_has_a_link_of_its_own(self, links):
        """EN-05: udev knows no link of this name, so it cannot point it back."""
        for path in ('/dev/none-1', b'/dev/none-1'):
            result = Connector(path).connect_volume({'encrypted': True})
            assert result == {'path': '/dev/disk/by-id/os-brick+dev+none-1', 'type': 'block'}
        assert links == 2 * [('link', '/dev/none-1', '/dev/disk/by-id/os-brick+dev+none-1')]

    def test_not_encrypted(self, links):
        assert Connector().connect_volume({})['path'] == '/dev/none-1'
        assert links == []

    def test_open_files_stay(self, links):
        handle = object()
        assert Connector(handle).connect_volume({'encrypted': True})['path'] is handle
        assert links == []

    def test_x_11_a_failed_link_detaches_with_the_real_arguments(self, monkeypatch):
        def fail(*args, **kwargs):
            raise OSError('no link')

        monkeypatch.setattr(rootwrap, 'link_root', fail)
        connector = Connector()
        props = {'encrypted': True, 'id': 1}
        with pytest.raises(OSError, match='^no link$'):
            connector.connect_volume(props)
        assert connector.calls == [(props, {'path': '/dev/none-1', 'type': 'block'}, True, True)]


    def test_en_06_no_link_of_udevs_is_needed(self, monkeypatch, tmp_path):
        monkeypatch.setattr(encrypted_link, 'PREFIX', str(tmp_path / 'by-id' / 'os-brick'))
        device = tmp_path / 'sda'
        path = Connector(str(device)).connect_volume({'encrypted': True})['path']
        assert os.readlink(path) == str(device)
        # What an encryptor left there is replaced.
        os.unlink(path)
        os.symlink('/dev/mapper/crypt-x', path)
        assert Connector(str(device)).connect_volume({'encrypted': True})['path'] == path
        assert os.readlink(path) == str(device)

    def test_en_07_the_first_error_is_raised(self, monkeypatch, caplog):
        def fail(*args, **kwargs):
            raise OSError('no link')

        class Stuck(Connector):
            def disconnect_volume(self, *args, **kwargs):
                raise ValueError('busy')

        monkeypatch.setattr(rootwrap, 'link_root', fail)
        props = {'encrypted': True, 'id': 1}
        with pytest.raises(OSError, match='^no link$'):
            Stuck().connect_volume(props)
        assert 'The volume at /dev/none-1 remains attached: busy' in caplog.text
        assert props == {'encrypted': True, 'id': 1}

    def test_en_07_the_detach_can_take_the_lock_of_the_attach(self, monkeypatch):
        def fail(*args, **kwargs):
            raise OSError('no link')

        class Locking(Connector):
            @utils.connect_volume_prepare_result
            @base.synchronized('test_en_07', blocking=False)
            def connect_volume(self, connection_properties):
                return {'path': self.path}

            @base.synchronized('test_en_07', blocking=False)
            def disconnect_volume(self, connection_properties, device_info, force=False, ignore_errors=False):
                self.calls.append(device_info)

        monkeypatch.setattr(rootwrap, 'link_root', fail)
        connector = Locking()
        with pytest.raises(OSError):
            connector.connect_volume({'encrypted': True})
        assert connector.calls == [{'path': '/dev/none-1'}]


class TestDisconnect:
    """EN-04."""

    def test_the_link_of_the_device_info(self, links):
        connector = Connector()
        props = {'encrypted': True}
        info = {'path': LINK, 'type': 'block'}
        assert connector.disconnect_volume(props, info, force=True) == 'detached'
        assert connector.calls == [({'encrypted': True, 'device_path': '/dev/dm-0'},
                                    {'path': '/dev/dm-0', 'type': 'block'}, True, False)]
        assert links == [('unlink', LINK)]
        assert (props, info['path']) == ({'encrypted': True}, LINK)

    def test_the_link_of_the_properties(self, links):
        connector = Connector()
        connector.disconnect_volume({'encrypted': True, 'device_path': LINK}, None)
        assert connector.calls == [({'encrypted': True, 'device_path': '/dev/dm-0'}, None,
                                    False, False)]
        assert links == [('unlink', LINK)]

    def test_a_plain_path(self, links):
        connector = Connector()
        connector.disconnect_volume({'encrypted': True}, {'path': '/dev/sda'})
        assert connector.calls == [({'encrypted': True}, {'path': '/dev/sda'}, False, False)]
        assert links == []

    def test_the_link_stays_when_the_detach_fails(self, links):
        class Failing:
            @utils.connect_volume_undo_prepare_result(unlink_after=True)
            def disconnect_volume(self, connection_properties, device_info):
                raise ValueError('busy')

        with pytest.raises(ValueError):
            Failing().disconnect_volume({'encrypted': True}, {'path': LINK})
        assert links == []

    def test_a_link_that_cannot_be_removed_is_a_warning(self, monkeypatch, caplog):
        def fail(*args, **kwargs):
            raise OSError('stuck')

        monkeypatch.setattr(rootwrap, 'unlink_root', fail)
        assert Connector().disconnect_volume({'encrypted': True}, {'path': LINK}) == 'detached'
        assert f'Failed to remove encrypted custom symlink {LINK}' in caplog.text


def test_extend_keeps_the_link(links):
    connector = Connector()
    assert connector.extend_volume({'encrypted': True, 'device_path': LINK}) == 5
    assert connector.calls == [{'encrypted': True, 'device_path': '/dev/dm-0'}]
    assert links == []
