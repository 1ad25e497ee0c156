# SPDX-License-Identifier: Apache-2.0
"""LinuxSCSI over a small /sys of its own (SC, MP, LU, ID rows of the Python helpers)."""

import os

import pytest

from oslo_concurrency import processutils as putils

from os_brick import exception
from os_brick.initiator import linuxscsi
from os_brick.initiator import scsi_multipath
from os_brick.initiator.connectors import base
from os_brick.privileged import rootwrap


ROOT = {'run_as_root': True, 'root_helper': 'sudo'}


class TestLuns:

    @pytest.mark.parametrize('lun, mode, address', [
        (1, None, 1), (256, None, 256), (256, 'SAM', 256), (256, 'transparent', 256),
        (255, 'SAM2', 255), (256, 'SAM2', 16640), (0, 'SAM3-flat', 16384),
        (1, 'SAM3-flat', 16385), (256, 'SAM3-flat', 16640)])
    def test_lu_addressing(self, lun, mode, address):
        assert linuxscsi.LinuxSCSI.lun_for_addressing(lun, mode) == address

    def test_lu_unknown_mode(self):
        with pytest.raises(exception.InvalidParameterValue,
                           match='^Invalid addressing_mode nope$'):
            linuxscsi.LinuxSCSI.lun_for_addressing(1, 'nope')

    @pytest.mark.parametrize('lun, text', [
        (0, 0), ('255', 255), (256, '0x0100000000000000'), (16640, '0x4100000000000000'),
        (0x12345678, '0x5678123400000000'), ([1, '300'], [1, '0x012c000000000000'])])
    def test_names_of_luns_in_by_path(self, scsi, lun, text):
        assert scsi.process_lun_id(lun) == text


class TestIdentity:

    @pytest.mark.parametrize('wwid, udev', [
        ('naa.600a', '3600a'), ('eui.0012', '20012'), ('t10.IET 1', '1IET 1'),
        ('scsi.QEMU', '8.QEMU')])
    def test_sc_03_prefixes(self, host, scsi, wwid, udev):
        host.disk('sda', wwid=wwid)
        expected = udev if wwid[:4] in scsi.WWN_TYPES else '8' + wwid[4:]
        assert scsi.get_sysfs_wwid(['gone', 'sda']) == expected

    def test_sc_03_no_device_tells_it(self, scsi):
        assert scsi.get_sysfs_wwid(['sda']) == ''

    def test_sc_04_sysfs_counts_if_udev_agrees(self, host, scsi):
        host.disk('sda')
        assert scsi.get_sysfs_wwn(['sda']) == ''
        host.link('3600a', 'sda')
        assert scsi.get_sysfs_wwn(['sda']) == '3600a'

    def test_sc_04_several_designators(self, host, scsi):
        host.disk('sda')
        host.disk('sdb', '3:0:0:1')
        host.link('dangling', 'nothing')
        host.link('3other', 'sdb')
        host.link('3real', 'sda')
        assert scsi.get_sysfs_wwn(['sda']) == '3real'

    def test_sc_04_the_link_leads_to_the_map(self, host, scsi):
        host.disk('sda')
        host.map('dm-3', 'mpath-3real', ['sda'])
        host.link('3real', 'dm-3')
        assert scsi.get_sysfs_wwn(['sda']) == '3real'

    def test_mp_09_the_map_knows(self, host, scsi):
        host.disk('sda')
        host.map('dm-3', 'mpath-3600real', ['sda'], name='mpatha')
        assert scsi.get_sysfs_wwn(['sda'], 'dm-3') == '3600real'
        assert scsi.get_dm_name('dm-3') == 'mpatha'
        assert scsi.get_dm_name('dm-4') == ''


