"""Nova's own driver of NVMe-oF volumes attaches, extends and detaches, each in another process.

What goes from one to the next is JSON alone; Nova detaches with no device_info. `old_format` is what Cinder hands out
unless it is configured otherwise.
"""

import json

LEDGER = ('NV-05', 'NV-24')
IMAGE = 'consumers'
VARIANTS = ('old_format', 'single', 'multipath')
MODES = ('nova',)
SECONDS = 120
TIMEOUT = 900
UPSTREAM_FAILS = 'waits in vain for a namespace with blocks of 4 KiB to grow'
COMPUTE = 'guest.services.nova:Compute'


def run(lab):
    subsystem = lab.nvmet.create(portals=2 if lab.variant == 'multipath' else 1)
    namespace = subsystem.namespaces[1]
    first = service(lab)
    check_connector(lab, first)
    stored = connect(lab, first, subsystem)

    namespace.grow('96M')
    second = service(lab)
    answer = second.extend(json.loads(stored), namespace.size)
    lab.measured('extend in another process', answer.seconds)
    path = json.loads(stored)['data']['device_path']
    lab.equal('the new size', (answer.value, lab.host.size_of(path)), (namespace.size, namespace.size))
    lab.check('the data is there', lab.flow.holds_pattern(path, namespace.uuid))
    lab.measured('disconnect in another process', second.disconnect(json.loads(stored)).seconds)
    lab.equal('no controller after the detach', lab.host.nvme_controllers(), {})
    second.disconnect(json.loads(stored))  # a detach that is asked for again is as good

    stored = connect(lab, second, subsystem)
    lab.measured('forced disconnect', first.disconnect(json.loads(stored), force=True).seconds)
    lab.equal('no controller after the forced detach', lab.host.nvme_controllers(), {})


def service(lab):
    caller = lab.caller(service='nova', conf={'libvirt.volume_use_multipath': lab.variant == 'multipath',
                                              'DEFAULT.host': 'compute-1'})
    return caller.remote(caller.start(COMPUTE, keep=True).wait())


def check_connector(lab, compute):
    """Cinder exports the volume to the host of this name."""
    found = compute.connector().value
    lab.equal('the name of the host', found.get('nqn'), lab.host.read('/etc/nvme/hostnqn'))
    lab.equal('native multipath', found.get('nvme_native_multipath'), True)


def connect(lab, compute, subsystem):
    """The connection_info as Cinder gives it; returned as Nova's database keeps it."""
    namespace = subsystem.namespaces[1]
    properties = subsystem.old_properties() if lab.variant == 'old_format' else subsystem.properties()
    given = {'driver_volume_type': 'nvmeof', 'data': {**properties, 'access_mode': 'rw', 'encrypted': False},
             'serial': namespace.uuid, 'status': 'reserved'}
    answer = compute.connect(given)
    lab.measured('connect', answer.seconds)
    path = answer.value['data']['device_path']
    lab.check_right_namespace('attached', path, namespace)
    lab.equal('a controller per portal', lab.host.nvme_portals(subsystem.nqn), subsystem.addresses)
    lab.equal('the domain gets the device', compute.disk_source(answer.value).value, path)
    return json.dumps(answer.value)
