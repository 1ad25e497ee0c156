# SPDX-License-Identifier: Apache-2.0
"""Both workflows through cinderclient against a Cinder with behaviour; each step fails in turn."""

import socket

from cinderclient import exceptions as cinder_exceptions
import pytest

from brick_cinderclient_ext import brick_utils
from brick_cinderclient_ext import exceptions
from brick_cinderclient_ext import volume_actions
from os_brick import exception

NEW = ['3.71', '3.44']
OLD = ['3.43']
only_new = pytest.mark.parametrize('brick', NEW, indirect=True)
only_old = pytest.mark.parametrize('brick', OLD, indirect=True)


def untouched(cinder, volume, host):
    return (volume['status'], cinder.of(volume), cinder.exports, host.devices) == ('available', [], set(), [])


def test_attach_and_detach(brick, cinder, volume, host):
    info = brick.attach(volume['id'], 'here', mode='ro')
    assert info == {'type': 'local', 'path': volume['path']}
    attachment, = cinder.of(volume)
    assert (volume['status'], attachment['status'], host.devices) == ('in-use', 'attached', [volume['path']])
    brick.detach(volume['id'], device_info=info)
    assert untouched(cinder, volume, host)


@only_new
def test_the_attachment_says_how_it_is_used(brick, cinder, volume):
    brick.attach(volume['id'], 'here', '/dev/x', 'ro', multipath='True', enforce_multipath='False')
    attachment, = cinder.of(volume)
    assert attachment['connector'] == {'host': socket.gethostname(), 'multipath': True, 'enforce_multipath': False,
                                       'mode': 'ro', 'mountpoint': '/dev/x'}


@only_old
@pytest.mark.parametrize('mountpoint', [None, '/mnt/x'])
def test_the_older_record_says_how_it_is_used(brick, cinder, volume, mountpoint):
    brick.attach(volume['id'], 'here', mountpoint, 'ro')
    attachment, = cinder.of(volume)
    assert [attachment[key] for key in ('host', 'mode', 'mountpoint')] == ['here', 'ro', mountpoint or volume['path']]


ATTACH_NEW = ['create', 'update', 'complete']
ATTACH_OLD = ['os-reserve', 'os-initialize_connection', 'os-attach']
FAULTS = [(400, False), (500, False), (500, True), (0, False), (0, True)]


@pytest.mark.parametrize('fault', FAULTS, ids=str)
@pytest.mark.parametrize('brick, step', [('3.71', step) for step in ATTACH_NEW] + [('3.43', step) for step in ATTACH_OLD],
                         indirect=['brick'])
def test_a_step_of_cinder_that_fails_leaves_nothing(brick, cinder, volume, host, step, fault):
    cinder.faults[step] = fault
    with pytest.raises(Exception):  # noqa: B017 what cinderclient makes of it
        brick.attach(volume['id'], 'here')
    assert step in cinder.seen
    assert untouched(cinder, volume, host)
    brick.attach(volume['id'], 'here')


@pytest.mark.parametrize('error', [exception.BrickException('no'), KeyboardInterrupt(), SystemExit(143)], ids=repr)
@pytest.mark.parametrize('done_first', [False, True])
def test_a_connect_that_fails_or_is_interrupted_leaves_nothing(brick, cinder, volume, host, error, done_first):
    host.faults['connect'] = (error, done_first)
    with pytest.raises(type(error)):
        brick.attach(volume['id'], 'here')
    assert untouched(cinder, volume, host)


def test_properties_the_host_refuses_leave_nothing(brick, cinder, volume, host):
    """Its disconnect refuses them too: there is nothing of such a volume on the host."""
    for call in 'connect', 'disconnect':
        host.faults[call] = (exception.InvalidParameterValue(err='target_lun: no number'), False)
    with pytest.raises(exception.InvalidParameterValue, match='target_lun: no number'):
        brick.attach(volume['id'], 'here')
    assert untouched(cinder, volume, host)


def test_the_export_stays_when_the_host_cannot_be_cleaned(brick, cinder, volume, host, caplog):
    """Else the LUN could become another volume's under the device that is left."""
    host.faults['connect'] = (KeyboardInterrupt(), True)
    host.faults['disconnect'] = (exception.BrickException('in use'), False)
    with pytest.raises(KeyboardInterrupt):
        brick.attach(volume['id'], 'here')
    assert (cinder.exports, host.devices) == ({volume['id']}, [volume['path']])
    assert 'could not disconnect the volume: in use' in caplog.text


@only_new
@pytest.mark.parametrize('calls', [1, 2])
def test_detach_cleans_up_after_a_crash(brick, cinder, volume, host, calls):
    made = brick.volumes_client.attachments.create(volume['id'], None)
    if calls == 2:
        brick.volumes_client.attachments.update(made['id'], {'host': socket.gethostname()})
    brick.detach(volume['id'])
    assert untouched(cinder, volume, host)


@pytest.mark.parametrize('brick, step', [('3.71', 'delete')] + [('3.43', step) for step in (
    'os-begin_detaching', 'os-initialize_connection', 'os-terminate_connection', 'os-detach')], indirect=['brick'])
@pytest.mark.parametrize('fault', [(500, False), (0, False)], ids=str)
def test_a_detach_that_failed_can_be_repeated(brick, cinder, volume, host, step, fault):
    brick.attach(volume['id'], 'here')
    cinder.faults[step] = fault
    with pytest.raises(Exception):  # noqa: B017 what cinderclient makes of it
        brick.detach(volume['id'])
    assert volume['status'] == 'in-use'
    brick.detach(volume['id'])
    assert untouched(cinder, volume, host)