class TestMaps:

    def test_x_02_only_multipath_counts(self, host, scsi):
        host.disk('sda')
        host.map('dm-0', 'LVM-abc', ['sda'])
        host.map('dm-1', 'CRYPT-LUKS2-x', ['sda'])
        assert scsi.find_sysfs_multipath_dm(['sda']) is None
        host.map('dm-2', 'mpath-3600a', ['sda'])
        assert scsi.find_sysfs_multipath_dm(['gone', 'sda']) == 'dm-2'

    @pytest.mark.parametrize('device', ['sda', 'sdb', 'dm-2', 'mapper/mpatha'])
    def test_mp_01_described_without_a_program(self, host, scsi, device):
        host.disk('sda')
        host.disk('sdb', '3:0:0:300')
        host.map('dm-1', 'CRYPT-LUKS2-x', ['sda'])
        host.map('dm-2', 'mpath-3600a', ['sda', 'sdb'], name='mpatha')
        (host.root / 'dev/mapper').mkdir()
        (host.root / 'dev/mapper/mpatha').symlink_to(host.root / 'dev/dm-2')
        assert scsi.find_multipath_device(f'/dev/{device}') == {
            'device': '/dev/mapper/mpatha', 'id': '3600a', 'name': 'mpatha', 'devices': [
                {'device': '/dev/sda', 'host': '2', 'channel': '0', 'id': '0', 'lun': '1'},
                {'device': '/dev/sdb', 'host': '3', 'channel': '0', 'id': '0', 'lun': '300'}]}
        assert host.commands == []

    def test_mp_03_multipath_is_asked_for_what_sysfs_does_not_tell(self, host, scsi):
        host.disk('sda')
        host.map('dm-1', 'CRYPT-LUKS2-x', ['sda'])
        assert scsi.find_multipath_device('/dev/sda') is None
        host.map('dm-2', 'mpath-3600a', ['sda'], name='mpatha')
        assert scsi.find_multipath_device('/dev/sda') is None, 'it has no /dev/mapper/mpatha'
        assert scsi.find_multipath_device('/dev/gone') is None
        assert [cmd for cmd, _kwargs in host.commands] == [
            ('multipath', '-l', '/dev/sda'), ('multipath', '-l', '/dev/sda'),
            ('multipath', '-l', '/dev/gone')]

    def test_mp_10_read_only(self, host, scsi, sleeps):
        host.disk('sda')
        host.map('dm-0', 'mpath-3600a', ['sda'], name='mpatha', ro='1')
        host.map('dm-1', 'mpath-3600b', [], name='mpathb', ro='1')
        with pytest.raises(exception.BlockDeviceReadOnly, match='/dev/dm-0 is Read-Only'):
            scsi.wait_for_rw('3600a', '/dev/dm-0')
        assert host.commands == 5 * [(('multipath', '-r'),
                                      {'check_exit_code': [0, 1, 21], **ROOT})]
        assert sleeps == [1, 2, 4, 8]

    def test_mp_10_writable(self, host, scsi, sleeps):
        host.map('dm-0', 'mpath-3600a', [], ro='0')
        assert scsi.wait_for_rw('3600a', '/dev/dm-0') is None
        assert (host.commands, sleeps) == ([], [])


class TestAddresses:

    def test_sc_02_from_sysfs_for_any_lun(self, host, scsi):
        host.disk('sda', '2:0:1:300')
        host.link('3600a', 'sda')
        link = str(host.by_id / 'scsi-3600a')
        for device in (str(host.root / 'dev/sda'), link):
            assert scsi.get_device_info(device) == {
                'device': device, 'host': '2', 'channel': '0', 'id': '1', 'lun': '300'}
        assert host.commands == []

    def test_no_scsi_device(self, scsi):
        assert scsi.get_device_info('/dev/nothing') == {
            'device': '/dev/nothing', 'host': None, 'channel': None, 'id': None, 'lun': None}

    def test_ic_21_hctl_of_a_session(self, host, scsi):
        host.disk('sda', '7:0:4:1', session=12)
        assert scsi.get_hctl('12', 3) == ('7', '0', '4', 3)
        (host.root / 'sys/devices/host7/session13').mkdir()
        assert scsi.get_hctl('13', 3) == ('7', '-', '-', 3)
        assert scsi.get_hctl('1', 3) is None

    def test_sc_05_the_whole_disk(self, host, scsi):
        host.disk('sda', '7:0:4:1', session=12)
        (host.root / 'sys/devices/host7/session12/target7:0:4/7:0:4:1/block/sda1').mkdir()
        for hctl in (('7', '0', '4', '1'), ('7', '-', '-', '1')):
            assert scsi.device_name_by_hctl('12', hctl) == 'sda'
        assert scsi.device_name_by_hctl('12', ('7', '0', '4', '2')) is None

    def test_name_from_path(self, scsi, tmp_path):
        (tmp_path / 'link').symlink_to('/dev/null')
        assert scsi.get_name_from_path(str(tmp_path / 'link')) == '/dev/null'
        assert scsi.get_name_from_path(str(tmp_path)) is None


