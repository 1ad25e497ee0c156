"""The storage unmaps a volume before its detach: the detach succeeds and the empty controllers go."""

LEDGER = ('NV-05', 'NV-10')
SECONDS = 30
UPSTREAM_LEAVES = 'controllers without a namespace'


def run(lab):
    subsystem = lab.nvmet.create(portals=2)
    properties = subsystem.properties()
    connector = lab.caller().connector('NVME', use_multipath=True)
    info = lab.attach(connector, properties)
    subsystem.namespaces[1].unmap()
    lab.eventually('the device is gone', lambda: not lab.host.read(f"/sys/class/block/{info['path'][5:]}/size"), 5)
    lab.detach(connector, properties, info)
    lab.equal('no controller right after the detach', lab.host.nvme_controllers(), {})
    lab.detach(connector, properties, info, 'disconnect again')
