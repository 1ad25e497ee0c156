# SPDX-License-Identifier: Apache-2.0
"""What root does for PowerFlex: the control device of the SDC, and the account's file."""

import os
import socket
import threading

import pytest

from powerflex_gateway import GUID
from powerflex_host import conf, sdc

from oslo_privsep import comm
from oslo_privsep import daemon

from os_brick import exception
from os_brick import privileged
from os_brick.privileged import scaleio

SECRET = 'hunter2'


def open_files():
    return set(os.listdir('/proc/self/fd'))


class TestControlDevice:
    """SI-04: no program of the vendor's, and no descriptor stays open."""

    def test_the_guid_stands_behind_the_return_code(self, sdc):
        before = open_files()
        assert scaleio.get_guid(0x610e) == GUID
        assert (sdc.operations, open_files()) == ([(0x610e, 24)], before)

    def test_a_rescan(self, sdc):
        before = open_files()
        assert scaleio.rescan_vols(0x610a) is None
        assert (sdc.operations, open_files()) == ([(0x610a, 8)], before)

    @pytest.mark.parametrize('function, number', [(scaleio.get_guid, 0x610e),
                                                  (scaleio.rescan_vols, 0x610a)])
    def test_a_file_that_is_no_control_device(self, tmp_path, monkeypatch, function, number):
        """The kernel itself says so."""
        monkeypatch.setattr(scaleio, 'SCINI_DEVICE_PATH', str(tmp_path / 'scini'))
        with pytest.raises(FileNotFoundError):
            function(number)
        (tmp_path / 'scini').touch()
        before = open_files()
        with pytest.raises(OSError, match='Inappropriate ioctl for device'):
            function(number)
        assert open_files() == before

    def test_the_descriptor_is_not_inherited_and_closed_after_an_error(self, sdc):
        before = open_files()
        with pytest.raises(RuntimeError):
            with scaleio.open_scini_device() as descriptor:
                assert not os.get_inheritable(descriptor)
                raise RuntimeError
        assert open_files() == before


class TestAccount:

    def read(self, path, failed_over=False, group='backend'):
        return scaleio.get_connector_username_password(str(path), group, failed_over)

    @pytest.fixture(autouse=True)
    def here(self, sdc):
        pass

    @pytest.mark.parametrize('failed_over, account', [(False, ('me', 'mine')),
                                                      (True, ('you', 'yours'))])
    def test_si_05_both_accounts_of_a_section(self, conf, failed_over, account):
        conf.write_text('[other]\nsan_password = no\n[backend]\nsan_username = me\n'
                        'san_password = mine\nreplicating_san_username = you\n'
                        'replicating_san_password = yours\n')
        assert self.read(conf, failed_over) == account

    def test_si_17_a_file_of_an_older_release(self, conf):
        conf.write_text('[backend]\nsan_password = mine\nreplicating_san_password = yours\n')
        assert self.read(conf) == (None, 'mine')
        assert self.read(conf, True) == (None, 'yours')

    def test_si_05_a_common_section(self, conf):
        conf.write_text('[DEFAULT]\nsan_username = me\nsan_password = common\n[backend]\n')
        assert self.read(conf) == ('me', 'common')
        assert self.read(conf, group='DEFAULT') == ('me', 'common')

    @pytest.mark.parametrize('written, meant', [
        ('50%%', '50%'), ('50%', '50%'), ('a%b', 'a%b'), ('%(nobody)s', '%(nobody)s'),
        ('%(san_username)s!', 'me!'), ('"quoted"', '"quoted"'), ("it's", "it's"),
        ('a;b#c', 'a;b#c'), ('#hash', '#hash'), ('a = b : c', 'a = b : c'), ('pä€', 'pä€')])
    def test_si_05_passwords_with_signs_in_them(self, conf, written, meant):
        conf.write_text(f'[backend]\nsan_username = me\nsan_password = {written}\n',
                        encoding='utf-8')
        assert self.read(conf) == ('me', meant)

    @pytest.mark.parametrize('text, reason', [
        (f'san_password = {SECRET}\n',
         '{} is no configuration file: MissingSectionHeaderError in line 1'),
        (f'[backend]\n{SECRET}\n', '{} is no configuration file: ParsingError in line 2'),
        (f'[backend]\nsan_password = {SECRET}\nsan_password = {SECRET}\n',
         '{} is no configuration file: DuplicateOptionError in line 3'),
        (f'[other]\nsan_password = {SECRET}\n', 'there is no section backend in {}'),
        (f'[backend]\npassword = {SECRET}\n',
         'there is no san_password in the section backend of {}')])
    def test_si_14_an_error_shows_nothing_of_the_file(self, conf, text, reason):
        conf.write_text(text)
        with pytest.raises(exception.BrickException) as raised:
            self.read(conf)
        assert str(raised.value) == reason.format(conf)
        assert raised.value.__suppress_context__ or raised.value.__context__ is None

    def test_si_14_a_file_that_is_no_text(self, conf):
        conf.write_bytes(b'[backend]\nsan_password = \xff' + SECRET.encode())
        with pytest.raises(exception.BrickException) as raised:
            self.read(conf)
        assert raised.value.args == (f'{conf} is no configuration file: UnicodeDecodeError',)

    def test_no_file(self, tmp_path):
        with pytest.raises(exception.BrickException) as raised:
            self.read(tmp_path)
        assert str(raised.value) == ('ScaleIO connector configuration file is not found in path '
                                     f'{tmp_path}.')


class TestThroughADaemon:
    """SI-14: the account crosses privsep, whose daemon logs every reply at debug."""

    @pytest.fixture
    def channel(self):
        """A client of the loop of a daemon, which runs beside it with the same rights."""
        ours, its = socket.socketpair()
        context = privileged.brick_privsep_hide_output
        serving = daemon.Daemon(comm.ServerChannel(its), context)
        thread = threading.Thread(target=serving.loop, daemon=True)
        thread.start()
        client = comm.ClientChannel(ours)
        yield client
        ours.shutdown(socket.SHUT_RDWR)
        client.close()
        thread.join(30)
        serving.thread_pool.shutdown()
        its.close()

    def call(self, channel, *args):
        return channel.send_recv((comm.Message.CALL.value,
                                  'os_brick.privileged.scaleio.get_connector_username_password',
                                  args, {}))

    def test_the_reply_arrives_and_is_not_in_any_log(self, sdc, conf, channel, debug_log):
        conf.write_text(f'[backend]\nsan_username = me\nsan_password = {SECRET}\n')
        assert self.call(channel, str(conf), 'backend', False) == (
            comm.Message.RET.value, ('me', SECRET))
        assert "('me', '***')" in debug_log.text
        assert SECRET not in debug_log.text

    def test_an_error_is_without_it_too(self, sdc, conf, channel, debug_log):
        conf.write_text(f'[backend]\nsan_password {SECRET}\n')
        answer = self.call(channel, str(conf), 'backend', False)
        assert answer[:3] == (comm.Message.ERR.value, 'os_brick.exception.BrickException',
                              (f'{conf} is no configuration file: ParsingError in line 2',))
        assert SECRET not in repr(answer) + debug_log.text

    def test_it_is_the_context_whose_log_is_kept(self):
        function = scaleio.get_connector_username_password
        assert privileged.brick_privsep_hide_output.is_entrypoint(function)
        assert not privileged.default.is_entrypoint(function)
        assert privileged.default.is_entrypoint(scaleio.get_guid)
        assert privileged.default.is_entrypoint(scaleio.rescan_vols)
