# SPDX-License-Identifier: Apache-2.0
"""The REST client of a PowerFlex gateway: logins, certificates, and gateways that misbehave."""

import base64
import re
import socket

import pytest

import powerflex_gateway
from powerflex_host import CONF, NAME, VOLUME_ID
from powerflex_host import conf, connector, gateway, pauses, props, sdc

from os_brick import exception
from os_brick.initiator.connectors import scaleio_gateway

MAP = f'instances/Volume::{VOLUME_ID}/action/addMappedSdc'
UNMAP = f'instances/Volume::{VOLUME_ID}/action/removeMappedSdc'
LIMITS = f'instances/Volume::{VOLUME_ID}/action/setMappedSdcLimits'


def url(gateway):
    return f'https://127.0.0.1:{gateway.port}'


class TestAccount:

    def test_si_05_the_password_is_that_of_the_file(self, connector, gateway, conf, props):
        conf.write_text('[other]\nsan_password = wrong\n' + CONF)
        connector.connect_volume(props)
        assert gateway.logins == [('admin', 'secret-of-admin')]

    def test_si_05_of_the_system_that_replicates(self, connector, gateway, conf, props):
        conf.write_text(CONF + 'replicating_san_username = second\n'
                               'replicating_san_password = secret-of-second\n')
        gateway.accounts = {'second': 'secret-of-second'}
        connector.connect_volume({**props, 'failed_over': True})
        assert gateway.logins == [('second', 'secret-of-second')]

    def test_si_07_without_failed_over_it_is_the_first(self, connector, gateway, conf, props):
        del props['failed_over']
        conf.write_text(CONF + 'replicating_san_password = wrong\n')
        connector.connect_volume(props)
        assert gateway.logins == [('admin', 'secret-of-admin')]

    def test_si_06_an_attachment_with_its_password(self, connector, gateway, conf, props):
        conf.unlink()
        old = {**props, 'serverPassword': 'secret-of-admin', 'serverToken': 'stored'}
        del old['config_group'], old['failed_over']
        gateway.tokens.add(('admin', 'stored'))
        gateway.mappings.add((VOLUME_ID, powerflex_gateway.GUID))
        gateway.sdc.add(VOLUME_ID)
        connector.disconnect_volume(old, None)
        assert (gateway.mappings, gateway.actions()) == (set(), [UNMAP])

    def test_si_06_its_token_has_expired(self, connector, gateway, conf, props):
        conf.unlink()
        connector.connect_volume({**props, 'serverPassword': 'secret-of-admin',
                                  'serverToken': 'stored'})
        assert gateway.actions() == [MAP, 'login', MAP]

    @pytest.mark.parametrize('token', [{}, {'serverToken': None}, {'serverToken': ''}])
    def test_si_06_without_a_token(self, connector, gateway, props, token):
        connector.connect_volume({**props, 'serverPassword': 'secret-of-admin', **token})
        assert gateway.actions() == ['login', MAP]

    def test_si_17_the_user_of_the_file_wins(self, connector, gateway, props):
        connector.connect_volume({**props, 'serverUsername': 'from-before-the-rotation'})
        assert gateway.logins == [('admin', 'secret-of-admin')]
        assert connector.server_username == 'admin'

    def test_si_17_the_file_may_lack_it(self, connector, gateway, conf, props):
        conf.write_text('[backend]\nsan_password = secret-of-admin\n')
        connector.connect_volume(props)
        assert gateway.logins == [('admin', 'secret-of-admin')]

    def test_si_17_nobody_names_a_user(self, connector, gateway, conf, props):
        conf.write_text('[backend]\nsan_password = secret-of-admin\n')
        del props['serverUsername']
        with pytest.raises(exception.InvalidParameterValue) as raised:
            connector.connect_volume(props)
        assert str(raised.value) == (f'neither the connection property serverUsername nor {conf} '
                                     'names the account of the PowerFlex gateway')
        assert gateway.requests == []

    def test_no_file(self, connector, gateway, conf, props):
        conf.unlink()
        with pytest.raises(exception.BrickException) as raised:
            connector.connect_volume(props)
        assert str(raised.value) == (
            'Error getting ScaleIO connector password from configuration file: '
            f'ScaleIO connector configuration file is not found in path {conf}.')
        assert gateway.requests == []

    @pytest.mark.parametrize('password', ['100%', 'a%b', '%(x)s', 'say "yes"', "it's", '"quoted"',
                                          'a:b', 'a#b;c', 'naïve', '€uro', '$HOME `id` \\n'])
    def test_any_password_arrives(self, connector, gateway, conf, props, password):
        conf.write_text(f'[backend]\nsan_username = admin\nsan_password = {password}\n',
                        encoding='utf-8')
        sent = []

        def respond(handler, method, body):
            octets = base64.b64decode(handler.headers['authorization'].split()[1])
            sent.append(octets.partition(b':')[2])
            handler.send_error(401)

        gateway.server.RequestHandlerClass.respond = respond
        with pytest.raises(exception.BrickException, match='refused the login of admin'):
            connector.connect_volume(props)
        assert sent == [password.encode('utf-8' if '€' in password else 'latin-1')]


