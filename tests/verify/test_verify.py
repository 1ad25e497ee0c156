# SPDX-License-Identifier: Apache-2.0
"""`os-brick verify` as a process, against the services of two hosts: as in a live migration, and when a detach failed."""

import http.server
import json
import os
import subprocess
import sys
import threading

import pytest

import machine
import service as services

TOKENS = {'a': 'token-of-host-a-0123', 'b': 'token-of-host-b-0123'}


@pytest.fixture(scope='module')
def hosts(tmp_path_factory):
    """Two compute hosts: volume 1 is on both, 2 on b alone, 3 left its session on a, 4 nowhere."""
    trees = {name: machine.Machine(tmp_path_factory.mktemp(name) / 'host') for name in TOKENS}
    trees['a'].attach(1)
    trees['b'].attach(1)
    trees['b'].attach(2)
    _, disks, _ = trees['a'].attach(3)
    for disk in disks:
        trees['a'].remove_disk(disk)
    with (services.running(trees['a'].root, token=TOKENS['a']) as a,
          services.running(trees['b'].root, token=TOKENS['b']) as b):
        yield {'a': a, 'b': b, 'trees': trees}


@pytest.fixture
def verify(hosts, tmp_path):
    def verify(number, expect, *arguments, environment=None, urls=None, info=None):
        file = tmp_path / 'volume.json'
        file.write_text(json.dumps(machine.connection_info(number) if info is None else info))
        urls = urls or [f'a={hosts["a"].url}', f'b={hosts["b"].url}']
        command = [sys.executable, '-W', 'ignore', '-m', 'os_brick.cli', 'verify', '--connection-info', str(file),
                   '--expect', expect, *[word for url in urls for word in ('--host', url)], *arguments]
        kept = {name: value for name, value in os.environ.items() if name.startswith(('PATH', 'PYTHON'))}
        own = {f'OS_BRICK_VERIFY_TOKEN_{name.upper()}': token for name, token in TOKENS.items()}
        done = subprocess.run(command, capture_output=True, text=True, timeout=100, stdin=subprocess.DEVNULL,
                              env=kept | (own if environment is None else environment))
        for token in (*TOKENS.values(), 'a-secret-of-chap'):
            assert token not in done.stdout + done.stderr
        return done.returncode, done.stdout.splitlines(), done.stderr
    return verify


def test_a_volume_of_a_live_migration_is_on_both(verify):
    assert verify(1, 'present') == (0, [
        'HOST  EXPECTED  FOUND    DEVICES  LEFTOVERS  RESULT',
        'a     present   present  sda sdb  0          as expected',
        'b     present   present  sda sdb  0          as expected',
        'a: 3 other findings, see os-brick orphans there'], '')


def test_then_it_is_on_the_target_alone(verify):
    assert verify(2, 'present-on=b')[:2] == (0, [
        'HOST  EXPECTED  FOUND    DEVICES  LEFTOVERS  RESULT',
        'a     absent    absent   -        0          as expected',
        'b     present   present  sdc sdd  0          as expected',
        'a: 3 other findings, see os-brick orphans there'])


def test_a_volume_that_is_still_on_the_source_is_a_difference_and_its_paths_are_named(verify):
    code, lines, _ = verify(1, 'present-on=b')
    target = machine.IQN + '00000001'
    assert (code, lines[1:]) == (3, [
        'a     absent    present  sda sdb  0          different',
        'b     present   present  sda sdb  0          as expected',
        f'a: /dev/disk/by-path/ip-10.0.0.1:3260-iscsi-{target}-lun-1 -> sda',
        f'a: /dev/disk/by-path/ip-10.0.0.2:3260-iscsi-{target}-lun-1 -> sdb',
        'a: 3 other findings, see os-brick orphans there'])


def test_a_detach_that_was_killed_half_way_is_found_and_named(verify):
    """No path is left, so that a look at the paths alone would be content."""
    code, lines, _ = verify(3, 'absent')
    node = f'    # iscsiadm --mode node --targetname {machine.IQN}00000003 --portal 10.0.0.'
    assert (code, lines) == (3, [
        'HOST  EXPECTED  FOUND   DEVICES  LEFTOVERS  RESULT',
        'a     absent    absent  -        2          different',
        'b     absent    absent  -        0          as expected',
        'a: session without disks: session3',
        f'{node}1:3260 --logout', f'{node}1:3260 --op delete',
        'a: session without disks: session4',
        f'{node}2:3260 --logout', f'{node}2:3260 --op delete',
        'a: 1 other finding, see os-brick orphans there'])


def test_strict_counts_what_does_not_name_the_volume(verify):
    code, lines, _ = verify(4, 'absent', '--strict')
    assert code == 3
    assert [line.split()[-1] for line in lines[1:3]] == ['different', 'expected']


def test_json_says_all_of_it(verify):
    code, lines, _ = verify(3, 'absent', '--json')
    found = json.loads('\n'.join(lines))
    assert (code, found['as_expected'], found['protocol']) == (3, False, 'iscsi')
    assert [(one['host'], one['result'], len(one['leftovers']), one['other_findings'], one['error'])
            for one in found['hosts']] == [('a', 'different', 2, 1, None), ('b', 'as expected', 0, 0, None)]


