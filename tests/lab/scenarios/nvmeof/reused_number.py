"""The storage gives a volume's number to another volume without a word: the right one is attached all the same."""

LEDGER = ('NV-19', 'NV-20')
SECONDS = 30


def run(lab):
    subsystem = lab.nvmet.create(portals=1, namespaces=2)
    one, two = subsystem.namespaces.values()
    connector = lab.caller().connector('NVME')
    other = lab.attach(connector, subsystem.properties(2))
    # Both change places.
    for namespace in (one, two):
        namespace.unmap()
    one.exchange(two)
    info = lab.attach(connector, subsystem.properties(1), 'connect after the change')
    lab.check_right_namespace('after the change', info['path'], one)
    lab.detach(connector, subsystem.properties(1), info)
    two.unmap()
    lab.detach(connector, subsystem.properties(2), other)
    one.unmap()
    lab.detach(connector, subsystem.properties(1), None)
