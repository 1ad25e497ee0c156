# SPDX-License-Identifier: Apache-2.0
"""LightOSConnector and the discovery client: its files, the monitor, its metrics."""

import http.server
import os
import socket
import stat
import threading
import types

import psutil
import pytest

from oslo_utils import netutils

from os_brick import exception
from os_brick import utils
from os_brick.initiator import connector as factory
from os_brick.initiator.connectors import lightos
from os_brick.privileged import lightos as priv_lightos

import lightos_host
from lightos_host import CONTENT, HOST_NQN, OTHER, PROPS, SUBSYSTEM, UUID


class TestFiles(lightos_host.Host):
    """What becomes visible below the client's directory, and when."""

    @pytest.fixture
    def source(self, tmp_path):
        path = tmp_path / 'source'
        path.write_text('content')
        return str(path)

    def test_the_file_appears_whole(self, client, source, monkeypatch):
        seen = []
        rename = os.rename

        def watched(old, new):
            seen.append([(name[:7], text) for name, text in client.files().items()])
            rename(old, new)
        monkeypatch.setattr(priv_lightos.os, 'rename', watched)
        target = str(client.directory / 'v.conf')
        assert priv_lightos.move_dsc_file(source, target) == target
        # A name the client passes over.
        assert seen == [[('tmp.dc.', 'content')]]
        assert client.files() == {'v.conf': 'content'}
        assert stat.S_IMODE(os.stat(target).st_mode) == 0o600
        assert not os.path.exists(source)

    def test_a_failure_leaves_nothing(self, client, source, monkeypatch):
        def fail(*args):
            raise OSError('no rename')
        monkeypatch.setattr(priv_lightos.os, 'rename', fail)
        with pytest.raises(OSError, match='^no rename$'):
            priv_lightos.move_dsc_file(source, str(client.directory / 'v.conf'))
        assert client.files() == {}
        assert os.path.exists(source)

    def test_a_source_that_may_not_be_removed_is_left(self, client, source, monkeypatch):
        unlink = os.unlink

        def sticky(path):
            if path == source:
                raise PermissionError(1, 'sticky')
            unlink(path)
        monkeypatch.setattr(priv_lightos.os, 'unlink', sticky)
        priv_lightos.move_dsc_file(source, str(client.directory / 'v.conf'))
        assert client.files() == {'v.conf': 'content'}

    def test_a_source_that_is_no_file_is_refused(self, client, source, tmp_path):
        os.symlink(source, tmp_path / 'link')
        for path in (tmp_path / 'link', tmp_path):
            with pytest.raises((OSError, exception.InvalidParameterValue)):
                priv_lightos.move_dsc_file(str(path), str(client.directory / 'v.conf'))
        assert client.files() == {}

    @pytest.mark.parametrize('path', ['v.conf', '/etc/passwd', None, 5])
    def test_only_discovery_files_are_touched(self, source, path):
        for call in (priv_lightos.delete_dsc_file,
                     lambda given: priv_lightos.move_dsc_file(source, given)):
            with pytest.raises(exception.InvalidParameterValue, match='^a discovery file must be'):
                call(path)

    def test_removing_what_is_not_there(self, client):
        assert priv_lightos.delete_dsc_file(str(client.directory / 'v.conf')) is None


class TestMonitor(lightos_host.Host):

    def run(self, connector, client, db, messages, steps):
        """Run the monitor in its thread; before each of its waits it takes a step."""
        left = iter(steps)
        client.sleep = lambda seconds: next(left, lambda: messages.put(('stop', None)))()
        thread = threading.Thread(target=connector.lightos_monitor, args=(db, messages))
        thread.start()
        thread.join(60)
        assert not thread.is_alive()

    def test_files_are_restored_and_the_thread_ends(self, connector, client, messages):
        seen = []
        self.run(connector, client, {UUID: PROPS}, messages, [
            lambda: seen.append(client.files()),
            lambda: (client.directory / f'{UUID}.conf').unlink(),
            lambda: seen.append(client.files()),
            lambda: seen.append(client.files())])
        assert seen == 3 * [{f'{UUID}.conf': CONTENT}]

    def test_messages_are_followed(self, connector, client, messages):
        db = {}
        self.run(connector, client, db, messages, [
            lambda: messages.put(('add', PROPS)),
            lambda: (messages.put(('delete', PROPS)),
                     priv_lightos.delete_dsc_file(connector.dsc_file_name(UUID)))])
        assert (db, client.files()) == ({}, {})

    def test_one_failure_holds_up_no_other_and_is_told_once(self, connector, client, messages,
                                                            caplog):
        broken = {'uuid': OTHER, 'subsysnqn': SUBSYSTEM}
        self.run(connector, client, {OTHER: broken, UUID: PROPS}, messages,
                 [lambda: None, lambda: None])
        assert client.files() == {f'{UUID}.conf': CONTENT}
        assert [record.getMessage() for record in caplog.records
                if record.name == lightos.__name__ and record.levelname == 'WARNING'] == [
            f'LIGHTOS: volume {OTHER} is not connected: '
            'connection_properties needs lightos_nodes, not None']

    def test_lo_02_a_detach_meets_the_monitor(self, connector, client, messages):
        """The monitor does not write the file again that a detach is about to remove."""
        connector.connect_volume(PROPS)
        db, threads = {}, []
        assert connector.monitor_message_queue(messages, db) is True
        assert db == {UUID: PROPS}

        def meanwhile():
            (client.directory / f'{UUID}.conf').unlink()
            threads.append(threading.Thread(target=connector._monitor_once, args=(db, messages)))
            threads[0].start()
        client.during_flush = meanwhile
        connector.disconnect_volume(PROPS, None)
        threads[0].join(60)
        assert (db, client.files()) == ({}, {})

    def test_a_delete_of_what_is_not_known(self, connector, messages, caplog):
        messages.put(('delete', PROPS))
        assert connector.monitor_message_queue(messages, {}) is True
        assert f'volume {UUID} is not known to the monitor' in caplog.text


