# SPDX-License-Identifier: Apache-2.0
"""LinuxFibreChannel on a sysfs in a directory, and its scans."""

import logging
import os

import pytest

from oslo_concurrency import processutils as putils

from os_brick.initiator import connector
from os_brick.initiator import linuxfc
from os_brick.initiator.connectors import fibre_channel

W = '500601603ee00001'


@pytest.fixture
def ports(tmp_path, monkeypatch):
    """Three ports: two online, of which one is shown by a link as in sysfs, and one down."""
    top = tmp_path / 'fc_host'
    for number, state in ((2, 'Online'), (10, 'Online'), (3, 'Linkdown')):
        device = tmp_path / 'devices' / f'host{number}'
        device.mkdir(parents=True)
        for name, value in (('port_name', f'0x10000090fa0000{number:02}'),
                            ('node_name', f'0x20000090fa0000{number:02}'),
                            ('port_state', state)):
            (device / name).write_text(value + '\n')
        top.mkdir(exist_ok=True)
        (top / f'host{number}').symlink_to(device)
    monkeypatch.setattr(linuxfc.LinuxFibreChannel, 'FC_HOST_SYSFS_PATH', str(top))
    return tmp_path


def test_fc_21_what_sysfs_says_of_each_port(ports):
    assert linuxfc.LinuxFibreChannel.get_fc_hbas()[0] == {
        'ClassDevice': 'host10', 'ClassDevicepath': str(ports / 'devices/host10'),
        'port_name': '0x10000090fa000010', 'node_name': '0x20000090fa000010',
        'port_state': 'Online'}
    assert linuxfc.LinuxFibreChannel(None).get_fc_hbas_info()[1] == {
        'port_name': '10000090fa000002', 'node_name': '20000090fa000002',
        'host_device': 'host2', 'device_path': str(ports / 'devices/host2')}


def test_fc_21_a_port_that_cannot_be_read_is_skipped(ports, caplog):
    os.unlink(ports / 'devices/host10/node_name')
    found = linuxfc.LinuxFibreChannel.get_fc_hbas()
    assert [hba['ClassDevice'] for hba in found] == ['host2', 'host3']
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert 'host10' in caplog.text


def test_fc_22_only_ports_that_are_online_are_told(ports):
    fc = linuxfc.LinuxFibreChannel(None)
    assert fc.get_fc_wwpns() == ['10000090fa000010', '10000090fa000002']
    assert fc.get_fc_wwnns() == ['20000090fa000010', '20000090fa000002']
    assert len(fc.get_fc_hbas_info()) == 3
    assert [hba['host_device'] for hba in
            linuxfc.LinuxFibreChannelS390X(None).get_fc_hbas_info()] == ['host10', 'host2']
    assert fibre_channel.FibreChannelConnector.get_connector_properties(None) == {
        'wwpns': ['10000090fa000010', '10000090fa000002'],
        'wwnns': ['20000090fa000010', '20000090fa000002']}


def test_fc_20_a_host_without_fibre_channel_runs_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(linuxfc.LinuxFibreChannel, 'FC_HOST_SYSFS_PATH',
                        str(tmp_path / 'absent'))

    def execute(*cmd, **kwargs):
        raise AssertionError(f'{cmd} was run')

    fc = linuxfc.LinuxFibreChannel(None, execute=execute)
    assert (fc.get_fc_hbas(), fc.get_fc_hbas_info(), fc.get_fc_wwpns()) == ([], [], [])
    assert fibre_channel.FibreChannelConnector.get_connector_properties(
        None, execute=execute) == {}
    properties = connector.get_connector_properties(None, '10.0.0.1', False, False,
                                                    host='h', execute=lambda *c, **k: ('', ''))
    assert 'wwpns' not in properties and 'wwnns' not in properties


def test_se_13_scans_are_planned_by_the_engine_and_written_as_root(engine):
    written = []

    def execute(*cmd, **kwargs):
        written.append((cmd, kwargs.get('process_input'), kwargs.get('shell')))
        return '', ''

    engine.answers['scan_plan'] = [(2, '0 1 5'), (3, '- - 5')]
    fc = linuxfc.LinuxFibreChannel('sudo', execute=execute)
    fc.rescan_hosts([{'host_device': 'host2'}, {'host_device': 'host3'}],
                    {'targets': [(W, 5)], 'initiator_target_map': None})
    assert engine.calls == [('scan_plan', (
        {'target_wwns': [W], 'target_luns': [5], 'initiator_target_map': None}, [2, 3]))]
    assert written == [
        (('tee', '-a', '/sys/class/scsi_host/host2/scan'), '0 1 5', None),
        (('tee', '-a', '/sys/class/scsi_host/host3/scan'), '- - 5', None)]


class TestZfcp:

    LUN = '0x0005000000000000'

    def fc(self, written, fails=False):
        def execute(*cmd, **kwargs):
            written.append((cmd[-1], kwargs['process_input']))
            if fails:
                raise putils.ProcessExecutionError(exit_code=1, stderr='Invalid argument')
            return '', ''
        return linuxfc.LinuxFibreChannelS390X('sudo', execute=execute)

    @pytest.mark.parametrize('known', [True, False])
    def test_fc_27_a_port_nobody_knows_is_looked_for(self, tmp_path, monkeypatch, known):
        monkeypatch.setattr(linuxfc, '_ZFCP', str(tmp_path))
        if known:
            (tmp_path / '0.0.1700' / f'0x{W}').mkdir(parents=True)
        written = []
        self.fc(written).configure_scsi_device('0.0.1700', f'0x{W}', self.LUN)
        added = (f'{tmp_path}/0.0.1700/0x{W}/unit_add', self.LUN)
        rescanned = (f'{tmp_path}/0.0.1700/port_rescan', '1')
        assert written == ([added] if known else [rescanned, added])

    def test_fc_27_failures_are_warnings(self, caplog):
        written = []
        fc = self.fc(written, fails=True)
        fc.configure_scsi_device('0.0.1700', f'0x{W}', self.LUN)
        fc.deconfigure_scsi_device('0.0.1700', f'0x{W}', self.LUN)
        assert [path.rsplit('/', 1)[1] for path, _text in written] == [
            'port_rescan', 'unit_add', 'unit_remove']
        assert len(caplog.records) == 3
        assert 'Invalid argument' in caplog.text
