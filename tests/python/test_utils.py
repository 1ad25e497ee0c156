# SPDX-License-Identifier: Apache-2.0
import types

import pytest

from oslo_concurrency import processutils as putils

from os_brick import exception
from os_brick import executor
from os_brick import utils
from os_brick.privileged import devices as priv_devices
from os_brick.privileged import nvmeof as priv_nvme


class TestRetry:
    """PX-09."""

    @pytest.fixture
    def sleeps(self, monkeypatch):
        waits = []
        monkeypatch.setattr(utils, '_time_sleep', waits.append)
        return waits

    @staticmethod
    def failing(times, exc):
        left = [exc] * times

        def function(value):
            if left:
                raise left.pop()
            return value
        return function

    def test_waits(self, sleeps):
        decorated = utils.retry(ValueError, retries=4)(self.failing(3, ValueError()))
        assert decorated('x') == 'x'
        assert sleeps == [1, 2, 4]

    def test_interval_and_rate(self, sleeps):
        utils.retry(ValueError, interval=3, backoff_rate=10)(self.failing(2, ValueError()))(1)
        assert sleeps == [3, 30]

    def test_the_last_exception_is_raised(self, sleeps):
        with pytest.raises(ValueError, match='^why$'):
            utils.retry(ValueError)(self.failing(9, ValueError('why')))(1)
        assert sleeps == [1, 2]

    def test_other_exceptions_pass(self, sleeps):
        with pytest.raises(KeyError):
            utils.retry((ValueError, TypeError))(self.failing(1, KeyError()))(1)
        assert sleeps == []

    def test_less_than_one_attempt(self):
        with pytest.raises(ValueError):
            utils.retry(ValueError, retries=0)

    def test_exit_codes(self, sleeps):
        decorate = utils.retry((5, 6), retry=utils.retry_if_exit_code)
        fails_with_6 = self.failing(1, putils.ProcessExecutionError(exit_code=6))
        assert decorate(fails_with_6)(7) == 7
        with pytest.raises(putils.ProcessExecutionError):
            decorate(self.failing(1, putils.ProcessExecutionError(exit_code=1)))(7)
        assert sleeps == [1]
        assert utils.retry_if_exit_code(6).codes == (6,)


class TestTrace:
    """SE-03, SE-04."""

    class Traced:
        @utils.trace
        def work(self, props, extra=None):
            if extra == 'raise':
                raise ValueError("{'auth_password': 'hunter2'} refused")
            return {'path': '/dev/sda', 'nested': [{'auth_password': 'hunter2'}]}

        @utils.trace
        def text(self):
            return "auth_password = 'hunter2'"

    SECRETS = {'target_iqn': 'iqn.a', 'auth_password': 'hunter2',
               'discovery_auth_password': 'hunter2"\'x', 'deep': [({'secret': 'hunter2'},)],
               'keyring': 'hunter2'}

    def test_arguments_results_and_names(self, debug_log):
        self.Traced().work(self.SECRETS)
        messages = [record.getMessage() for record in debug_log.records]
        assert messages[0].startswith("==> work: call {'self': ")
        assert "'target_iqn': 'iqn.a'" in messages[0]
        assert messages[1].startswith('<== work: return (')
        assert messages[1].endswith("{'path': '/dev/sda', "
                                    "'nested': [{'auth_password': '***'}]}")
        assert 'hunter2' not in debug_log.text

    def test_what_follows_a_secret_stays_readable(self, debug_log):
        self.Traced().work({'auth_password': 'hunter2', 'target_lun': 9})
        assert "{'auth_password': '***', 'target_lun': 9}" in debug_log.text

    def test_text_results(self, debug_log):
        assert self.Traced().text() == "auth_password = 'hunter2'"
        assert 'hunter2' not in debug_log.text

    def test_exceptions_pass_and_are_masked(self, debug_log):
        with pytest.raises(ValueError, match='hunter2'):
            self.Traced().work({}, extra='raise')
        assert '<== work: exception (' in debug_log.text
        assert 'hunter2' not in debug_log.text

    def test_the_logger_is_that_of_the_owners_module(self, debug_log):
        self.Traced().text()
        assert {record.name for record in debug_log.records} == {__name__}

    def test_cyclic_data_ends(self, debug_log):
        props = {'auth_password': 'hunter2'}
        props['self'] = props
        self.Traced().work(props)
        assert 'hunter2' not in debug_log.text
        assert "'self': ...}" in debug_log.text

    def test_nothing_is_logged_above_debug(self, caplog):
        caplog.set_level('INFO')
        self.Traced().work(self.SECRETS)
        assert caplog.records == []


