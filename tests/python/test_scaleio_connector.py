# SPDX-License-Identifier: Apache-2.0
"""ScaleIOConnector on a small PowerFlex: mappings, devices, and what is left of them."""

import inspect
import logging
import pathlib

import pytest

from powerflex_gateway import GUID
from powerflex_host import CONF, NAME, VOLUME_ID
from powerflex_host import conf, connector, gateway, pauses, props, sdc, without

from os_brick import exception
from os_brick import initiator
from os_brick.initiator import connector as connectors
from os_brick.initiator.connectors import scaleio
from os_brick.privileged import scaleio as priv_scaleio

MAP = f'instances/Volume::{VOLUME_ID}/action/addMappedSdc'
UNMAP = f'instances/Volume::{VOLUME_ID}/action/removeMappedSdc'
LIMITS = f'instances/Volume::{VOLUME_ID}/action/setMappedSdcLimits'
BY_NAME = 'types/Volume/instances/getByName::DIk8%252F1aKSxa%252Bg%253D%253D'


@pytest.fixture
def mapped(props):
    """What a driver gives that has mapped the volume itself."""
    return {'scaleIO_volname': NAME, 'scaleIO_volume_id': VOLUME_ID, 'sdc_guid': GUID}


class TestConnect:

    def test_a_volume_is_mapped_and_its_link_returned(self, connector, gateway, sdc, props):
        assert connector.connect_volume(props) == {'type': 'block',
                                                   'path': str(sdc.link(VOLUME_ID))}
        assert gateway.mappings == {(VOLUME_ID, GUID)}
        assert gateway.actions() == ['login', MAP]

    def test_si_02_limits_are_set_after_the_map(self, connector, gateway, props):
        connector.connect_volume({**props, 'iopsLimit': '80', 'bandwidthLimit': '500'})
        assert gateway.actions() == ['login', MAP, LIMITS]
        assert gateway.limits == {VOLUME_ID: {'iopsLimit': '80', 'bandwidthLimitInKbps': '500'}}

    @pytest.mark.parametrize('limit, sent', [({'iopsLimit': '80'}, {'iopsLimit': '80'}),
                                             ({'bandwidthLimit': 512},
                                              {'bandwidthLimitInKbps': 512})])
    def test_si_02_one_limit_alone(self, connector, gateway, props, limit, sent):
        connector.connect_volume({**props, **limit})
        assert gateway.limits == {VOLUME_ID: sent}

    @pytest.mark.parametrize('answer', [(500, {'message': 'iops out of range', 'errorCode': 9}),
                                        (502, b'<html>Bad gateway</html>')])
    def test_a_refused_limit_is_logged_and_the_volume_stays(self, connector, gateway, sdc, props,
                                                            answer, caplog):
        gateway.answers['setMappedSdcLimits'] = answer
        result = connector.connect_volume({**props, 'iopsLimit': '7'})
        assert result['path'] == str(sdc.link(VOLUME_ID))
        reason = answer[1]['message'] if answer[0] == 500 else 'HTTP status 502'
        assert [one.getMessage() for one in caplog.records if one.levelname == 'ERROR'] == [
            f'Error setting client limits for volume {NAME}: {reason}']

    @pytest.mark.parametrize('missing', [None, 'scaleIO_volume_id'])
    def test_si_03_the_name_leads_to_the_id(self, connector, gateway, sdc, props, missing):
        props = {**props, 'scaleIO_volume_id': None} if missing is None else without(props, missing)
        assert connector.connect_volume(props)['path'] == str(sdc.link(VOLUME_ID))
        assert gateway.actions() == ['login', BY_NAME, MAP]

    @pytest.mark.parametrize('name', ['a b', '100%', 'a%2Fb', 'ä/ö?#', '..', "it's"])
    def test_si_03_any_name_arrives_as_it_is(self, connector, gateway, props, name):
        gateway.volumes[VOLUME_ID] = name
        connector.connect_volume({**without(props, 'scaleIO_volume_id'), 'scaleIO_volname': name})
        assert gateway.mappings == {(VOLUME_ID, GUID)}

    def test_si_03_an_unknown_name(self, connector, gateway, props):
        gateway.volumes.clear()
        with pytest.raises(exception.BrickException,
                           match="^Volume with name .* wasn't found.$"):
            connector.connect_volume(without(props, 'scaleIO_volume_id'))
        assert gateway.mappings == set()

    @pytest.mark.parametrize('answer, reason', [
        ((200, None), "Volume with name %s wasn't found."),
        ((500, {'message': 'busy', 'errorCode': 1}),
         'Error getting volume id from name %s: busy'),
        ((200, ['a']), 'Error getting volume id from name %s: HTTP status 200')])
    def test_si_03_no_id_for_a_name(self, connector, gateway, props, answer, reason):
        gateway.answers['g%253D%253D'] = answer
        with pytest.raises(exception.BrickException) as raised:
            connector.connect_volume(without(props, 'scaleIO_volume_id'))
        assert str(raised.value) == reason % NAME
        assert gateway.mappings == set()

    @pytest.mark.parametrize('release', [3, 4])
    def test_si_09_a_volume_that_is_mapped_already(self, connector, gateway, sdc, props, release,
                                                   caplog):
        gateway.release = release
        gateway.mappings.add((VOLUME_ID, GUID))
        sdc.add(VOLUME_ID)
        assert connector.connect_volume(props)['path'] == str(sdc.link(VOLUME_ID))
        assert [one.getMessage() for one in caplog.records if one.levelname == 'WARNING'] == [
            f'Ignoring error mapping volume {NAME}: volume already mapped.']

    def test_si_09_the_codes_of_the_other_direction_are_errors(self, connector, gateway, props):
        gateway.answers['addMappedSdc'] = gateway.error('not mapped')
        with pytest.raises(exception.BrickException,
                           match='^Error mapping volume .*: The volume is not mapped$'):
            connector.connect_volume(props)

    @pytest.mark.parametrize('answer, reason', [
        ((500, {'message': 'no resources', 'errorCode': 1}), 'no resources'),
        ((500, {'message': 'no code'}), 'no code'),
        ((503, b'<html>starting</html>'), 'HTTP status 503'),
        ((500, ''), 'HTTP status 500'),
        ((404, ['what']), 'HTTP status 404')])
    def test_a_refused_map(self, connector, gateway, sdc, props, answer, reason):
        gateway.answers['addMappedSdc'] = answer
        with pytest.raises(exception.BrickException) as raised:
            connector.connect_volume(props)
        assert str(raised.value) == f'Error mapping volume {NAME}: {reason}'
        assert gateway.actions() == ['login', MAP]

    def test_si_12_the_device_comes_late(self, connector, gateway, sdc, props, pauses):
        sdc.prompt = False
        pauses.then = iter([sdc.by_id.mkdir, lambda: sdc.add('0' * 16),
                            lambda: sdc.add(VOLUME_ID)])
        assert connector.connect_volume(props)['path'] == str(sdc.link(VOLUME_ID))
        assert pauses == [1, 1, 1]

    def test_si_12_no_device_in_fifteen_tries(self, connector, gateway, sdc, props, pauses):
        sdc.prompt = False
        sdc.by_id.mkdir()
        with pytest.raises(exception.BrickException,
                           match=f'^ScaleIO volume {VOLUME_ID} not found.$'):
            connector.connect_volume(props)
        assert pauses == [1] * 14
        # What the attach made is gone.
        assert (gateway.mappings, gateway.actions()[-1]) == (set(), UNMAP)

    def test_si_12_no_directory(self, connector, gateway, sdc, props):
        sdc.prompt = False
        with pytest.raises(exception.BrickException,
                           match=f'^ScaleIO volume {VOLUME_ID} not found at expected path.$'):
            connector.connect_volume(props)

    def test_a_mapping_that_was_there_is_not_undone(self, connector, gateway, sdc, props):
        gateway.mappings.add((VOLUME_ID, GUID))
        with pytest.raises(exception.BrickException, match='not found at expected path'):
            connector.connect_volume(props)
        assert gateway.mappings == {(VOLUME_ID, GUID)}

    def test_the_first_error_is_raised_when_the_undo_fails_too(self, connector, gateway, sdc,
                                                               props, caplog):
        sdc.prompt = False
        gateway.answers['removeMappedSdc'] = (500, {'message': 'busy', 'errorCode': 1})
        with pytest.raises(exception.BrickException, match='not found at expected path'):
            connector.connect_volume(props)
        assert [one.getMessage() for one in caplog.records if one.levelname == 'ERROR'] == [
            f'ScaleIO volume {VOLUME_ID} remains mapped to this host: busy']

    def test_a_link_without_its_device_is_not_the_volume(self, connector, gateway, sdc, props,
                                                         pauses):
        """SI-11: it was left by the mapping before."""
        sdc.by_id.mkdir()
        sdc.link(VOLUME_ID).symlink_to(sdc.devices / 'gone')
        sdc.prompt = False
        pauses.then = iter([lambda: (sdc.devices / 'gone').touch()])
        assert connector.connect_volume(props)['path'] == str(sdc.link(VOLUME_ID))
        assert pauses == [1]

    def test_links_of_other_volumes_are_not_taken(self, connector, gateway, sdc, props):
        sdc.add('9' + VOLUME_ID)
        sdc.add(VOLUME_ID + '-part1')
        (sdc.by_id / f'scsi-{VOLUME_ID}').symlink_to(sdc.control)
        assert connector.connect_volume(props)['path'] == str(sdc.link(VOLUME_ID))

    def test_two_devices_with_the_id_are_an_error(self, connector, gateway, sdc, props):
        sdc.add(VOLUME_ID, system='0123456789abcdef')
        with pytest.raises(exception.BrickException) as raised:
            connector.connect_volume(props)
        assert str(raised.value) == (
            f'ScaleIO volume {VOLUME_ID} has several devices: '
            f'{sdc.link(VOLUME_ID)}, {sdc.link(VOLUME_ID, "0123456789abcdef")}')
        assert gateway.mappings == set()

    def test_si_18_without_an_sdc_nothing_is_mapped(self, connector, gateway, sdc, props):
        sdc.control.unlink()
        with pytest.raises(exception.BrickException,
                           match=r'^Failed to query sdc guid: \[Errno 2\] No such file'):
            connector.connect_volume(props)
        assert gateway.requests == []

    def test_an_sdc_without_guid_is_no_use(self, connector, gateway, sdc, props):
        sdc.guid = '00000000-0000-0000-0000-000000000000'
        with pytest.raises(exception.BrickException,
                           match='^Failed to query sdc guid: the SDC has no GUID$'):
            connector.connect_volume(props)
        assert gateway.requests == []

    def test_an_encrypted_volume_gets_its_own_link(self, connector, gateway, sdc, props, links):
        path = sdc.link(VOLUME_ID)
        result = connector.connect_volume({**props, 'encrypted': True})
        assert result['path'] == '/dev/disk/by-id/os-brick' + str(path).replace('/', '+')
        assert links == [('link', str(path.resolve()), result['path'])]
        connector.disconnect_volume({**props, 'encrypted': True, 'device_path': result['path']},
                                    None)
        assert links[1:] == [('unlink', result['path'])]
        assert gateway.mappings == set()