class TestToken:

    def test_si_08_one_login_serves_many_calls(self, connector, gateway, props):
        connector.connect_volume({**props, 'iopsLimit': '8'})
        connector.disconnect_volume(props, None)
        connector.connect_volume(props)
        assert gateway.actions() == ['login', MAP, LIMITS, UNMAP, MAP]

    @pytest.mark.parametrize('status', [401, 403])
    def test_si_08_an_expired_token_is_renewed_once(self, connector, gateway, props, status):
        connector.connect_volume(props)
        gateway.requests.clear()
        answers = iter([(status, {'message': 'expired'})])

        def first_time():
            answer = next(answers, None)
            return answer or gateway.removeMappedSdc(VOLUME_ID, gateway.requests[-1][2])
        gateway.answers['removeMappedSdc'] = first_time
        connector.disconnect_volume(props, None)
        assert gateway.actions() == [UNMAP, 'login', UNMAP]
        # The request is the same one.
        assert gateway.requests[0] == gateway.requests[2]
        assert gateway.mappings == set()

    def test_si_08_a_token_that_is_never_good_enough(self, connector, gateway, props):
        connector.connect_volume(props)
        gateway.requests.clear()
        gateway.answers['removeMappedSdc'] = (403, {'message': 'role missing', 'errorCode': 0})
        with pytest.raises(exception.BrickException,
                           match='^Error unmapping volume .*: role missing$'):
            connector.disconnect_volume(props, None)
        assert gateway.actions() == [UNMAP, 'login', UNMAP]

    def test_a_fresh_token_is_not_renewed(self, connector, gateway, props):
        gateway.answers['addMappedSdc'] = (403, {'message': 'role missing', 'errorCode': 0})
        with pytest.raises(exception.BrickException, match='^Error mapping volume .*: role missi'):
            connector.connect_volume(props)
        assert gateway.actions() == ['login', MAP]

    def test_si_17_a_renewal_reads_the_account_again(self, connector, gateway, conf, props):
        connector.connect_volume(props)
        gateway.accounts, gateway.tokens = {'new': 'secret-of-new'}, set()
        conf.write_text('[backend]\nsan_username = new\nsan_password = secret-of-new\n')
        connector.disconnect_volume(props, None)
        assert gateway.logins[1:] == [('new', 'secret-of-new')]
        assert gateway.mappings == set()

    @pytest.mark.parametrize('answer, reason', [
        ((401, {'message': 'Unauthorized'}), 'Unauthorized'),
        ((503, b'<html>'), 'HTTP status 503'),
        ((200, ''), 'HTTP status 200'),
        ((200, {'access_token': 'hunter2'}), 'HTTP status 200')])
    def test_a_login_that_fails(self, connector, gateway, props, answer, reason):
        gateway.answers['/api/login'] = answer
        with pytest.raises(exception.BrickException) as raised:
            connector.connect_volume(props)
        assert str(raised.value) == (
            f'PowerFlex gateway {url(gateway)} refused the login of admin: {reason}')
        assert gateway.actions() == ['login']

    def test_a_token_goes_to_its_own_gateway_only(self, connector, gateway, sdc, conf, props):
        conf.write_text(CONF + '[second]\nsan_username = admin\nsan_password = another\n')
        second = powerflex_gateway.Gateway(sdc)
        try:
            second.accounts = {'admin': 'another'}
            second.volumes['0' * 16] = 'n'
            connector.connect_volume(props)
            connector.connect_volume({**props, 'serverPort': second.port,
                                      'config_group': 'second', 'scaleIO_volume_id': '0' * 16})
            assert second.logins == [('admin', 'another')]
            assert second.actions()[0] == 'login'
        finally:
            second.close()


