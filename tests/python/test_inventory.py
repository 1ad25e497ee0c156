# SPDX-License-Identifier: Apache-2.0
"""`os_brick.initiator.inventory.read`: the engine's answer as Python has it, whole and in its order."""

import pytest

from os_brick.initiator import inventory

IQN = 'iqn.2010-10.org.openstack:volume-1'
ONE = '36001405000000000000000000000001a'
LINK = 'os-brick+dev+dm-0'


@pytest.fixture
def root(tmp_path):
    """A map with two disks of one session, which somebody has encrypted."""
    sys = tmp_path / 'sys'

    def attribute(path, text):
        place = sys / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text + '\n')

    def link(place, target):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target)

    session = 'devices/platform/host2/session1'
    target = f'{session}/target2:0:0'
    for name, text in (('targetname', IQN), ('state', 'LOGGED_IN')):
        attribute(f'class/iscsi_session/session1/{name}', text)
    for name, text in (('persistent_address', '10.0.0.1'), ('persistent_port', '3260')):
        attribute(f'class/iscsi_connection/connection1:0/{name}', text)
    for disk, lun in (('sda', 1), ('sdb', 2)):
        device = f'{target}/2:0:0:{lun}'
        attribute(f'{device}/state', 'running')
        attribute(f'{device}/wwid', f'naa.{ONE[1:]}')
        attribute(f'{device}/block/{disk}/size', '2048')
        link(sys / 'block' / disk, f'../{device}/block/{disk}')
    for number, name, uuid, below in ((0, 'mpatha', f'mpath-{ONE}', ('sda', 'sdb')),
                                      (1, 'crypt-dm-0', 'CRYPT-LUKS2-abc', ('dm-0',))):
        device = f'devices/virtual/block/dm-{number}'
        attribute(f'{device}/dm/name', name)
        attribute(f'{device}/dm/uuid', uuid)
        attribute(f'{device}/size', '2048')
        link(sys / 'block' / f'dm-{number}', f'../{device}')
        for device_below in below:
            link(sys / device / 'slaves' / device_below, sys / 'block' / device_below)
    link(tmp_path / 'dev/disk/by-id' / LINK, '/dev/mapper/crypt-dm-0')
    return str(tmp_path)


def path(device, address):
    return {'device': device, 'address': address, 'state': 'running', 'identity': ONE, 'size': 1 << 20,
            'connection': {'transport': 'iscsi', 'target': IQN, 'portal': '10.0.0.1:3260',
                           'name': 'session1', 'state': 'LOGGED_IN'},
            'usable': True}


def test_the_answer_is_plain_data(root):
    crypt = {'kind': 'luks', 'device': 'dm-1', 'name': 'crypt-dm-0', 'mounts': [], 'open_count': None,
             'consumers': []}
    expected = {
        'volumes': [{
            'device': 'dm-0', 'kind': 'multipath', 'name': 'mpatha', 'identity': ONE, 'size': 1 << 20,
            'paths': [path('sda', '2:0:0:1'), path('sdb', '2:0:0:2')],
            'mounts': [], 'consumers': [crypt], 'links': [f'/dev/disk/by-id/{LINK}'],
            'open_count': None, 'record': None,
        }],
        'sessions': [{'sid': 1, 'target': IQN, 'portal': '10.0.0.1:3260', 'state': 'LOGGED_IN',
                      'disks': ['sda', 'sdb']}],
        'controllers': [],
    }
    answer = inventory.read(root)
    assert answer == expected
    assert repr(answer) == repr(expected), 'the order of the keys is documented nowhere, and is kept'


def test_what_a_caller_changes_of_one_path_is_not_changed_of_another(root):
    one, other = inventory.read(root)['volumes'][0]['paths']
    one['connection']['state'] = 'FAILED'
    assert other['connection']['state'] == 'LOGGED_IN'