class TestInput:

    @pytest.mark.parametrize('change, reason', [
        ({'scaleIO_volname': None, 'scaleIO_volume_id': ''},
         'the connection properties have neither scaleIO_volume_id nor scaleIO_volname'),
        ({'scaleIO_volume_id': 23},
         'the connection property scaleIO_volume_id must be a text, and is 23'),
        ({'config_group': None},
         'the connection properties have neither config_group nor sdc_guid')])
    @pytest.mark.parametrize('method', ['connect', 'disconnect'])
    def test_a_volume_nobody_can_find(self, connector, gateway, props, change, reason, method):
        args = () if method == 'connect' else (None,)
        with pytest.raises(exception.InvalidParameterValue) as raised:
            getattr(connector, f'{method}_volume')({**props, **change}, *args)
        assert str(raised.value) == reason
        assert gateway.requests == []

    @pytest.mark.parametrize('name, value', [
        ('serverIP', None), ('serverIP', ''), ('serverIP', 7), ('serverIP', 'me@evil'),
        ('serverIP', 'a/b'), ('serverIP', 'a b'), ('serverIP', 'a\nb'), ('serverPort', None),
        ('serverPort', 'https'), ('serverPort', 70000), ('serverPort', True),
        ('verify_certificate', 'perhaps'), ('certificate_path', 1)])
    def test_a_gateway_nobody_can_reach(self, connector, gateway, sdc, props, name, value):
        with pytest.raises(exception.InvalidParameterValue) as raised:
            connector.connect_volume({**props, name: value})
        assert str(raised.value) == (f'the connection property {name} must tell how to reach '
                                     f'the PowerFlex gateway, and is {value!r}')
        assert (gateway.requests, sdc.operations) == ([], [])

    def test_the_id_cannot_leave_its_place_in_the_url(self, connector, gateway, props):
        with pytest.raises(exception.BrickException, match='Could not find the volume'):
            connector.connect_volume({**props, 'scaleIO_volume_id': '../../login?x#y'})
        assert gateway.actions() == [
            'login', 'instances/Volume::..%2F..%2Flogin%3Fx%23y/action/addMappedSdc']


