# SPDX-License-Identifier: Apache-2.0
"""What the service answers, to the letter, and what it refuses; over a real socket, on a pretended machine."""

import json

import pytest
import requests

import machine

CHAP = 'a-secret-of-chap'


@pytest.fixture
def ask(service):
    def ask(path, method='GET', headers=None, **options):
        return requests.request(method, service.url + path, headers=service.headers | (headers or {}), timeout=30,
                                allow_redirects=False, **options)
    return ask


def problem(answer):
    """The status, the detail and the errors of a refusal."""
    assert answer.headers['Content-Type'] == 'application/problem+json'
    found = answer.json()
    assert found['status'] == answer.status_code
    return found['status'], found['detail'], [(one['field'], one['value'], one['reason']) for one in found['errors']]


def test_the_host_says_that_it_is_not_for_production(ask):
    found = ask('/v1/host').json()
    assert (found['root'], found['captured'], found['production']) == (True, False, False)


def test_the_inventory_is_that_of_the_machine(ask):
    found = ask('/v1/inventory').json()
    assert [(one['device'], one['kind'], [path['device'] for path in one['paths'] if path['usable']])
            for one in found['volumes']] == [
        ('dm-0', 'multipath', ['sda', 'sdb']), ('dm-3', 'multipath', ['sdc']), ('dm-4', 'multipath', []),
        ('nvme1n1', 'namespace', ['nvme1c1n1'])]
    assert [one['disks'] for one in found['sessions']] == [['sda'], ['sdb'], ['sdc'], ['sdd'], [], []]


def test_orphans_are_those_of_the_machine(ask):
    found = ask('/v1/orphans').json()
    assert [(one['kind'], one['subject']) for one in found['findings']] == [
        ('map_without_paths', 'dm-4'), ('dangling_link', '/dev/disk/by-id/os-brick+dev+dm-9'),
        ('session_without_disks', 'session5'), ('session_without_disks', 'session6')]
    assert (found['silent'], found['live']) == ([], False)


def test_disks_that_cannot_be_asked_are_silent_and_hang_nobody(ask):
    found = ask('/v1/orphans?live=true').json()
    assert found['live'] is True
    assert sorted(one['device'] for one in found['silent']) == ['sda', 'sdb', 'sdc', 'sdd']


def test_paths_of_an_attached_volume(ask):
    found = ask('/v1/protocols/iscsi/paths', 'POST', json=machine.connection_info(2)['data']).json()
    iqn = machine.IQN + '00000002'
    assert found == {'protocol': 'iscsi', 'present': True, 'leftovers': [], 'paths': [
        {'path': f'/dev/disk/by-path/ip-10.0.0.{portal}:3260-iscsi-{iqn}-lun-1', 'device': disk}
        for portal, disk in ((1, 'sdc'), (2, 'sdd'))]}


def test_a_volume_whose_detach_was_killed_is_absent_and_its_leftovers_are_named(ask):
    """The device path of the attach is there, and is another volume's by now: it is not believed."""
    found = ask('/v1/protocols/iscsi/paths', 'POST', json=machine.connection_info(3)['data']).json()
    assert (found['present'], found['paths']) == (False, [])
    assert [one['subject'] for one in found['leftovers']] == ['session5', 'session6']


def test_a_volume_that_never_was_here_leaves_nothing(ask):
    found = ask('/v1/protocols/iscsi/paths', 'POST', json=machine.connection_info(7)['data']).json()
    assert found == {'protocol': 'iscsi', 'present': False, 'paths': [], 'leftovers': []}


def test_a_local_volume_is_there_when_its_file_is(ask):
    def look(path):
        found = ask('/v1/protocols/local/paths', 'POST', json={'device_path': path}).json()
        return found['present'], found['paths']
    assert look('/dev/dm-0') == (True, [{'path': '/dev/dm-0', 'device': 'dm-0'}])
    assert look('/dev/dm-77') == (False, [])


def test_search_paths_and_volumes(ask):
    assert ask('/v1/protocols/iscsi/search-path').json() == {
        'protocol': 'iscsi', 'search_path': '/dev/disk/by-path'}
    iqn = [f'{machine.IQN}{number:08}' for number in (1, 2)]
    assert ask('/v1/protocols/iscsi/volumes').json() == {'protocol': 'iscsi', 'volumes': sorted(
        f'/dev/disk/by-path/ip-10.0.0.{portal}:3260-iscsi-{name}-lun-1' for name in iqn for portal in (1, 2))}