class TestCertificate:
    """SI-13: TLS is verified with what the properties say, at every request."""

    def steps(self, connector, gateway, props):
        """All kinds of requests, with a login in the middle."""
        connector.connect_volume({**props, 'scaleIO_volume_id': None, 'iopsLimit': '1'})
        gateway.tokens.clear()
        connector.disconnect_volume(props, None)
        return len(gateway.requests)

    def test_its_own_certificate(self, connector, gateway, props):
        assert self.steps(connector, gateway, props) == 7

    def test_unchecked_when_the_driver_says_so(self, connector, gateway, props):
        props['verify_certificate'] = False
        with pytest.warns(Warning, match='Unverified HTTPS request'):
            assert self.steps(connector, gateway, props) == 7

    @pytest.mark.parametrize('change', [
        {'certificate_path': str(powerflex_gateway.TLS / 'other.crt')},
        {'certificate_path': None},
        {'certificate_path': None, 'verify_certificate': None},
        {'certificate_path': None, 'verify_certificate': 'true'}])
    def test_a_certificate_nobody_vouches_for(self, connector, gateway, props, change):
        with pytest.raises(exception.BrickException) as raised:
            connector.connect_volume({**props, **change})
        assert re.fullmatch(
            f'PowerFlex gateway {url(gateway)}: its certificate was not accepted: .*'
            'certificate verify failed: self.signed certificate.*', str(raised.value))
        assert gateway.requests == []

    def test_the_login_in_the_middle_is_checked_too(self, connector, gateway, props):
        connector.connect_volume(props)
        gateway.requests.clear()
        gateway.tokens.clear()
        with pytest.raises(exception.BrickException, match='its certificate was not accepted'):
            connector.disconnect_volume(
                {**props, 'certificate_path': str(powerflex_gateway.TLS / 'other.crt')}, None)
        assert gateway.requests == []

    def test_a_certificate_for_another_host(self, connector, gateway, props, monkeypatch):
        real = socket.getaddrinfo
        monkeypatch.setattr(socket, 'getaddrinfo', lambda host, *args, **kwargs: real(
            '127.0.0.1' if host == 'gateway.example' else host, *args, **kwargs))
        with pytest.raises(exception.BrickException,
                           match='its certificate was not accepted: .*gateway.example'):
            connector.connect_volume({**props, 'serverIP': 'gateway.example'})
        connector.connect_volume({**props, 'serverIP': 'localhost'})

    def test_a_certificate_file_that_is_missing(self, connector, gateway, props, tmp_path):
        with pytest.raises(exception.BrickException) as raised:
            connector.connect_volume({**props, 'certificate_path': str(tmp_path / 'missing')})
        assert str(tmp_path / 'missing') in str(raised.value)
        assert gateway.requests == []


