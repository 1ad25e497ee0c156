"""What get_connector_properties tells of NVMe is what upstream tells on the same host, and never changes."""

LEDGER = ('NV-26', 'NV-27', 'NV-30', 'NV-33', 'NV-34', 'NV-40')
PACKAGES = ('ours',)
SECONDS = 60
KEYS = ('nqn', 'nvme_hostid', 'nvme_native_multipath', 'system uuid', 'uuid')


def run(lab):
    told = {}
    for package in ('ours', 'upstream', 'ours'):
        caller = lab.caller(package=package)
        answer = caller.call('os_brick.initiator.connector:get_connector_properties', 'sudo', '10.0.0.1', True, False)
        found = {key: answer.value.get(key) for key in KEYS}
        lab.equal(f'{package}: the same as before', found, told or found)
        told = found
    lab.note(told)
    lab.equal('native multipath', told['nvme_native_multipath'], True)
