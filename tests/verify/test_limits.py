# SPDX-License-Identifier: Apache-2.0
"""Who is let in, how much, for how long: bad tokens, huge requests, slow and many clients, what the log keeps."""

import os
import pathlib
import re
import socket
import subprocess
import sys
import threading
import time

import pytest
import requests

import machine
import service as services

CHAP = 'a-secret-of-chap'
PRIVATE = ['/v1/host', '/v1/inventory', '/v1/orphans', '/v1/properties', '/v1/protocols', '/v1/nowhere', '/nowhere']


@pytest.mark.parametrize('path', PRIVATE)
@pytest.mark.parametrize('header', [
    None, '', 'Bearer', 'Bearer ', 'Bearer wrong', f'Basic {services.TOKEN}', services.TOKEN,
    f'Bearer {services.TOKEN}x', f'Bearer {services.TOKEN[:-1]}', 'Bearer ä'.encode(), b'Bearer \xff\xfe'])
def test_a_bad_token_gets_nothing(service, path, header):
    headers = {} if header is None else {'Authorization': header}
    answer = requests.get(service.url + path, headers=headers, timeout=30)
    assert (answer.status_code, answer.headers['WWW-Authenticate']) == (401, 'Bearer realm="os-brick verify"')
    assert answer.json()['detail'] == 'the token is missing or wrong'


def test_the_token_is_taken_from_the_header_alone(service):
    for where in ({'params': {'token': service.token, 'access_token': service.token}},
                  {'cookies': {'token': service.token}}):
        assert requests.get(service.url + '/v1/host', timeout=30, **where).status_code == 401


def test_the_page_and_the_document_tell_nothing_of_the_host(service):
    for path in ('/', '/page.js', '/tree.js', '/page.css', '/icon.svg', '/openapi.json'):
        answer = requests.get(service.url + path, timeout=30)
        assert answer.status_code == 200
        assert not re.search(r'dm-\d|10\.0\.0\.|volume-0000', answer.text)


def test_a_huge_body_is_refused_before_it_is_sent(service):
    """Only its length is announced; who waits for the body never answers."""
    with socket.create_connection((service.address, service.port), timeout=30) as client:
        client.sendall(f'POST /v1/protocols/iscsi/paths HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {service.token}\r\n'
                       'Content-Type: application/json\r\nContent-Length: 10000000000\r\n\r\n'.encode())
        answer = client.makefile('rb').read()
    assert answer.startswith(b'HTTP/1.1 413 ')
    assert b'application/problem+json' in answer


def test_a_huge_body_in_chunks_is_refused_too(service):
    def parts():
        for _ in range(64):
            yield b' ' * 65536
    try:
        answer = requests.post(service.url + '/v1/protocols/iscsi/paths', data=parts(), timeout=30,
                               headers=service.headers | {'Content-Type': 'application/json'})
    except requests.ConnectionError:
        return  # It was closed while it was being sent, which is a refusal too.
    assert answer.status_code == 413


@pytest.mark.parametrize('request_text, status', [
    (b'GET /v1/host HTTP/1.1\r\nHost: x\r\nX: ' + b'x' * 300000 + b'\r\n\r\n', b'431'),
    (b'nonsense\r\n\r\n', b'400'),
    (b'GET /v1/host HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n', b'400'),
    (b'POST /v1/host HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nxx\r\n', b'400'),
])
def test_what_is_no_http_is_refused(service, request_text, status):
    with socket.create_connection((service.address, service.port), timeout=30) as client:
        client.sendall(request_text)
        assert client.makefile('rb').readline().split()[1] == status


def closed_after(client, began):
    """Seconds until the service closes the connection."""
    client.settimeout(30)
    try:
        while client.recv(65536):
            pass
    except ConnectionError:
        pass
    return time.monotonic() - began


@pytest.mark.parametrize('start, drip', [
    (b'GET /v1/host HTTP/1.1\r\nHost: x\r\n', b'X-%d: y\r\n'),
    (b'POST /v1/protocols/iscsi/paths HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n', b'%d'),
    (b'', b''),
])
def test_a_client_that_sends_a_little_now_and_then_is_not_waited_for(service, start, drip):
    """The deadline of two seconds is for the whole request, not for its next byte."""
    ended = threading.Event()
    with socket.create_connection((service.address, service.port), timeout=30) as client:
        began = time.monotonic()
        client.sendall(start)

        def keep_sending():
            for number in range(10000):
                # The pause is the slow client itself.
                if ended.wait(0.2):
                    return
                try:
                    client.sendall(drip % number if drip else b'')
                except OSError:
                    return
        sender = threading.Thread(target=keep_sending)
        sender.start()
        took = closed_after(client, began)
        ended.set()
        sender.join(10)
    # A busy machine is late; whoever is let go on sends for half an hour.
    assert 1.5 < took < 60


def test_slow_clients_hold_up_nobody(host):
    """Twenty of them, five times as many as there are threads, are waited for much longer than the answer takes."""
    with services.running(host.root, '--request-timeout', '600') as service:
        clients = [socket.create_connection((service.address, service.port), timeout=30) for _ in range(20)]
        for client in clients:
            client.sendall(b'POST /v1/protocols/iscsi/paths HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n{')
        assert requests.get(service.url + '/v1/host', headers=service.headers, timeout=60).status_code == 200
        for client in clients:
            client.close()


def test_too_many_connections_wait_and_do_not_end_the_service(service):
    clients = [socket.create_connection((service.address, service.port), timeout=30) for _ in range(80)]
    try:
        # It answers again when the deadline of those that say nothing is over.
        assert requests.get(service.url + '/v1/host', headers=service.headers, timeout=30).status_code == 200
    finally:
        for client in clients:
            client.close()