class TestTrouble:

    def test_nobody_listens(self, connector, props):
        with socket.socket() as taken:
            taken.bind(('127.0.0.1', 0))
            port = taken.getsockname()[1]
            with pytest.raises(exception.BrickException) as raised:
                connector.connect_volume({**props, 'serverPort': port})
        assert re.fullmatch(rf'PowerFlex gateway https://127.0.0.1:{port}: .*'
                            r'\[Errno 111\] Connection refused', str(raised.value))

    def test_no_answer(self, connector, gateway, props, monkeypatch):
        monkeypatch.setattr(scaleio_gateway.Gateway, 'TIMEOUT', (20, 0.3))
        connector.connect_volume(props)
        gateway.silent = True
        with pytest.raises(exception.BrickException) as raised:
            connector.disconnect_volume(props, None)
        assert str(raised.value) == (
            f'PowerFlex gateway {url(gateway)}: no answer within 0.3 seconds')

    def test_a_map_that_is_not_answered_may_be_somebodys(self, connector, gateway, props,
                                                         monkeypatch):
        """Whether it was mapped before is not known, so it is not unmapped."""
        connector.connect_volume(props)
        monkeypatch.setattr(scaleio_gateway.Gateway, 'TIMEOUT', (20, 0.3))
        gateway.silent = True
        with pytest.raises(exception.BrickException, match='no answer within'):
            connector.connect_volume(props)
        assert gateway.actions()[-1] == MAP
        assert gateway.mappings == {(VOLUME_ID, powerflex_gateway.GUID)}

    def test_a_gateway_that_hangs_up(self, connector, gateway, props):
        gateway.server.RequestHandlerClass.respond = lambda handler, method, body: None
        with pytest.raises(exception.BrickException,
                           match=f'^PowerFlex gateway {url(gateway)}: .*without response'):
            connector.connect_volume(props)

    def test_something_that_speaks_no_tls(self, connector, sdc, props):
        plain = powerflex_gateway.Gateway(sdc, tls=False)
        try:
            with pytest.raises(exception.BrickException,
                               match=f'^PowerFlex gateway https://127.0.0.1:{plain.port}: '):
                connector.connect_volume({**props, 'serverPort': plain.port})
            assert plain.requests == []
        finally:
            plain.close()

    def test_a_redirected_map_is_no_map(self, connector, gateway, props):
        gateway.answers['addMappedSdc'] = (302, f'{url(gateway)}/elsewhere')
        gateway.answers['/elsewhere'] = (200, '')
        with pytest.raises(exception.BrickException) as raised:
            connector.connect_volume(props)
        assert str(raised.value) == (f'PowerFlex gateway {url(gateway)}: POST was redirected '
                                     f'to {url(gateway)}/elsewhere')

    def test_a_server_error_with_a_page(self, connector, gateway, props):
        gateway.answers['addMappedSdc'] = (500, b'<html>Internal error</html>')
        with pytest.raises(exception.BrickException) as raised:
            connector.connect_volume(props)
        assert str(raised.value) == f'Error mapping volume {NAME}: HTTP status 500'

    @pytest.mark.parametrize('address, shown', [
        ('10.0.0.1', 'https://10.0.0.1:443'), ('::1', 'https://[::1]:443'),
        ('[fe80::1]', 'https://[fe80::1]:443'), ('gw.example.org', 'https://gw.example.org:443')])
    def test_addresses(self, address, shown):
        made = scaleio_gateway.Gateway({'serverIP': address, 'serverPort': '443'},
                                       scaleio_gateway.Session(), None)
        assert made.url == shown


def test_nobody_is_waited_for_without_end():
    connect, answer = scaleio_gateway.Gateway.TIMEOUT
    assert 0 < connect <= 60 and 0 < answer <= 300


def test_a_session_does_not_show_its_token():
    assert repr(scaleio_gateway.Session('admin', 'hunter2')) == "Session(username='admin')"
