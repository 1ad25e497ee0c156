"""Namespaces over RDMA (RoCEv2, in software): every format, two portals, RDMA beside TCP, a portal where nobody listens.

The portals of `multipath` and `dead` are one of IPv4 and one of IPv6.
"""

VARIANTS = ('single', 'multipath', 'mixed', 'dead')
SECONDS = 40
GRACE = 2.0


def run(lab):
    {'single': single, 'multipath': multipath, 'mixed': mixed, 'dead': dead}[lab.variant](lab)
    lab.equal('no controller right after the detach', lab.host.nvme_controllers(), {})


def single(lab):
    subsystem = lab.nvmet.create(transport='rdma')
    connector = lab.caller().connector('NVMEOF')
    named = {'new format': subsystem.properties(),
             'as some backends name it': subsystem.properties(portals=[[subsystem.addresses[0], '4420', 'RoCEv2']]),
             'old format': subsystem.old_properties()}
    for name, properties in named.items():
        info = lab.attach(connector, dict(properties), f'{name}: connect')
        lab.check_right_namespace(name, info['path'], subsystem.namespaces[1])
        lab.equal(f'{name}: over RDMA', transports(lab, subsystem), ['rdma'])
        lab.detach(connector, dict(properties), info, f'{name}: disconnect')
        lab.equal(f'{name}: no controller right after the detach', lab.host.nvme_controllers(), {})


def multipath(lab):
    subsystem = lab.nvmet.create(portals=2, transport='rdma')
    properties, namespace = subsystem.properties(), subsystem.namespaces[1]
    connector = lab.caller().connector('NVMEOF', use_multipath=True)
    info = lab.attach(connector, properties)
    lab.check_right_namespace('attached', info['path'], namespace)
    lab.equal('a controller per portal', lab.host.nvme_portals(subsystem.nqn), subsystem.addresses)
    lab.equal('the same device again', lab.attach(connector, properties, 'connect again'), info)
    lab.equal('no more controllers', lab.host.nvme_portals(subsystem.nqn), subsystem.addresses)
    cut(lab, subsystem, info, subsystem.addresses[0], 'rdma')
    namespace.grow('96M')
    answer = connector.extend_volume(properties)
    lab.measured('extend', answer.seconds)
    lab.equal('the new size', (answer.value, lab.host.size_of(info['path'])), (namespace.size, namespace.size))
    lab.detach(connector, properties, info)


def mixed(lab):
    """Both transports at one address and one port: two controllers, and each is taken for what it is."""
    subsystem = lab.nvmet.create(transport='rdma')
    address = subsystem.addresses[0]
    subsystem.listen(address, 'tcp')
    properties = subsystem.properties(portals=[[address, 4420, 'tcp'], [address, 4420, 'rdma']])
    connector = lab.caller().connector('NVMEOF', use_multipath=True)
    info = lab.attach(connector, properties)
    lab.check_right_namespace('attached', info['path'], subsystem.namespaces[1])
    lab.equal('a controller of each', transports(lab, subsystem), ['rdma', 'tcp'])
    lab.equal('the same device again', lab.attach(connector, properties, 'connect again'), info)
    lab.equal('no more controllers', transports(lab, subsystem), ['rdma', 'tcp'])
    cut(lab, subsystem, info, address, 'tcp')
    cut(lab, subsystem, info, address, 'rdma')
    lab.detach(connector, properties, info)


def dead(lab):
    """Nobody listens on the first portal: it is refused at once, and the other one carries the volume."""
    subsystem = lab.nvmet.create(portals=2, transport='rdma')
    properties = subsystem.properties()
    connector = lab.caller(conf={'portal_grace_period': int(GRACE)} if lab.ours else {}).connector('NVMEOF', use_multipath=True)
    healthy = connector.connect_volume(properties)
    lab.measured('connect', healthy.seconds)
    lab.detach(connector, properties, healthy.value)
    subsystem.hang_up(subsystem.addresses[0])
    answer = connector.connect_volume(properties)
    lab.measured('connect with a dead portal', answer.seconds)
    lab.at_most('the attach is not held up', answer.seconds, healthy.seconds + GRACE + 1)
    lab.check_right_namespace('attached', answer.value['path'], subsystem.namespaces[1])
    lab.equal('the other portal', lab.host.nvme_portals(subsystem.nqn), subsystem.addresses[1:])
    lab.detach(connector, properties, answer.value)


def transports(lab, subsystem):
    return sorted(each['transport'] for each in lab.host.nvme_controllers(subsystem.nqn).values() if each['state'] == 'live')


def cut(lab, subsystem, info, address, transport):
    """Data flows on while one of two portals is closed, and its controller comes back by itself."""
    alive = transports(lab, subsystem)
    flow = lab.flow.Flow(info['path'])
    lab.poll.until(lambda: flow.operations > 20, 20, 'data flows')
    subsystem.hang_up(address, transport)
    lab.eventually(f'{transport} is cut', lambda: len(transports(lab, subsystem)) == 1, 30)
    done = flow.operations
    lab.eventually(f'{transport} is cut: data flows on', lambda: flow.operations > done + 20, 60)
    subsystem.listen(address, transport)
    lab.eventually(f'{transport} is back', lambda: transports(lab, subsystem) == alive, 60)
    lab.equal(f'{transport} was cut: no I/O error', flow.stop(), [])