class TestDriverMaps:
    """SI-15: today's driver maps and unmaps; nothing is asked and no secret needed (SE-10)."""

    def test_only_the_device_is_waited_for(self, connector, gateway, conf, sdc, mapped, pauses):
        conf.unlink()
        pauses.then = iter([lambda: sdc.add(VOLUME_ID)])
        assert connector.connect_volume(mapped) == {'type': 'block',
                                                    'path': str(sdc.link(VOLUME_ID))}
        assert (gateway.requests, sdc.operations, pauses) == ([], [], [1])

    def test_properties_of_a_gateway_change_nothing(self, connector, gateway, conf, sdc, props):
        conf.unlink()
        sdc.add(VOLUME_ID)
        connector.connect_volume({**props, 'sdc_guid': GUID, 'iopsLimit': '5'})
        connector.disconnect_volume({**props, 'sdc_guid': GUID}, None)
        assert gateway.requests == []

    def test_a_detach_does_nothing(self, connector, gateway, conf, sdc, mapped):
        conf.unlink()
        sdc.add(VOLUME_ID)
        assert connector.disconnect_volume({**mapped, 'device_path': str(sdc.link(VOLUME_ID))},
                                           None) is None
        assert sdc.link(VOLUME_ID).exists()
        assert gateway.requests == []

    def test_the_link_of_an_encrypted_volume_goes(self, connector, mapped, links):
        link = '/dev/disk/by-id/os-brick+dev+disk+by-id+emc-vol-1-2'
        connector.disconnect_volume({**mapped, 'encrypted': True, 'device_path': link}, None)
        assert links == [('unlink', link)]

    def test_the_connector_reports_its_guid(self, sdc):
        assert scaleio.ScaleIOConnector.get_connector_properties(
            'sudo', multipath=True, enforce_multipath=True) == {'sdc_guid': GUID}
        assert sdc.operations == [(0x610e, 24)]


