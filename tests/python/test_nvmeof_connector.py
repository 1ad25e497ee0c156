# SPDX-License-Identifier: Apache-2.0
"""NVMeOFConnector: what reaches the engine, by which way, and what comes back."""

import errno

from oslo_concurrency import processutils as putils
import pytest

from os_brick import exception
from os_brick import initiator
from os_brick.initiator import connector as connector_factory
from os_brick.initiator.connectors import nvmeof
from os_brick.initiator.connectors import nvmeof_raid
from os_brick.privileged import encrypted_volume
from os_brick.privileged import nvmeof as priv_nvmeof
from os_brick.privileged import rootwrap

UUID = '12345678-9abc-def0-1234-56789abcdef0'
PROPS = {'target_nqn': 'nqn.2014-08.org:v1', 'vol_uuid': UUID,
         'portals': [['10.0.0.1', 4420, 'tcp'], ['10.0.1.1', '4420', 'tcp']]}
MIRROR = {'volume_replicas': [PROPS, PROPS], 'replica_count': 2, 'alias': 'vol',
          'vol_uuid': UUID}
LINK = '/dev/disk/by-id/os-brick+dev+nvme0n1'


@pytest.fixture(autouse=True)
def named_host(monkeypatch, tmp_path):
    """A host that has its name, and native multipath."""
    etc = tmp_path / 'etc'
    etc.mkdir()
    (etc / 'hostnqn').write_text('nqn.host')
    monkeypatch.setattr(priv_nvmeof, '_NVME_DIR', str(etc))
    monkeypatch.setattr(nvmeof.NVMeOFConnector, 'native_multipath_supported', True)
    return etc


@pytest.fixture
def settings(tmp_path):
    return {'use_multipath': False, 'device_scan_attempts': 5, 'portal_grace_period': 2.0,
            'lock_path': str(tmp_path / 'locks')}


@pytest.fixture
def connector(engine):
    engine.answers['connect_volume'] = {'type': 'block', 'path': '/dev/nvme0n1'}
    return nvmeof.NVMeOFConnector('sudo')


