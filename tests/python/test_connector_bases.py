# SPDX-License-Identifier: Apache-2.0
"""What connectors inherit: targets out of properties, whether multipath must be there, the type of a handle."""

import pytest

from os_brick import exception
from os_brick.initiator.connectors import base
from os_brick.initiator.connectors import iscsi


@pytest.fixture
def connector():
    return iscsi.ISCSIConnector('sudo')


class TestTargets:

    def test_listed(self, connector):
        props = {'target_portals': ['p', 'q'], 'target_iqns': ['i', 'j'], 'target_luns': [1, 2],
                 'target_portal': 'p', 'target_iqn': 'i', 'target_lun': 1, 'x': []}
        assert connector._get_all_targets(props) == [('p', 'i', 1), ('q', 'j', 2)]
        assert list(connector._iterate_all_targets(props)) == [
            {'x': [], 'target_portal': 'p', 'target_iqn': 'i', 'target_lun': 1},
            {'x': [], 'target_portal': 'q', 'target_iqn': 'j', 'target_lun': 2}]

    def test_single(self, connector):
        assert connector._get_all_targets({'target_portal': 'p', 'target_iqn': 'i'}) == [
            ('p', 'i', 0)]

    def test_one_lun_for_all(self, connector):
        assert connector._get_all_targets({'target_portals': ['p', 'q'], 'target_lun': 4,
                                           'target_iqns': ['i', 'j']}) == [
            ('p', 'i', 4), ('q', 'j', 4)]


class TestCheckMultipath:

    @pytest.fixture
    def check(self, monkeypatch, caplog):
        def run(use, supported, props):
            connector = iscsi.ISCSIConnector(None, use_multipath=use)
            monkeypatch.setattr(connector, 'supports_multipath', lambda: supported)
            connector.check_multipath(props)
            return [r.levelname for r in caplog.records if r.levelname == 'WARNING']
        return run

    def test_enforced(self, check):
        with pytest.raises(exception.BrickException, match="^Multipathing is enforced but the "
                                                           "host doesn't support multipathing.$"):
            check(True, False, {'enforce_multipath': True})

    @pytest.mark.parametrize('use, supported, props, warnings', [
        (True, False, {}, ['WARNING']), (True, True, {'enforce_multipath': True}, []),
        (False, False, {'enforce_multipath': True}, [])])
    def test_not_enforced(self, check, use, supported, props, warnings):
        assert check(use, supported, props) == warnings

    def test_without_multipath_at_all(self):
        assert base.BaseLinuxConnector.supports_multipath(object()) is False


def test_check_io_handle(connector):
    connector.check_IO_handle_valid(None, str, 'RBD')
    connector.check_IO_handle_valid('x', str, 'RBD')
    with pytest.raises(exception.InvalidIOHandleObject,
                       match='IO handle of RBD has wrong object type'):
        connector.check_IO_handle_valid(5, str, 'RBD')
