"""Two volumes on one subsystem: a detach, and an attach that fails, leave the other one's I/O alone."""

LEDGER = ('NV-08', 'NV-09', 'NV-10')
SECONDS = 40


def run(lab):
    subsystem = lab.nvmet.create(portals=2, namespaces=2)
    connector = lab.caller().connector('NVME', use_multipath=True, device_scan_attempts=1)
    first = lab.attach(connector, subsystem.properties(1))
    second = lab.attach(connector, subsystem.properties(2))
    lab.check_right_namespace('first', first['path'], subsystem.namespaces[1])
    flow = lab.flow.Flow(second['path'])
    unknown = subsystem.properties(1, vol_uuid='00000000-1111-2222-3333-444444444444')
    lab.raises('a volume that is not there', connector.start('connect_volume', unknown), 'VolumeDeviceNotFound')
    lab.detach(connector, subsystem.properties(1), first)
    subsystem.namespaces[1].unmap()
    lab.eventually('the first is gone', lambda: not lab.host.read(f"/sys/class/block/{first['path'][5:]}/size"), 5)
    lab.equal('both controllers stay', lab.host.nvme_portals(subsystem.nqn), subsystem.addresses)
    lab.equal('no I/O error of the neighbour', flow.stop(), [])
    lab.detach(connector, subsystem.properties(2), second)
    lab.equal('no controller after the last detach', lab.host.nvme_controllers(), {})