class TestVolumes:

    def test_nv_23_what_the_engine_gets_and_gives(self, connector, engine, settings):
        result = connector.connect_volume({**PROPS, 'qos_specs': None, 'discard': True})
        assert engine.calls == [('connect_volume', (PROPS, settings, None))]
        assert result == {'type': 'block', 'path': '/dev/nvme0n1'}
        assert type(result) is dict

    def test_tuples_and_replicas_cross_as_plain_data(self, connector, engine):
        portals = (('10.0.0.1', 4420, 'tcp'), ('10.0.1.1', '4420', 'tcp'))
        given = {**MIRROR, 'volume_replicas': ({**PROPS, 'portals': portals}, PROPS)}
        connector.connect_volume(given)
        assert engine.calls[0][1][0] == MIRROR
        assert given['volume_replicas'][0]['portals'] is portals

    def test_settings_come_from_the_connector_and_the_options(self, engine, configured,
                                                              settings):
        configured.set_override('portal_grace_period', 0.5, group='os_brick')
        connector = connector_factory.InitiatorConnector.factory(
            initiator.NVME, None, use_multipath=True, device_scan_attempts=9,
            enforce_multipath=True)
        connector.connect_volume(PROPS)
        assert engine.calls[0][1][1] == {**settings, 'use_multipath': True,
                                         'device_scan_attempts': 9,
                                         'portal_grace_period': 0.5}

    @pytest.mark.parametrize('protocol', ['NVME', 'NVMEOF', 'nvmeof'])
    def test_cf_05_both_names_give_the_connector(self, protocol):
        made = connector_factory.InitiatorConnector.factory(protocol, None)
        assert type(made) is nvmeof.NVMeOFConnector
        assert connector_factory.NVMeOFConnector is nvmeof.NVMeOFConnector

    @pytest.mark.parametrize('props', [None, [], 'target_nqn', 5])
    def test_properties_must_be_a_dictionary(self, connector, engine, props):
        for call in (connector.connect_volume, connector.extend_volume,
                     lambda given: connector.disconnect_volume(given, None)):
            with pytest.raises(exception.InvalidParameterValue,
                               match='connection_properties must be a dictionary, not '):
                call(props)
        assert engine.calls == []

    @pytest.mark.parametrize('portals', [[object()], [['a', object()]], {'a': {1: 2}},
                                         [[[[[['deep']]]]]]])
    def test_values_must_be_plain(self, connector, engine, portals):
        with pytest.raises(exception.InvalidParameterValue, match='portals'):
            connector.connect_volume({**PROPS, 'portals': portals})
        assert engine.calls == []

    @pytest.mark.parametrize('props, info, path', [
        ({}, None, None), ({}, {'path': '/dev/nvme0n1'}, '/dev/nvme0n1'),
        ({'device_path': '/dev/nvme0n1'}, None, '/dev/nvme0n1'), ({}, object(), None)])
    def test_disconnect(self, connector, engine, settings, props, info, path):
        assert connector.disconnect_volume({**PROPS, **props}, info) is None
        assert engine.calls == [('disconnect_volume',
                                 ({**PROPS, **props}, path, settings, False, None))]

    def test_errors_of_a_forced_detach(self, connector, engine, caplog):
        engine.answers['disconnect_volume'] = ['no flush']
        with pytest.raises(exception.ExceptionChainer, match='no flush'):
            connector.disconnect_volume(PROPS, None, force=True)
        connector.disconnect_volume(PROPS, None, force=True, ignore_errors=True)
        assert 'no flush' in caplog.text

    def test_extend(self, connector, engine, settings):
        assert connector.extend_volume(PROPS) == 2147483648
        assert engine.calls == [('extend_volume', (PROPS, settings, None))]

    def test_paths(self, connector, engine, settings):
        del settings['lock_path']
        engine.answers['volume_paths'] = ['/dev/nvme0n1']
        assert connector.get_volume_paths(PROPS) == ['/dev/nvme0n1']
        assert connector.get_volume_paths(PROPS, {'path': '/dev/x'}) == ['/dev/x']
        assert connector.get_volume_paths({**PROPS, 'device_path': '/dev/y'}) == ['/dev/y']
        assert engine.calls == [('volume_paths', (PROPS, settings, None))]

    def test_paths_of_an_instance(self, connector, engine, monkeypatch):
        monkeypatch.setattr(nvmeof.Target, '_get_nvme_devices', lambda self: [])
        connector.get_volume_paths(nvmeof.NVMeOFConnProps(PROPS))
        assert engine.calls[0][1][0] == PROPS

    def test_px_10_own_execute(self, engine, monkeypatch, settings):
        for name in ('connect_volume', 'disconnect_volume', 'extend_volume', 'volume_paths'):
            monkeypatch.setattr(priv_nvmeof, name, None)
        connector = nvmeof.NVMeOFConnector('sudo', execute=lambda *cmd, **kw: (cmd, kw))
        connector.connect_volume(PROPS)
        connector.disconnect_volume(PROPS, None, force=True)
        connector.extend_volume(PROPS)
        connector.get_volume_paths(PROPS)
        assert [name for name, _args in engine.calls] == [
            'connect_volume', 'disconnect_volume', 'extend_volume', 'volume_paths']
        assert all(args[-1]('nvme')[1] == {'root_helper': 'sudo'}
                   for _name, args in engine.calls)
        assert engine.calls[1][1][:4] == (PROPS, None, settings, True)

    def test_nv_26_a_host_without_a_name_gets_one_once(self, connector, named_host,
                                                       monkeypatch):
        (named_host / 'hostnqn').unlink()
        monkeypatch.setattr(priv_nvmeof, 'get_system_uuid', lambda: UUID)
        connector.connect_volume(PROPS)
        assert (named_host / 'hostnqn').read_text() == priv_nvmeof._NQN_PREFIX + UUID
        monkeypatch.setattr(priv_nvmeof, 'get_system_uuid', None)
        connector.connect_volume(PROPS)


class TestEncrypted:
    """EN-04"""

    ENCRYPTED = {**PROPS, 'encrypted': True}

    def test_en_04_connect_returns_the_link(self, connector, links):
        assert connector.connect_volume(self.ENCRYPTED)['path'] == LINK
        assert links == [('link', '/dev/nvme0n1', LINK)]

    def test_en_04_a_failed_link_undoes_the_attach(self, connector, engine, settings,
                                                   monkeypatch):
        def fail(*args, **kwargs):
            raise OSError('no link')

        monkeypatch.setattr(rootwrap, 'link_root', fail)
        with pytest.raises(OSError, match='^no link$'):
            connector.connect_volume(self.ENCRYPTED)
        assert engine.calls[1] == (
            'disconnect_volume', (self.ENCRYPTED, '/dev/nvme0n1', settings, True, None))

    @pytest.mark.parametrize('props, info', [
        (ENCRYPTED, {'path': LINK}), ({**ENCRYPTED, 'device_path': LINK}, None),
        (ENCRYPTED, None)])
    def test_en_04_disconnect_uses_the_device_and_removes_the_link(
            self, connector, engine, links, monkeypatch, props, info):
        engine.answers['volume_paths'] = ['/dev/nvme0n1']
        monkeypatch.setattr(encrypted_volume.os.path, 'islink', lambda path: path == LINK)
        connector.disconnect_volume(props, info)
        (_name, args) = engine.calls[-1]
        assert args[1] == ('/dev/nvme0n1' if info or 'device_path' in props else None)
        assert args[0].get('device_path', '/dev/nvme0n1') == '/dev/nvme0n1'
        assert links == [('unlink', LINK)]

    def test_en_04_extend_uses_the_device(self, connector, engine):
        connector.extend_volume({**self.ENCRYPTED, 'device_path': LINK})
        assert engine.calls[0][1][0]['device_path'] == '/dev/nvme0n1'