class Metrics(http.server.BaseHTTPRequestHandler):
    """The metrics endpoint of a discovery client."""

    def do_HEAD(self):
        self.server.asked.append((self.command, self.path))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *args):
        pass


class Server6(http.server.HTTPServer):
    address_family = socket.AF_INET6


@pytest.fixture
def serve(configured):
    """Make a discovery client answer at an address; its option and the port follow."""
    running = []

    def start(address='127.0.0.1', status=200):
        kind = Server6 if ':' in address else http.server.HTTPServer
        server = kind((address, 0), Metrics)
        server.asked, server.status = [], status
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        running.append((server, thread))
        configured.set_override('lightos_discovery_client_address', address, group='os_brick')
        configured.set_override('lightos_discovery_client_port', server.server_port,
                                group='os_brick')
        return server

    yield start
    for server, thread in running:
        server.shutdown()
        thread.join(60)
        server.server_close()
    configured.clear_override('lightos_discovery_client_address', group='os_brick')
    configured.clear_override('lightos_discovery_client_port', group='os_brick')


class TestHost(lightos_host.Host):

    def test_lo_06_defaults(self):
        (group, options), = lightos.list_opts()
        assert group == 'os_brick'
        assert {option.name: option.default for option in options} == {
            'lightos_discovery_client_address': 'localhost',
            'lightos_discovery_client_port': 6060,
            'lightos_discovery_client_dir_path': '/etc/discovery-client/discovery.d/'}
        made = lightos.LightOSConnector(None)
        assert (made.discovery_address, made.discovery_port, made.dsc_file_name('v')) == (
            'localhost', 6060, '/etc/discovery-client/discovery.d/v.conf')
        assert made.device_scan_attempts == 5

    @pytest.mark.parametrize('status, found', [(200, 'found'), (404, ''), (500, '')])
    def test_lo_06_the_client_is_asked_where_the_options_say(self, serve, status, found):
        server = serve(status=status)
        assert lightos.LightOSConnector(None).find_dsc() == found
        assert server.asked == [('HEAD', '/metrics')]

    @pytest.mark.skipif(not netutils.is_ipv6_enabled(), reason='this host has no IPv6')
    def test_lo_06_an_ipv6_address(self, serve):
        try:
            serve('::1')
        except OSError:
            pytest.skip('this host has no IPv6 loopback')
        assert lightos.LightOSConnector(None).find_dsc() == 'found'

    def test_lo_06_nobody_there(self, serve):
        server = serve()
        server.shutdown()
        server.socket.close()
        assert lightos.LightOSConnector(None).find_dsc() == ''

    def test_lo_06_a_client_that_says_nothing_is_given_up(self, configured, monkeypatch):
        monkeypatch.setattr(lightos, '_ANSWER_TIMEOUT', 0.01)
        with socket.create_server(('127.0.0.1', 0)) as silent:
            made = lightos.LightOSConnector(None)
            made.discovery_address, made.discovery_port = silent.getsockname()
            assert made.find_dsc() == ''

    def addresses(self, monkeypatch):
        def entries(*addresses):
            return [types.SimpleNamespace(address=address) for address in addresses]
        monkeypatch.setattr(psutil, 'net_if_addrs', lambda: {
            'lo': entries('127.0.0.1', '::1'),
            'eth0': entries('10.0.0.5', 'fe80::1%eth0', '', None, '52:54:00:12:34:56'),
            'eth1': entries('2001:db8::5')})

    def test_lo_05_addresses_have_no_scope(self, monkeypatch):
        self.addresses(monkeypatch)
        monkeypatch.setattr(netutils, 'is_ipv6_enabled', lambda: True)
        assert lightos.LightOSConnector.get_ip_addresses() == [
            '10.0.0.5', 'fe80::1', '2001:db8::5']

    def test_lo_05_no_ipv6_where_it_is_disabled(self, monkeypatch):
        self.addresses(monkeypatch)
        monkeypatch.setattr(netutils, 'is_ipv6_enabled', lambda: False)
        assert lightos.LightOSConnector.get_ip_addresses() == ['10.0.0.5']

    def test_lo_06_properties(self, client, serve, monkeypatch):
        serve()
        monkeypatch.setattr(lightos.LightOSConnector, 'get_ip_addresses', lambda self: ['ip'])
        expected = {'nqn': HOST_NQN, 'found_dsc': 'found', 'host_ips': ['ip']}
        assert lightos.LightOSConnector.get_connector_properties(None) == expected
        # Cinder's driver asks an instance.
        assert lightos.LightOSConnector(None).get_connector_properties('sudo') == expected

    def test_no_nqn_no_properties(self, client, monkeypatch):
        monkeypatch.setattr(utils, 'get_host_nqn', lambda: '')
        assert lightos.LightOSConnector.get_connector_properties(None) == {}

    def test_the_factory(self, client):
        made = factory.InitiatorConnector.factory(
            'lightos', root_helper='sudo', message_queue=None, device_scan_attempts=7)
        assert type(made) is lightos.LightOSConnector
        assert (made.device_scan_attempts, made.message_queue) == (7, None)