def test_it_waits_until_the_hosts_are_as_expected(verify, hosts):
    timer = threading.Timer(2, lambda: hosts['trees']['a'].attach(6))
    timer.start()
    code, lines, _ = verify(6, 'present-on=a', '--wait', '60')
    timer.join()
    assert code == 0, lines


@pytest.mark.parametrize('number, expect, code, results', [
    (1, 'present', 1, ['unknown', 'as expected']), (2, 'absent', 3, ['unknown', 'different'])])
def test_a_host_that_gives_no_answer_is_told_and_the_others_are_asked(verify, hosts, number, expect, code, results):
    found, lines, _ = verify(number, expect, '--json', urls=['a=http://127.0.0.1:1', f'b={hosts["b"].url}'])
    told = json.loads('\n'.join(lines))['hosts']
    assert (found, [one['result'] for one in told]) == (code, results)
    assert told[0]['error'] == 'no answer: connection refused'


def test_a_wrong_token_is_told(verify):
    code, lines, _ = verify(1, 'present', environment={'OS_BRICK_VERIFY_TOKEN': 'of-somebody-else-123'})
    assert (code, lines[3:]) == (1, [f'{name}: 401: the token is missing or wrong' for name in 'ab'])


def test_wrong_properties_are_told_by_the_host(verify):
    info = machine.connection_info(1)
    info['data']['target_luns'] = ['x', 'x']
    code, lines, _ = verify(1, 'present', info=info)
    assert (code, lines[3].startswith('a: 422: target_luns: ')) == (1, True)


def test_tokens_come_from_a_file(verify, tmp_path):
    file = tmp_path / 'tokens'
    file.write_text(''.join(f'{name} {token}\n' for name, token in TOKENS.items()))
    file.chmod(0o600)
    assert verify(1, 'present', '--token-file', str(file), environment={})[0] == 0
    file.chmod(0o640)
    code, _, complaint = verify(1, 'present', '--token-file', str(file), environment={})
    assert (code, complaint) == (2, f'os-brick: {file} can be read by others (mode 0640): chmod 600 {file}\n')


@pytest.mark.parametrize('options, complaint', [
    ({'expect': 'gone'}, '--expect gone: present, absent or present-on=NAME is needed'),
    ({'expect': 'present-on=c'}, '--expect names c, which is no --host; these are a, b'),
    ({'urls': ['a=ftp://x']}, '--host a: http://ADDRESS:PORT is needed, without user, query or fragment'),
    ({'urls': ['a=http://me:token-of-host-a-0123@x']},
     '--host a: http://ADDRESS:PORT is needed, without user, query or fragment'),
    ({'urls': ['a=http://x:1', 'a=http://x:2']}, '--host a is given twice'),
    ({'environment': {}}, 'no token for a: --token-file FILE, or the variable OS_BRICK_VERIFY_TOKEN_A or '
                          'OS_BRICK_VERIFY_TOKEN'),
    ({'info': {'driver_volume_type': 'iscsi'}}, 'FILE: data must be an object, the connection properties'),
    ({'info': {'driver_volume_type': '../x', 'data': {}}}, 'FILE: driver_volume_type must name a protocol'),
    ({'info': []}, 'FILE: an object with driver_volume_type and data is needed'),
])
def test_wrong_arguments_are_refused_before_anybody_is_asked(verify, tmp_path, options, complaint):
    code, lines, said = verify(1, options.pop('expect', 'absent'), **options)
    assert (code, lines, said) == (2, [], f'os-brick: {complaint.replace("FILE:", f"{tmp_path}/volume.json:")}\n')


class Other(http.server.BaseHTTPRequestHandler):
    """Something else that listens there; it keeps what it was sent."""

    seen: list = []

    def do_POST(self):
        self.seen.append((self.headers.get('Authorization'), self.rfile.read(int(self.headers['Content-Length']))))
        if self.path.startswith('/elsewhere'):
            self.send_response(307)
            self.send_header('Location', '/v1/host')
            self.end_headers()
        else:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'[1]')

    def log_message(self, *args):
        pass


@pytest.fixture
def other():
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Other)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Other.seen = []
    yield f'http://127.0.0.1:{server.server_port}'
    server.shutdown()
    server.server_close()


def test_something_else_that_listens_there_is_told_and_no_redirect_is_followed(verify, other):
    code, lines, _ = verify(1, 'absent', urls=[f'a={other}', f'b={other}/elsewhere'])
    assert (code, lines[3:]) == (1, ['a: the answer is none of a verification service', 'b: no answer: not JSON'])
    assert len(Other.seen) == 2


def test_passwords_stay_here(verify, other):
    """To look for a volume nobody needs them."""
    verify(1, 'absent', urls=[f'a={other}'])
    (token, body), = Other.seen
    assert token == 'Bearer ' + TOKENS['a']
    assert json.loads(body)['target_lun'] == 1
    assert not [key for key in json.loads(body) if 'auth' in key]
    assert b'a-secret-of-chap' not in body
