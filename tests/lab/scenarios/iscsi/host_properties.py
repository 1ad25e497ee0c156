"""What the host says of itself: connector properties, initiator name, multipath support and search path."""

LEDGER = ('MP-18', 'MP-19', 'MP-20', 'PX-10')
SECONDS = 20
INITIATOR = 'iqn.2024-01.org.example:lab-guest'


def run(lab):
    caller = lab.caller()
    properties = caller.call('os_brick.initiator.connector:get_connector_properties', 'sudo', '10.0.0.1', True, True).value
    lab.equal('initiator', properties.get('initiator'), INITIATOR)
    lab.equal('multipath', properties.get('multipath'), True)
    lab.equal('host', properties.get('host'), 'lab')
    lab.equal('ip', properties.get('ip'), '10.0.0.1')
    connector = caller.connector('ISCSI', use_multipath=True)
    lab.equal('get_initiator', connector.get_initiator().value, INITIATOR)
    lab.equal('get_search_path', connector.get_search_path().value, '/dev/disk/by-path')
    lab.equal('supports_multipath', connector.supports_multipath().value, True)
    lab.equal('get_volume_paths of nothing attached', connector.get_volume_paths(
        {'target_portal': '127.0.1.1:3260', 'target_iqn': 'iqn.2010-10.org.openstack:none', 'target_lun': 1}).value, [])
    lab.equal('is_multipath_running', caller.call(
        'os_brick.initiator.linuxscsi:LinuxSCSI.is_multipath_running', root_helper='sudo').value, True)