@pytest.mark.parametrize('current, wanted, fits', [
    ('x86_64', 'ALL', True), ('s390x', 'S390X', True), ('s390x', 's390', False),
    ('x86_64', 'PPC64', False)])
def test_platform_matches(current, wanted, fits):
    assert utils.platform_matches(current, wanted) is fits


@pytest.mark.parametrize('current, wanted, fits', [
    ('linux2', 'LINUX', True), ('linux', 'all', True), ('win32', 'LINUX', False)])
def test_os_matches(current, wanted, fits):
    assert utils.os_matches(current, wanted) is fits


def test_merge_dict():
    first = {'a': 1, 'b': 1}
    assert utils.merge_dict(first, {'b': 2}) == {'a': 1, 'b': 2}
    assert first == {'a': 1, 'b': 1}
    with pytest.raises(Exception, match='^dict2 is not a dictionary$'):
        utils.merge_dict({}, None)


class TestDevices:

    @staticmethod
    def own_execute(out='', err='', exc=None):
        calls = []

        def execute(*cmd, **kwargs):
            calls.append((cmd, kwargs))
            if exc:
                raise exc
            return out, err
        return executor.Executor('sudo', execute=execute), calls

    @pytest.mark.parametrize('out, size', [('1073741824\n', 1073741824), ('none', None),
                                           ('', None)])
    def test_sc_01_size_through_an_own_execute(self, out, size):
        holder, calls = self.own_execute(out)
        assert utils.get_device_size(holder, '/dev/sda') == size
        assert calls == [(('blockdev', '--getsize64', '/dev/sda'),
                          {'run_as_root': True, 'root_helper': 'sudo'})]

    def test_size_by_the_typed_verb(self, tmp_path):
        path = tmp_path / 'disk'
        path.write_bytes(b'x' * 4096)
        assert utils.get_device_size(executor.Executor(None), str(path)) == 4096
        with pytest.raises(putils.ProcessExecutionError):
            utils.get_device_size(executor.Executor(None), str(tmp_path / 'none'))

    def test_sc_13_validity_through_an_own_execute(self):
        holder, calls = self.own_execute('', '1+0 records')
        assert utils.check_valid_device(holder, '/dev/sda') is True
        assert calls == [(('dd', 'if=/dev/sda', 'of=/dev/null', 'count=1'),
                          {'run_as_root': True, 'root_helper': 'sudo'})]
        holder, _calls = self.own_execute('', None)
        assert utils.check_valid_device(holder, '/dev/sda') is False

    def test_sc_13_an_error_is_false(self, caplog, tmp_path):
        holder, _calls = self.own_execute(exc=putils.ProcessExecutionError(stderr='I/O error'))
        assert utils.check_valid_device(holder, '/dev/sda') is False
        assert utils.check_valid_device(executor.Executor(None), str(tmp_path)) is False
        assert utils.check_valid_device(executor.Executor(None), '/dev/none') is False
        assert 'I/O error' in caplog.text

    def test_validity_by_the_typed_verb(self, monkeypatch, tmp_path):
        path = tmp_path / 'disk'
        path.write_bytes(b'x')
        assert utils.check_valid_device(executor.Executor(None), str(path)) is True
        monkeypatch.setattr(priv_devices, 'read_error', lambda path: 'gone')
        assert utils.check_valid_device(executor.Executor(None), str(path)) is False