@pytest.mark.parametrize('path, used, multipath, flush', [
    ('/dev/sda', None, False, False), ('/dev/sda', '', True, False),
    ('/dev/sda', '/dev/sda', False, True), ('/dev/sda', '/dev/sda', True, True),
    ('/dev/sda', '/dev/dm-0', True, False), ('/dev/sda', '/dev/sdb', False, False),
    ('/dev/sda', '/dev/mapper/crypt-x', False, True),
    ('/dev/sda', '/dev/mapper/crypt-x', True, False)])
def test_id_30_requires_flush(path, used, multipath, flush):
    assert linuxscsi.LinuxSCSI.requires_flush(path, used, multipath) is flush


class TestRemoval:

    @pytest.fixture
    def removing(self, host, monkeypatch):
        """A kernel that removes a disk when told to, and root's hands for links."""
        def tee(name):
            def removed():
                (host.root / 'dev' / name).unlink()
                return '', ''
            return removed
        for name in ('sda', 'sdb'):
            delete = str(host.root / f'sys/block/{name}/device/delete')
            host.answers[('tee', '-a', delete)] = tee(name)
        unlinked = []
        monkeypatch.setattr(rootwrap, 'unlink_root',
                            lambda *links, **kwargs: unlinked.append((links, kwargs)))
        return unlinked

    def run(self, host):
        root = str(host.root)
        return [' '.join(word.replace(root, '') for word in cmd) for cmd in host.ran()]

    def test_id_29_order_with_a_map(self, host, scsi, removing):
        host.disk('sda')
        host.disk('sdb', '3:0:0:1')
        host.map('dm-0', 'mpath-3600a', ['sda', 'sdb'], name='mpatha')
        assert scsi.remove_connection(['sda', 'sdb'], path_used='/dev/dm-0',
                                      was_multipath=True) is None
        assert self.run(host) == [
            'multipath -f mpatha', 'tee -a /sys/block/sda/device/delete',
            'tee -a /sys/block/sdb/device/delete', 'multipathd show paths raw format %d']

    def test_single_path_is_flushed(self, host, scsi, removing):
        host.disk('sda')
        host.answers[('multipathd', 'show', 'status')] = putils.ProcessExecutionError()
        scsi.remove_connection(['sda'], path_used=str(host.root / 'dev/sda'))
        assert self.run(host) == [
            'multipathd show status', 'blockdev --flushbufs /dev/sda',
            'tee -a /sys/block/sda/device/delete']

    @pytest.mark.parametrize('force', [False, True])
    def test_id_12_sc_11_a_failed_flush(self, host, scsi, removing, force):
        host.disk('sda')
        host.map('dm-0', 'mpath-3600a', ['sda'], name='mpatha')
        host.answers[('multipath', '-f', 'mpatha')] = putils.ProcessExecutionError(stderr='use')
        chain = exception.ExceptionChainer()
        if force:
            assert scsi.remove_connection(['sda'], True, chain) == 'dm-0'
            assert not (host.root / 'dev/sda').exists()
        else:
            with pytest.raises(putils.ProcessExecutionError):
                scsi.remove_connection(['sda'], False, chain)
            assert (host.root / 'dev/sda').exists()
        assert bool(chain)

    def test_sc_10_a_device_that_is_gone(self, host, scsi):
        scsi.remove_scsi_device('/dev/sdz')
        assert host.commands == []

    def test_id_02_waiting(self, host, scsi, sleeps):
        host.disk('sda')
        with pytest.raises(exception.VolumePathNotRemoved, match='dev/sda'):
            scsi.wait_for_volumes_removal(['sda', 'gone'])
        assert sleeps == 60 * [0.5]
        scsi.wait_for_volumes_removal(['gone'])

    def test_id_18_id_19_links(self, host, scsi, monkeypatch):
        unlinked = []
        monkeypatch.setattr(linuxscsi.glob, 'glob', lambda pattern: [
            '/l/ours', '/l/other', '/l/gone'])
        dev = str(host.root / 'dev')
        monkeypatch.setattr(linuxscsi.os.path, 'realpath', {
            '/l/ours': f'{dev}/sda', '/l/other': f'{dev}/sdb', '/l/gone': '/l/gone'}.get)
        monkeypatch.setattr(rootwrap, 'unlink_root',
                            lambda *links, **kwargs: unlinked.append((links, kwargs)))
        scsi._remove_scsi_symlinks(['sda'])
        assert unlinked == [(('/l/ours',), {'no_errors': True})]

    def test_id_27_last_resort(self, host, scsi, sleeps):
        host.answers = {('multipathd', 'show', 'paths', 'raw', 'format', '%d'): ('sda sdc', '')}
        scsi._forget_paths({'sda', 'sdb'})
        assert sleeps == [1, 2]
        assert host.ran()[3:] == [
            ('multipathd', 'del', 'path', os.path.join(str(host.root), 'dev/sda')),
            ('multipathd', 'del', 'path', os.path.join(str(host.root), 'dev/sdb'))]

    def test_multipath_del_map(self, host, scsi, sleeps):
        host.map('dm-0', 'mpath-3600a', [], name='mpatha')
        with pytest.raises(exception.BrickException, match="^Multipath doesn't go away$"):
            scsi.multipath_del_map('dm-0')
        assert host.ran() == 3 * [('multipathd', 'del', 'map', 'mpatha')]
        scsi.multipath_del_map('dm-9')
        assert len(host.commands) == 3


