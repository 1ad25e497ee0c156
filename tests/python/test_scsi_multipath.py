# SPDX-License-Identifier: Apache-2.0
"""The commands of LinuxSCSI and how their output is read (MP rows)."""

import pytest

from oslo_concurrency import processutils as putils

from os_brick import exception
from os_brick.initiator import linuxscsi
from os_brick.initiator import scsi_multipath

ROOT = {'run_as_root': True, 'root_helper': 'sudo'}


class TestCommands:

    @pytest.mark.parametrize('call, cmd, kwargs', [
        (lambda s: s.scan_iscsi('2'),
         ('tee', '-a', '/sys/class/scsi_host/host2/scan'), {'process_input': '- - -'}),
        (lambda s: s.scan_iscsi('2', '0', '4', 3),
         ('tee', '-a', '/sys/class/scsi_host/host2/scan'), {'process_input': '0 4 3'}),
        (lambda s: s.flush_multipath_device('mpatha'),
         ('multipath', '-f', 'mpatha'), {'attempts': 3, 'timeout': 300, 'interval': 10}),
        (lambda s: s.multipath_reconfigure(), ('multipathd', 'reconfigure'), {}),
        (lambda s: s.multipath_show_paths('%d'),
         ('multipathd', 'show', 'paths', 'raw', 'format', '%d'),
         {'timeout': 5, 'check_exit_code': False}),
        (lambda s: s.wait_for_mpath_device('dm-1'),
         ('multipath', '-C', 'dm-1'), {'attempts': 4, 'interval': 1}),
        (lambda s: s.flush_device_io('/dev/null'),
         ('blockdev', '--flushbufs', '/dev/null'),
         {'attempts': 3, 'timeout': 300, 'interval': 10}),
        (lambda s: s.get_scsi_wwn('/dev/sda'),
         ('/lib/udev/scsi_id', '--page', '0x83', '--whitelisted', '/dev/sda'), {})])
    def test_argv(self, host, scsi, call, cmd, kwargs):
        call(scsi)
        assert host.commands == [(cmd, {**kwargs, **ROOT})]

    def test_wwid_and_paths(self, host, scsi):
        host.answers = {('multipath', '-a', '3600a'): ("wwid '3600a' added\n", ''),
                        ('multipathd', 'add', 'path', '/dev/sda'): ('ok\n', ''),
                        ('multipathd', 'del', 'path', '/dev/sdb'): ('fail\n', '')}
        assert scsi.multipath_add_wwid('3600a') is True
        assert scsi.multipath_add_wwid('3600b') is False
        assert scsi.multipath_add_path('/dev/sda') is True
        assert scsi.multipath_del_path('/dev/sdb') is False

    def test_flush_of_a_device_that_is_gone(self, host, scsi):
        scsi.flush_device_io('/dev/none')
        assert host.commands == []

    @pytest.mark.parametrize('answer, runs', [
        (('path checker states:', ''), True), (('error receiving packet\n', ''), False),
        (putils.ProcessExecutionError(exit_code=1), False)])
    def test_mp_18_is_multipath_running(self, host, answer, runs):
        host.answers = {('multipathd', 'show', 'status'): answer}
        assert linuxscsi.LinuxSCSI.is_multipath_running('sudo', host.execute) is runs

    @pytest.mark.parametrize('outs, waits', [
        (['ok\n'], []), (['timeout\n', 'timeout\n', 'ok\n'], [1, 1])])
    def test_mp_15_resize(self, host, scsi, sleeps, outs, waits):
        host.answers = {('multipathd', 'resize', 'map', '/dev/dm-5'):
                        lambda: (outs.pop(0), '')}
        scsi.multipath_resize_map('/dev/dm-5')
        assert sleeps == waits

    @pytest.mark.parametrize('out, timeout', [('fail\n', 120), ('timeout\n', 0)])
    def test_mp_15_resize_fails(self, host, scsi, monkeypatch, out, timeout):
        monkeypatch.setattr(scsi_multipath, 'MULTIPATHD_RESIZE_TIMEOUT', timeout)
        host.answers = {('multipathd', 'resize', 'map', '/dev/dm-5'): (out, '')}
        with pytest.raises(putils.ProcessExecutionError):
            scsi.multipath_resize_map('/dev/dm-5')
        assert len(host.commands) == 1


MAP = '''size=1.0G features='0' hwhandler='0' wp=rw
|-+- policy='service-time 0' prio=1 status=active
| `- 2:0:0:1 sda 8:0 active undef running
`-+- policy='service-time 0' prio=1 status=enabled
  `- 3:0:0:300 sdb 8:16 active undef running
'''
NOISE = 'Mar 17 14:32:37 | sda: No fc_host device for x\n\nMar 17 14:32:37 | other\n'


class TestFindMultipathDevice:

    @pytest.fixture(autouse=True)
    def nodes(self, monkeypatch):
        monkeypatch.setattr(scsi_multipath.os.path, 'exists',
                            lambda path: path in ('/dev/mapper/mpatha', '/dev/mapper/3600a'))

    @pytest.mark.parametrize('noise', ['', NOISE])
    @pytest.mark.parametrize('action', ['', 'create: ', 'reload: ', 'resize: '])
    @pytest.mark.parametrize('name, head', [('mpatha', 'mpatha (3600a) dm-0 LIO-ORG,disk'),
                                            ('3600a', '3600a dm-0 LIO-ORG,disk')])
    def test_mp_01_to_04(self, host, scsi, noise, action, name, head):
        """MP-01, MP-02, MP-03, MP-04."""
        host.answers = {('multipath', '-l', '/dev/sda'): (f'{noise}{action}{head}\n{MAP}', '')}
        assert scsi.find_multipath_device('/dev/sda') == {
            'device': f'/dev/mapper/{name}', 'id': '3600a', 'name': name, 'devices': [
                {'device': '/dev/sda', 'host': '2', 'channel': '0', 'id': '0', 'lun': '1'},
                {'device': '/dev/sdb', 'host': '3', 'channel': '0', 'id': '0', 'lun': '300'}]}

    @pytest.mark.parametrize('out', ['', NOISE, 'gone (3600b) dm-0 LIO-ORG,disk\n' + MAP])
    def test_mp_03_none(self, host, scsi, out):
        host.answers = {('multipath', '-l', '/dev/sda'): (out, '')}
        assert scsi.find_multipath_device('/dev/sda') is None

    def test_mp_06_a_failure_is_raised(self, host, scsi):
        host.answers = {('multipath', '-l', '/dev/sda'): putils.ProcessExecutionError()}
        with pytest.raises(exception.CommandExecutionFailed,
                           match='^Failed to execute command multipath -l /dev/sda$'):
            scsi.find_multipath_device('/dev/sda')


def test_mp_05_links_are_waited_for_in_order(scsi, sleeps, monkeypatch):
    asked = []
    monkeypatch.setattr(scsi_multipath.os.path, 'exists', lambda path: asked.append(path))
    assert scsi.find_multipath_device_path('3600a') is None
    assert asked == 3 * ['/dev/disk/by-id/dm-uuid-mpath-3600a'] + 3 * ['/dev/mapper/3600a']
    assert sleeps == [1, 2, 1, 2]