class TestHost:
    """What get_connector_properties tells, from a host whose commands answer as set."""

    @pytest.fixture(autouse=True)
    def commands(self, monkeypatch):
        self.answers = {('findmnt', '-v', '/', '-n', '-o', 'SOURCE'): '/dev/vda\n',
                        ('blkid', '/dev/vda', '-s', 'UUID', '-o', 'value'): 'root-uuid\n',
                        ('nvme', 'version'): 'nvme version 2.3\n'}
        monkeypatch.setattr(rootwrap, 'custom_execute', self.execute)
        monkeypatch.setattr(priv_nvmeof, 'get_system_uuid', lambda: UUID)
        monkeypatch.setattr(nvmeof.utils, 'get_host_nqn', lambda uuid: f'nqn {uuid}')
        monkeypatch.setattr(nvmeof.utils, 'get_nvme_host_id', lambda uuid: f'id {uuid}')

    def execute(self, *cmd, **kwargs):
        answer = self.answers[cmd]
        if isinstance(answer, Exception):
            raise answer
        return answer, ''

    def ask(self):
        return nvmeof.NVMeOFConnector.get_connector_properties('sudo', execute=self.execute)

    def test_nv_34_nv_39_all_of_it(self):
        assert self.ask() == {'nvme_hostid': f'id {UUID}', 'uuid': 'root-uuid',
                              'system uuid': UUID, 'nqn': f'nqn {UUID}',
                              'nvme_native_multipath': True}

    def test_nv_31_without_nvme_cli(self, caplog):
        self.answers['nvme', 'version'] = FileNotFoundError(errno.ENOENT, 'nvme')
        assert self.ask() == {'uuid': 'root-uuid', 'system uuid': UUID,
                              'nvme_native_multipath': True}
        assert caplog.text == ''

    def test_nv_35_a_container_has_no_root_device(self, caplog):
        self.answers['findmnt', '-v', '/', '-n', '-o', 'SOURCE'] = 'overlay\n'
        assert 'uuid' not in self.ask()
        assert caplog.text == ''

    def test_nv_36_a_blank_device_has_no_type(self):
        seen = []
        connector = nvmeof.NVMeOFConnector(
            None, execute=lambda *cmd, **kwargs: seen.append((cmd, kwargs)) or ('', ''))
        assert connector._get_fs_type('/dev/nvme0n1') is None
        assert seen[0][0] == ('blkid', '/dev/nvme0n1', '-s', 'TYPE', '-o', 'value')
        assert seen[0][1]['check_exit_code'] is False

    def test_nv_40_the_kernels_multipath(self, monkeypatch, tmp_path):
        for text, expected in (('Y\n', True), ('N\n', False), (None, False)):
            path = tmp_path / 'multipath'
            path.unlink(missing_ok=True)
            if text:
                path.write_text(text)
            monkeypatch.setattr(nvmeof, '_MULTIPATH', str(path))
            monkeypatch.setattr(nvmeof.NVMeOFConnector, 'native_multipath_supported', None)
            assert self.ask()['nvme_native_multipath'] is expected


class TestSystemUuid:

    @pytest.fixture(autouse=True)
    def board(self, monkeypatch, tmp_path):
        monkeypatch.setattr(priv_nvmeof, '_PRODUCT_UUID', str(tmp_path / 'product_uuid'))
        return tmp_path / 'product_uuid'

    def test_nv_33_from_sysfs(self, board):
        board.write_text(f'{UUID}\n')
        assert priv_nvmeof.get_system_uuid() == UUID

    @pytest.mark.parametrize('answer, expected', [
        ((f'{UUID}\n', ''), UUID), (FileNotFoundError(errno.ENOENT, 'dmidecode'), ''),
        (putils.ProcessExecutionError(exit_code=1), '')])
    def test_nv_32_from_dmidecode_or_not_at_all(self, monkeypatch, caplog, answer, expected):
        def execute(*cmd, **kwargs):
            assert cmd == ('dmidecode', '-ssystem-uuid')
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(rootwrap, 'custom_execute', execute)
        assert priv_nvmeof.get_system_uuid() == expected
        assert caplog.text == ''


