# SPDX-License-Identifier: Apache-2.0
"""StorPoolConnector with an attached volume: looked up and extended."""

import os
import pathlib

import pytest

from storpool_host import NAME, ID
from storpool_host import attached, conf, connector, props, storpool, waits

from os_brick import exception
from os_brick.initiator.connectors import storpool as connector_module


class TestPaths:

    def test_by_name(self, connector, storpool, props):
        assert connector.get_search_path() == str(storpool.by_name)
        assert connector.get_volume_paths(props) == [str(storpool.by_name / NAME)]
        assert connector.get_volume_paths(
            {**props, 'device_path': str(storpool.by_name / NAME)}) == [
            str(storpool.by_name / NAME)]

    def test_sp_01_by_id(self, connector, storpool, attached):
        assert connector.get_volume_paths(attached) == [str(storpool.by_id / ID)]

    def test_sp_06_the_path_of_another_volume(self, connector, storpool, props):
        other = str(storpool.by_name / 'os--volume-2')
        with pytest.raises(exception.BrickException) as raised:
            connector.get_volume_paths({**props, 'device_path': other})
        assert str(raised.value) == (
            f'Internal error: StorPool volume path {storpool.by_name / NAME} does not match '
            f'device path {other}')

    def test_of_which_volume(self, connector, props):
        with pytest.raises(exception.BrickException, match=(
                'Invalid StorPool connection data, no volume ID specified.')):
            connector.get_volume_paths({**props, 'volume': None})

    def test_all_volumes(self, connector, storpool, attached):
        storpool.create('foreign--volume-3', 'x.b.3')
        storpool.device('x.b.3')
        (storpool.by_name / 'os--volume-no-link').touch()
        (storpool.by_name / 'os--volume-directory').symlink_to(storpool.by_id)
        assert connector.get_all_available_volumes() == ['sp-vol-1']

    def test_no_volumes(self, connector, storpool):
        storpool.by_name.rmdir()
        assert connector.get_all_available_volumes({}) == []

    def test_path_to_volname(self, storpool):
        for path, name in ((storpool.by_id / ID, f'~{ID}'), (storpool.by_name / 'n', 'n')):
            assert connector_module.path_to_volname(path) == name
        with pytest.raises(exception.BrickException, match='^Unexpected device path /dev/x/n$'):
            connector_module.path_to_volname(pathlib.Path('/dev/x/n'))


class TestExtend:

    def grow(self, storpool, size):
        return lambda: os.truncate(storpool.devices / f'sp-{ID}', size)

    def test_sp_04_the_device_is_resized_soon(self, connector, storpool, attached, waits):
        storpool.volumes[ID]['size'] = 8192
        waits.then = iter([self.grow(storpool, 4096), self.grow(storpool, 8192)])
        assert connector.extend_volume(attached) == 8192
        assert waits == [0.1, 0.1]
        assert [path for _method, path, _body in storpool.requests] == [
            f'/ctrl/1.0/MultiCluster/Volume/~{ID}']

    def test_sp_04_the_device_is_never_resized(self, connector, storpool, attached, waits):
        storpool.volumes[ID]['size'] = 8192
        self.grow(storpool, 4096)()
        assert connector.extend_volume(attached) == 4096
        assert waits == [0.1] * 10

    def test_sp_01_the_name_of_another_volume_by_now(self, connector, storpool, attached, waits):
        storpool.volumes[ID].update(name='os--volume-another', size=4096)
        storpool.create(NAME, 'new.b.2', 1)
        self.grow(storpool, 4096)()
        assert connector.extend_volume(attached) == 4096

    def test_sp_03_the_size_a_program_prints(self, conf, storpool, attached):
        commands = []

        def execute(*cmd, **kwargs):
            commands.append(cmd)
            return '4096\n', ''

        storpool.volumes[ID]['size'] = 4096
        own = connector_module.StorPoolConnector('sudo', execute=execute)
        assert own.extend_volume(attached) == 4096
        assert commands == [('blockdev', '--getsize64', str(storpool.by_id / ID))]

    def test_without_the_path_by_name(self, connector, storpool, attached, waits):
        del attached['device_path']
        assert connector.extend_volume(attached) == 0
        assert [path for _method, path, _body in storpool.requests] == [
            f'/ctrl/1.0/MultiCluster/Volume/{NAME}']

    def test_a_volume_storpool_does_not_know(self, connector, storpool, attached):
        storpool.volumes.clear()
        with pytest.raises(exception.BrickException, match=(
                '^Communication with the StorPool API failed: HTTP: 404, objectDoesNotExist')):
            connector.extend_volume(attached)