def test_a_device_in_use_is_not_detached(brick, cinder, volume, host):
    brick.attach(volume['id'], 'here')
    host.faults['disconnect'] = (exception.BrickException('in use'), False)
    with pytest.raises(exception.BrickException, match='in use'):
        brick.detach(volume['id'])
    assert (volume['status'], len(cinder.of(volume)), cinder.exports) == ('in-use', 1, {volume['id']})


def test_the_second_of_two_attaches_disturbs_nothing(brick, cinder, volume, host):
    brick.attach(volume['id'], 'here')
    with pytest.raises(cinder_exceptions.BadRequest):
        brick.attach(volume['id'], 'here')
    assert (volume['status'], len(cinder.of(volume)), host.devices) == ('in-use', 1, [volume['path']])


@pytest.mark.parametrize('brick, status', [('3.71', 'reserved'), ('3.43', 'attaching')], indirect=['brick'])
def test_what_another_attach_has_reserved_stays_reserved(brick, volume, status):
    volume['status'] = status
    with pytest.raises(cinder_exceptions.BadRequest):
        brick.attach(volume['id'], 'here')
    assert volume['status'] == status


@only_new
def test_detaching_twice(brick, cinder, volume):
    brick.attach(volume['id'], 'here')
    brick.detach(volume['id'])
    with pytest.raises(exceptions.NoAttachmentsFound, match=volume['id']):
        brick.detach(volume['id'])


@only_new
def test_two_detaches_at_the_same_time(brick, cinder, volume):
    brick.attach(volume['id'], 'here')
    cinder.reached['delete'] = cinder.attachments.clear
    brick.detach(volume['id'])
    assert cinder.of(volume) == []


@only_new
def test_one_of_several_attachments(brick, cinder, volume, host):
    volume['multiattach'] = True
    brick.attach(volume['id'], 'here')
    brick.attach(volume['id'], 'here')
    first, second = cinder.of(volume)
    with pytest.raises(exceptions.NeedAttachmentUUID) as caught:
        brick.detach(volume['id'])
    assert first['id'] in str(caught.value) and second['id'] in str(caught.value)
    brick.detach(volume['id'], first['id'])
    assert (cinder.of(volume), host.devices) == ([second], [volume['path']])
    brick.detach(volume['id'])
    assert untouched(cinder, volume, host)


@only_new
def test_a_failed_attach_keeps_the_device_of_the_one_before(brick, cinder, volume, host):
    volume['multiattach'] = True
    brick.attach(volume['id'], 'here')
    cinder.faults['complete'] = (500, False)
    with pytest.raises(cinder_exceptions.ClientException):
        brick.attach(volume['id'], 'here')
    assert (volume['status'], len(cinder.of(volume)), host.devices) == ('in-use', 1, [volume['path']])


@only_old
def test_several_older_attachments_are_listed(brick, cinder, volume):
    for name in 'ab':
        cinder.os_attach(volume, {'host_name': name, 'mountpoint': '/dev/x', 'mode': 'rw'})
    with pytest.raises(exceptions.NeedAttachmentUUID, match=r'They are: .* \([ab]\), .* \([ab]\)'):
        brick.detach(volume['id'])
    assert volume['status'] == 'in-use'


@only_new
def test_an_attachment_of_another_volume(brick, cinder, volume, tmp_path):
    other = cinder.add('other', tmp_path)
    brick.attach(volume['id'], 'here')
    attachment, = cinder.of(volume)
    with pytest.raises(cinder_exceptions.CommandError, match=attachment['id']):
        brick.detach(other['id'], attachment['id'])
    assert cinder.of(volume) == [attachment]


@pytest.mark.parametrize('arguments', [{'mode': 'w'}, {'multipath': 'perhaps'}, {'enforce_multipath': 'perhaps'}])
def test_a_value_that_is_none_is_refused_before_cinder_is_asked(brick, cinder, volume, arguments):
    with pytest.raises(cinder_exceptions.CommandError):
        brick.attach(volume['id'], 'here', **arguments)
    assert cinder.seen == []


def test_a_protocol_nobody_speaks(brick, cinder, volume, host):
    volume['protocol'] = 'telepathy'
    with pytest.raises(exception.ProtocolNotSupported, match='TELEPATHY'):
        brick.attach(volume['id'], 'here')
    assert untouched(cinder, volume, host)


def test_every_protocol_of_the_connectors_is_accepted():
    supported = set(volume_actions.VerifyProtocol.SUPPORTED_PROCOTOLS)
    assert {'ISCSI', 'RBD', 'FIBRE_CHANNEL', 'NFS', 'LOCAL'} <= supported


def test_paths(brick, volume):
    assert brick.get_volume_paths('data') == []
    brick.attach(volume['id'], 'here')
    assert brick.get_volume_paths('data') == brick.get_volume_paths(volume['id']) == [volume['path']]
    assert brick.get_all_volume_paths('local') == []
    with pytest.raises(cinder_exceptions.CommandError, match="name or ID of 'none' exists"):
        brick.get_volume_paths('none')


def test_addresses():
    assert brick_utils.get_ip('lo') == '127.0.0.1'
    with pytest.raises(exceptions.NicNotFound, match='^Could not find network interface none0.$'):
        brick_utils.get_ip('none0')