class TestHostIdentity:
    """NV-26, NV-28, NV-29, NV-30."""

    @pytest.fixture(autouse=True)
    def etc(self, monkeypatch, tmp_path):
        monkeypatch.setattr(priv_nvme, '_NVME_DIR', str(tmp_path / 'nvme'))
        self.etc = tmp_path / 'nvme'
        self.commands = {}

        def execute(*cmd, **kwargs):
            answer = self.commands[cmd]
            if isinstance(answer, Exception):
                raise answer
            return answer, ''
        monkeypatch.setattr(priv_nvme.rootwrap, 'custom_execute', execute)

    def check_file(self, name, text):
        path = self.etc / name
        assert path.read_text() == text
        assert path.stat().st_mode & 0o777 == 0o644
        assert [entry.name for entry in self.etc.iterdir()] == [name]

    def test_nqn_from_the_system(self):
        nqn = 'nqn.2014-08.org.nvmexpress:uuid:u-1'
        assert priv_nvme.create_hostnqn('u-1') == nqn
        self.check_file('hostnqn', nqn)

    def test_nqn_that_nvme_cli_knows(self):
        self.commands = {('nvme', 'show-hostnqn'): 'nqn.known\n'}
        assert priv_nvme.create_hostnqn() == 'nqn.known'
        self.check_file('hostnqn', 'nqn.known')

    @pytest.mark.parametrize('exc', [
        putils.ProcessExecutionError(stderr='ERROR: Invalid sub-command', exit_code=231),
        putils.ProcessExecutionError(stdout='hostnqn is not available -- use gen', exit_code=1),
        putils.ProcessExecutionError(exit_code=2)])
    def test_nqn_that_is_generated(self, exc):
        self.commands = {('nvme', 'show-hostnqn'): exc, ('nvme', 'gen-hostnqn'): 'nqn.new\n'}
        assert priv_nvme.create_hostnqn() == 'nqn.new'
        self.check_file('hostnqn', 'nqn.new')

    def test_another_failure_writes_nothing(self, caplog):
        self.commands = {('nvme', 'show-hostnqn'): putils.ProcessExecutionError(exit_code=5)}
        assert priv_nvme.create_hostnqn() == ''
        assert not self.etc.exists()
        assert 'Could not generate host nqn' in caplog.text

    def test_host_id(self):
        assert priv_nvme.create_hostid('u-2') == 'u-2'
        self.check_file('hostid', 'u-2\n')

    def test_a_missing_file_is_created(self, monkeypatch):
        made = []
        monkeypatch.setattr('builtins.open', lambda *args: (_ for _ in ()).throw(
            FileNotFoundError()))
        monkeypatch.setattr(priv_nvme, 'create_hostnqn',
                            lambda uuid: made.append(uuid) or 'nqn.made')
        monkeypatch.setattr(priv_nvme, 'create_hostid', lambda uuid: made.append(uuid) or uuid)
        assert utils.get_host_nqn('u-3') == 'nqn.made'
        assert utils.get_nvme_host_id('u-4') == 'u-4'
        assert len(utils.get_nvme_host_id(None)) == 36
        assert made[:2] == ['u-3', 'u-4']


@pytest.mark.parametrize('kind, passphrase', [('passphrase', 'abc'), ('symmetric', '616263'),
                                              ('opaque', '616263')])
def test_passphrase_from_secret(kind, passphrase):
    key = types.SimpleNamespace(managed_type=lambda: kind, get_encoded=lambda: b'abc')
    assert utils.get_passphrase_from_secret(key) == passphrase


def test_any_equals_everything():
    assert utils.ANY == 1 and 'x' == utils.ANY and not utils.ANY != None  # noqa: E711
    assert not utils.ANY < 1 and repr(utils.ANY) == '<Anything>'


def test_get_dev_path():
    props = {'device_path': b'/dev/from-props'}
    assert utils.get_dev_path(props, {'path': '/dev/sda'}) == '/dev/sda'
    assert utils.get_dev_path(props, {'path': b'/dev/sda'}) == '/dev/sda'
    assert utils.get_dev_path(props, None) == '/dev/from-props'
    assert utils.get_dev_path(props, {'path': ''}) == '/dev/from-props'
    assert utils.get_dev_path({}, {}) == ''


def test_get_dev_path_passes_over_foreign_objects():
    class Volume:
        def get(self, key):
            raise AttributeError(key)

    assert utils.get_dev_path({'device_path': '/dev/sda'}, Volume()) == '/dev/sda'
    assert utils.get_dev_path({'device_path': '/dev/sda'}, object()) == '/dev/sda'


def test_convert_str():
    assert (utils.convert_str(b'a'), utils.convert_str('b')) == ('a', 'b')


def test_brick_exceptions_of_retry_are_kept():
    @utils.retry(exception.BrickException, retries=1)
    def fail():
        raise exception.VolumeDeviceNotFound(device='d')

    with pytest.raises(exception.VolumeDeviceNotFound, match='^Volume device not found at d.$'):
        fail()