class TestHostWithoutPowerFlex:

    def test_si_18_a_debug_line_and_no_property(self, sdc, debug_log):
        sdc.control.unlink()
        assert scaleio.ScaleIOConnector.get_connector_properties('sudo') == {}
        assert [(one.levelno, one.exc_info, one.getMessage()) for one in debug_log.records
                if one.name == 'os_brick.initiator.connectors.scaleio'] == [
            (logging.DEBUG, None,
             f"No SDC: [Errno 2] No such file or directory: '{sdc.control}'")]

    def test_cf_03_what_fails_here_breaks_no_other_protocol(self, sdc, monkeypatch):
        class PrivilegesMissing(RuntimeError):
            pass

        def get_guid(op_code):
            raise PrivilegesMissing('no daemon')
        monkeypatch.setattr(priv_scaleio, 'get_guid', get_guid)
        assert scaleio.ScaleIOConnector.get_connector_properties('sudo') == {}


class TestContract:

    def test_cf_07_every_caller_detaches_with_the_same_arguments(self):
        parameters = inspect.signature(scaleio.ScaleIOConnector.disconnect_volume).parameters
        assert [(name, one.default) for name, one in parameters.items()][1:] == [
            ('connection_properties', inspect.Parameter.empty),
            ('device_info', inspect.Parameter.empty), ('force', False), ('ignore_errors', False)]

    def test_si_19_the_names_of_the_protocol_stay(self):
        assert initiator.SCALEIO == 'SCALEIO'
        made = connectors.InitiatorConnector.factory('scaleio', 'sudo', device_scan_attempts=7,
                                                     use_multipath=True, conn={})
        assert type(made) is scaleio.ScaleIOConnector
        assert made.device_scan_attempts == 7

    def test_si_04_the_numbers_of_the_ioctls(self):
        assert (scaleio.io('a', 14), scaleio.io('a', 10)) == (0x610e, 0x610a)
        assert scaleio.ioc(1, 'b', 2, 3) == 1 | 3 << 16 | 0x6200 | 2
        assert (scaleio.ScaleIOConnector.GET_GUID_OP_CODE,
                scaleio.ScaleIOConnector.RESCAN_VOLS_OP_CODE) == (0x610e, 0x610a)

    def test_se_10_no_secret_in_logs_exceptions_or_objects(self, connector, gateway, conf, props,
                                                           debug_log):
        """SI-05: through a whole life of a volume, with a login that fails and one that expires."""
        secret = 'hunter2'
        conf.write_text(CONF.replace('secret-of-admin', secret))
        with pytest.raises(exception.BrickException) as raised:
            connector.connect_volume(props)
        gateway.accounts['admin'] = secret
        path = connector.connect_volume(props)['path']
        gateway.tokens.clear()
        connector.extend_volume({**props, 'device_path': path})
        connector.disconnect_volume({**props, 'serverPassword': secret, 'serverToken': 'token-9'},
                                    {'path': path})
        shown = debug_log.text + repr(raised.value) + repr(vars(connector))
        assert '/action/addMappedSdc' in shown
        for word in (secret, 'token-'):
            assert word not in shown
        assert gateway.mappings == set()


def test_the_real_control_device_is_the_kernels():
    assert pathlib.Path(priv_scaleio.SCINI_DEVICE_PATH) == pathlib.Path('/dev/scini')
    assert scaleio.CONNECTOR_CONF_PATH == '/opt/emc/scaleio/openstack/connector.conf'