def test_protocols_say_why_they_cannot_be_looked_for(ask):
    found = {one['protocol']: one for one in ask('/v1/protocols').json()}
    assert found['iscsi'] == {'protocol': 'iscsi', 'search_path': '/dev/disk/by-path', 'paths': True, 'reason': None}
    assert found['rbd']['paths'] is False
    assert 'librbd' in found['rbd']['reason']
    # Asking for paths of a share would mount it.
    assert not {'nfs', 'glusterfs', 'scality', 'quobyte', 'vzstorage'} & set(found)


@pytest.mark.parametrize('protocol', ['nfs', 'rbd', 'scaleio', 'nonsense', 'ISCSI'])
def test_paths_of_other_protocols_are_refused(ask, protocol):
    """A connector that mounts, or asks a server that the client names, is not called."""
    status, detail, _ = problem(ask(f'/v1/protocols/{protocol}/paths', 'POST', json={
        'export': 'host:/share', 'name': 'volume', 'serverIP': '127.0.0.1', 'serverPort': 1}))
    assert (status, bool(detail)) == (404, True)


def test_properties_are_those_for_cinder(ask):
    found = ask('/v1/properties?ip=10.0.0.9&multipath=false').json()
    assert (found['ip'], found['multipath'], found['os_type']) == ('10.0.0.9', False, 'linux')


@pytest.mark.parametrize('path, field, value, reason', [
    ('/v1/properties?ip=nowhere', 'ip', 'nowhere', 'it must be an IPv4 or IPv6 address'),
    ('/v1/properties?ip=fe80::1%25eth0', 'ip', 'fe80::1%eth0', 'it must be an IPv4 or IPv6 address'),
    ('/v1/properties?multipath=1', 'multipath', '1', 'it must be true or false'),
    ('/v1/orphans?live=yes', 'live', 'yes', 'it must be true or false'),
])
def test_a_wrong_query_names_field_and_value(ask, path, field, value, reason):
    assert problem(ask(path)) == (422, f'{field}: {reason}', [(field, value, reason)])


@pytest.mark.parametrize('change, field, value, reason', [
    ({'target_lun': 'x'}, 'target_lun', 'x', 'a LUN is a number from 0 to 4294967295'),
    ({'target_lun': -1}, 'target_lun', -1, 'it must be at least 0'),
    ({'target_lun': True}, 'target_lun', True, 'it must be a whole number or a text or null, not true or false'),
    ({'target_portals': '10.0.0.1:3260'}, 'target_portals', '10.0.0.1:3260', 'it must be a list or null, not a text'),
    ({'target_luns': [1, None]}, 'target_luns[1]', None, 'it must be a whole number or a text, not null'),
    ({'auth_password': {'a': CHAP}}, 'auth_password', '***', 'it must be a text or null, not an object'),
    ({'target_portal': None, 'target_portals': None}, 'target_portal', None,
     'it or target_portals is needed to look for a volume'),
    ({'target_iqn': 'x' * 500, 'target_iqns': None, 'target_portals': None, 'target_luns': ['x' * 500]}, 'target_luns',
     None, None),
])
def test_wrong_connection_properties_name_field_and_value(ask, change, field, value, reason):
    answer = ask('/v1/protocols/iscsi/paths', 'POST', json=machine.connection_info(1)['data'] | change)
    status, detail, errors = problem(answer)
    assert status == 422
    if reason:
        assert (detail, errors) == (f'{field}: {reason}', [(field, value, reason)])
    assert CHAP not in answer.text
    assert len(answer.text) < 1500


@pytest.mark.parametrize('body, status, detail', [
    (b'{"target_lun": ', 400, 'the body is not JSON at line 1 column 16'),
    (b'\xff', 400, 'the body is not JSON'),
    (b'{"target_lun": NaN}', 400, 'the body is not JSON'),
    (b'[' * 50000, 400, 'the body is not JSON'),
    (b'', 400, 'the body is not JSON at line 1 column 1'),
    (b'[1]', 422, 'connection_properties: an object is needed, not a list'),
])
def test_a_body_that_is_no_object_of_json(ask, body, status, detail):
    found = ask('/v1/protocols/iscsi/paths', 'POST', data=body, headers={'Content-Type': 'application/json'})
    assert problem(found)[:2] == (status, detail)


