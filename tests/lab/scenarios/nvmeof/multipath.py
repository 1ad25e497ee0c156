"""One namespace over two portals with native multipath; what a second attach and a detach make of it."""

LEDGER = ('NV-16', 'NV-21', 'NV-38')
SECONDS = 30


def run(lab):
    subsystem = lab.nvmet.create(portals=2)
    namespace, properties = subsystem.namespaces[1], subsystem.properties()
    connector = lab.caller().connector('NVME', use_multipath=True)
    info = lab.attach(connector, properties)
    lab.check_right_namespace('attached', info['path'], namespace)
    lab.equal('a controller per portal', lab.host.nvme_portals(subsystem.nqn), subsystem.addresses)
    again = lab.attach(connector, properties, 'connect again')
    lab.equal('the same device', again, info)
    lab.equal('no more controllers', lab.host.nvme_portals(subsystem.nqn), subsystem.addresses)
    flow = lab.flow.Flow(info['path'])
    subsystem.refuse(subsystem.addresses[0])
    lab.poll.became_true(lambda: False, 2)
    lab.equal('I/O goes on over the other portal', flow.stop(), [])
    subsystem.restore()
    lab.detach(connector, properties, info)
    lab.equal('no controller right after the detach', lab.host.nvme_controllers(), {})