def test_many_clients_at_once_get_the_same_answer(service):
    answers = []

    def look():
        answers.append(requests.get(service.url + '/v1/inventory', headers=service.headers, timeout=60).json())
    threads = [threading.Thread(target=look) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(answers) == 24
    assert all(answer == answers[0] for answer in answers)


def test_neither_answers_nor_the_log_hold_a_secret(tmp_path):
    """With everything logged, for good properties and for such as are refused."""
    tree = machine.compute_host(tmp_path / 'host')
    data = machine.connection_info(1)['data']
    wrong = [{}, {'target_lun': 'x'}, {'target_portals': 5}, {'target_iqn': f'iqn {CHAP}'}, {'auth_password': [CHAP]},
             {'target_wwn': CHAP}, {'target_nqn': CHAP}, {'portals': [[CHAP]]}, {'uuid': f'../{CHAP}'}]
    with services.running(tree.root, '--debug') as service:
        for protocol in ('iscsi', 'fibre_channel', 'nvmeof', 'lightos', 'storpool', 'local', 'nonsense'):
            for change in wrong:
                answer = requests.post(f'{service.url}/v1/protocols/{protocol}/paths', json=data | change, timeout=30,
                                       headers=service.headers)
                assert answer.status_code in (200, 404, 409, 422)
                assert CHAP not in answer.text
        requests.get(service.url + '/v1/host', headers={'Authorization': f'Bearer {CHAP}'}, timeout=30)
        requests.get(f'{service.url}/v1/host?password={CHAP}', headers=service.headers, timeout=30)
        code, log = service.stop()
    assert code == 0
    assert log.count('POST /v1/protocols/iscsi/paths 200') == 5
    assert 'for test clouds, not for production' in log
    assert 'GET /v1/host 401' in log
    assert CHAP not in log
    assert services.TOKEN not in log


def start(*arguments, environment=None):
    """The exit code and the complaint of a service that does not start."""
    done = subprocess.run([sys.executable, '-W', 'ignore', '-m', 'os_brick.verify', '--port', '0', *arguments],
                          capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
                          env=environment or {'PATH': '/usr/bin:/bin', **inherited()})
    return done.returncode, done.stderr.splitlines()[-1], done.stdout


def inherited():
    return {name: value for name, value in os.environ.items() if name.startswith('PYTHON')}


@pytest.fixture
def token_file(tmp_path):
    file = tmp_path / 'token'
    file.write_text(services.TOKEN)
    file.chmod(0o600)
    return file


@pytest.mark.parametrize('address', ['0.0.0.0', '192.0.2.1', '::'])
def test_other_addresses_need_a_flag(token_file, address):
    assert start('--token-file', token_file, '--listen', address) == (
        2, f'os-brick: --listen {address} can be reached by other hosts, and the token crosses the network in the '
           'clear; --beyond-loopback allows it', '')


def test_a_name_is_no_address(token_file):
    assert start('--token-file', token_file, '--listen', 'localhost')[:2] == (
        2, 'os-brick: --listen localhost is no IP address')


def test_no_token_no_service():
    assert start()[:2] == (2, 'os-brick: a token is needed: --token-file FILE or the variable OS_BRICK_VERIFY_TOKEN')


@pytest.mark.parametrize('content, mode, complaint', [
    (services.TOKEN, 0o644, '{file} can be read by others (mode 0644): chmod 600 {file}'),
    ('short', 0o600, 'the token of {file} is too short: 5 characters, at least 16 are needed'),
    ('', 0o600, '{file} must hold one line, the token, and holds 0'),
    ('with a space in the middle', 0o600, '{file} holds no token: letters, digits and ._~+/- are expected'),
])
def test_a_token_that_is_not_fit(token_file, content, mode, complaint):
    token_file.write_text(content)
    token_file.chmod(mode)
    assert start('--token-file', token_file) == (2, 'os-brick: ' + complaint.format(file=token_file), '')


def test_the_flag_allows_every_address_and_the_root_can_be_a_captured_tree(tmp_path):
    tree = machine.compute_host(tmp_path / 'compute-7')
    with services.running(tree.root, '--listen', '0.0.0.0', '--beyond-loopback', '--root', str(tree.root),
                          on_tree=False) as service:
        url = f'http://127.0.0.1:{service.port}'
        found = requests.get(url + '/v1/host', headers=service.headers, timeout=30).json()
        assert (found['host'], found['captured'], found['root']) == ('compute-7', True, False)
        findings = requests.get(url + '/v1/orphans', headers=service.headers, timeout=30).json()['findings']
        assert len(findings) == 4
        for path in ('/v1/properties', '/v1/protocols', '/v1/protocols/iscsi/volumes', '/v1/orphans?live=true'):
            assert requests.get(url + path, headers=service.headers, timeout=30).status_code == 409


def test_the_environment_may_hold_the_token_and_the_argument_list_never_does(tmp_path):
    """No option takes it, not even by its beginning."""
    assert start('--token', services.TOKEN)[0] == 2
    environment = {**inherited(), 'PATH': os.environ['PATH'], 'OS_BRICK_VERIFY_TOKEN': services.TOKEN}
    with services.running(machine.compute_host(tmp_path / 'host').root, environment=environment) as service:
        assert requests.get(service.url + '/v1/host', headers=service.headers, timeout=30).status_code == 200
        place = pathlib.Path('/proc', str(service.process.pid))
        assert services.TOKEN.encode() not in (place / 'cmdline').read_bytes()