def test_a_body_of_another_kind_is_refused(ask):
    assert problem(ask('/v1/protocols/iscsi/paths', 'POST', data='{}', headers={'Content-Type': 'text/plain'})) == (
        415, 'the body must be sent as application/json', [])


def test_the_host_cannot_tell_without_the_protocols_configuration(ask):
    status, detail, _ = problem(ask('/v1/protocols/storpool/volumes'))
    assert status == 409
    assert detail.startswith('this host has no storpool: ')


@pytest.mark.parametrize('method', ['PUT', 'DELETE', 'PATCH', 'OPTIONS'])
@pytest.mark.parametrize('path', ['/', '/v1/inventory', '/v1/protocols/iscsi/paths', '/openapi.json'])
def test_nothing_can_be_changed(ask, method, path):
    answer = ask(path, method)
    assert problem(answer)[0] == 405
    assert set(answer.headers['Allow'].replace(' ', '').split(',')) <= {'GET', 'HEAD', 'POST'}


def test_every_answer_forbids_what_the_page_does_not_need(ask):
    for path in ('/', '/page.js', '/v1/host', '/nowhere'):
        headers = ask(path).headers
        assert headers['X-Content-Type-Options'] == 'nosniff'
        assert headers['Cache-Control'] == 'no-store'
        assert headers['Referrer-Policy'] == 'no-referrer'
        policy = dict(part.strip().split(' ', 1) for part in headers['Content-Security-Policy'].split(';'))
        assert policy['default-src'] == "'none'"
        assert {policy[name] for name in ('script-src', 'style-src', 'connect-src', 'img-src')} == {"'self'"}
        assert 'Access-Control-Allow-Origin' not in headers
        assert 'Server' not in headers


def test_the_document_is_served_as_it_is_in_the_tree_and_names_every_route(ask, service):
    from os_brick.verify import app
    from os_brick.verify import host
    served = requests.get(service.url + '/openapi.json', timeout=30).json()
    assert served == app.document()
    routes = {}
    for rule in app.make(host.Host.__new__(host.Host), service.token).url_map.iter_rules():
        if rule.rule.startswith('/v1/'):
            routes[rule.rule.replace('<', '{').replace('>', '}')] = rule.methods - {'HEAD'}
    documented = {path: {method.upper() for method in item if method != 'parameters'}
                  for path, item in served['paths'].items() if path.startswith('/v1/')}
    assert documented == routes


def test_the_document_names_every_protocol(ask):
    from os_brick.verify import app
    paths = app.document()['paths']
    found = ask('/v1/protocols').json()

    def names(path):
        return paths[path]['parameters'][0]['schema']['enum']
    assert names('/v1/protocols/{protocol}/volumes') == [one['protocol'] for one in found]
    never = {'rbd', 'scaleio'}
    assert names('/v1/protocols/{protocol}/paths') == [one['protocol'] for one in found if one['protocol'] not in never]


def test_properties_that_name_a_volume_are_documented():
    """What a connector would read and the document does not name would be dropped in silence."""
    from os_brick.privileged import fibre_channel
    from os_brick.privileged import iscsi
    from os_brick.privileged import nvmeof
    from os_brick.verify import app
    known = set(app.document()['components']['schemas']['ConnectionProperties']['properties'])
    ignored = {'enforce_multipath', 'enable_wildcard_scan'}
    for module in (iscsi, fibre_channel, nvmeof):
        assert set(module.PROPERTIES) - known - ignored == set(), module


def test_json_has_no_secret_whatever_the_answer_holds():
    from os_brick.verify import masking
    hidden = masking.masked({'auth_password': CHAP, 'deep': [{'keyring': 'abc', 'name': "password='xyz'"}], 'lun': 1})
    assert hidden == {'auth_password': '***', 'deep': [{'keyring': '***', 'name': "password='***'"}], 'lun': 1}
    assert json.loads(json.dumps(hidden)) == hidden