class TestExtend:

    def test_mp_16_a_path_that_is_down(self, host, scsi):
        host.answers = {('dd', 'if=/dev/sdb', 'of=/dev/null', 'count=1'):
                        putils.ProcessExecutionError(stderr='I/O error')}
        with pytest.raises(exception.BrickException,
                           match='^All paths need to be up to extend the device.$'):
            scsi.extend_volume(['/dev/sda', '/dev/sdb'])
        assert [cmd[0] for cmd in host.ran()] == ['dd', 'dd']

    def test_mp_13_every_path(self, host, scsi):
        host.disk('sda', '2:0:0:1')
        host.disk('sdb', '3:0:0:1')
        paths = [str(host.root / 'dev/sda'), str(host.root / 'dev/sdb')]
        host.answers = {('blockdev', '--getsize64', path): ('2048\n', '') for path in paths}
        assert scsi.extend_volume(paths) == 2048
        assert [cmd[2] for cmd in host.ran() if cmd[0] == 'tee'] == [
            '/sys/bus/scsi/drivers/sd/2:0:0:1/rescan', '/sys/bus/scsi/drivers/sd/3:0:0:1/rescan']

    def test_mp_14_the_real_map(self, host, scsi, monkeypatch):
        monkeypatch.setattr(scsi, 'find_multipath_device_path', lambda wwn: f'/m/{wwn}')
        host.disk('sda')
        path = str(host.root / 'dev/sda')
        host.answers = {('/lib/udev/scsi_id', '--page', '0x83', '--whitelisted', path):
                        ('3600a\n', ''),
                        ('blockdev', '--getsize64', path): ('2048\n', ''),
                        ('blockdev', '--getsize64', '/m/3600a'): ('4096\n', '')}
        monkeypatch.setattr(linuxscsi.os.path, 'realpath', lambda link: {
            '/m/3600a': '/dev/dm-5'}.get(link, link))
        assert scsi.extend_volume([path], use_multipath=True) == 4096
        assert ('multipathd', 'resize', 'map', '/dev/dm-5') in host.ran()


class TestDiscoverMpathDevice:
    """How connectors look for the map over a path they found."""

    @pytest.fixture
    def connector(self, host, sleeps, monkeypatch):
        monkeypatch.setattr(base.BaseLinuxConnector, '__abstractmethods__', frozenset())
        connector = base.BaseLinuxConnector('sudo', execute=host.execute)
        monkeypatch.setattr(scsi_multipath.os.path, 'exists', lambda path: path == '/dev/mapper/mpatha')
        return connector

    def test_mp_07_multipath_is_asked_for_the_kernel_device(self, connector, host):
        path = host.root / 'by-path-link'
        path.symlink_to('/dev/sda')
        host.answers = {('multipath', '-l', '/dev/sda'): ('mpatha (3600a) dm-0 LIO-ORG,disk\n', '')}
        found = connector._discover_mpath_device('3600a', {'access_mode': 'ro'}, str(path))
        assert found == ('/dev/mapper/mpatha', '3600a')

    def test_mp_07_without_a_map_the_path_itself_is_used(self, connector, host):
        assert connector._discover_mpath_device('3600a', {'access_mode': 'ro'}, '/dev/sda') == ('/dev/sda', None)
        assert host.ran() == [('multipath', '-l', '/dev/sda')]