class Commands:
    """Runs mdadm and nvme as a host would that answers each command as set."""

    def __init__(self, **answers):
        self.answers, self.done = answers, []

    def __call__(self, *cmd, **kwargs):
        self.done.append(cmd)
        answer = self.answers.get(cmd[0] + cmd[1].replace('-', '_'), ('', ''))
        if isinstance(answer, list):
            answer = answer.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


FAILED = putils.ProcessExecutionError(exit_code=1, stderr='busy')


class TestSingleCommands:

    @pytest.fixture(autouse=True)
    def no_sleep(self, monkeypatch):
        monkeypatch.setattr(nvmeof_raid.time, 'sleep', lambda seconds: None)

    def make(self, **answers):
        run = Commands(**answers)
        return nvmeof.NVMeOFConnector('sudo', execute=run), run

    def test_run_nvme_cli(self):
        connector, run = self.make(nvmediscover=('out', 'err'))
        assert connector.run_nvme_cli(['discover', '-t', 'tcp']) == ('out', 'err')
        assert run.done == [('nvme', 'discover', '-t', 'tcp')]

    def test_rescan(self):
        connector, run = self.make(nvmens_rescan=FAILED)
        with pytest.raises(exception.CommandExecutionFailed):
            connector.rescan('nvme0')
        assert run.done == [('nvme', 'ns-rescan', '/dev/nvme0')]

    def test_md_08_assemble(self):
        connector, run = self.make()
        assert connector.assemble_raid(['/dev/a', '/dev/b'], '/dev/md/v', True) is True
        assert run.done == [('mdadm', '--assemble', '--run', '/dev/md/v', '-o', '/dev/a',
                             '/dev/b')]

    def test_x_14_assembling_that_fails_is_an_error(self):
        connector, run = self.make(mdadm__assemble=FAILED)
        with pytest.raises(putils.ProcessExecutionError):
            connector.stop_and_assemble_raid(['/dev/a'], '/dev/md/v', False)
        assert len(run.done) == 5

    def test_md_05_create(self, monkeypatch):
        connector, run = self.make()
        seen = iter([False, False, True])
        monkeypatch.setattr(nvmeof_raid.os.path, 'exists', lambda path: next(seen))
        connector.create_raid(['/dev/a', '/dev/b'], '1', 'v', 'v', False)
        assert run.done == [('mdadm', '-C', 'v', '-R', '-N', 'v', '--level', '1',
                             '--raid-devices=2', '--bitmap=internal', '--homehost=any',
                             '--failfast', '--assume-clean', '/dev/a', '/dev/b')]
        monkeypatch.setattr(nvmeof_raid.os.path, 'exists', lambda path: False)
        with pytest.raises(exception.NotFound, match='md: /dev/md/v not found.'):
            connector.create_raid(['/dev/a', '/dev/b'], '1', 'v', 'v', False)

    def test_md_06_end(self, monkeypatch):
        connector, run = self.make(mdadm__detail=('/dev/md/v:\n', ''),
                                   mdadm__stop=[FAILED, FAILED, ('', '')])
        monkeypatch.setattr(nvmeof_raid.os.path, 'exists', lambda path: True)
        connector.end_raid('/dev/md/v')
        assert [cmd[1] for cmd in run.done] == ['--detail', '--stop', '--stop', '--stop',
                                                '--remove']

    def test_md_06_end_that_never_ends(self):
        connector, run = self.make(mdadm__detail=('/dev/md/v:\n', ''), mdadm__stop=FAILED)
        with pytest.raises(putils.ProcessExecutionError):
            connector.end_raid('/dev/md/v')

    def test_md_10_the_array_of_a_leg(self, monkeypatch, tmp_path):
        mdstat = tmp_path / 'mdstat'
        mdstat.write_text('Personalities : [raid1]\n'
                          'md126 : active raid1 nvme1n10[0]\n      1 blocks\n'
                          'md127 : active raid1 nvme0n1[1](F) nvme1n1[0]\n')
        real = open
        monkeypatch.setattr('builtins.open', lambda path, *args: real(
            mdstat if path == '/proc/mdstat' else path, *args))
        assert nvmeof.NVMeOFConnector.get_md_name('nvme1n1') == 'md127'
        assert nvmeof.NVMeOFConnector.get_md_name('nvme2n1') is None
        mdstat.unlink()
        assert nvmeof.NVMeOFConnector.get_md_name('nvme1n1') is None
