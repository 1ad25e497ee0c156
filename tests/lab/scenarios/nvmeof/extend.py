"""A namespace grows, with blocks of 512 bytes and of 4 KiB, without the device's name in the properties."""

LEDGER = ('NV-24', 'NV-25', 'X-13')
VARIANTS = ('512', '4096')
SECONDS = 30
UPSTREAM_FAILS = 'compares numbers of blocks of different sizes and waits 10 s'


def run(lab):
    subsystem = lab.nvmet.create(portals=2, block=int(lab.variant))
    namespace, properties = subsystem.namespaces[1], subsystem.properties()
    connector = lab.caller().connector('NVME', use_multipath=True)
    info = lab.attach(connector, properties)
    lab.equal('size of the blocks', lab.host.read(
        f"/sys/class/block/{info['path'].removeprefix('/dev/')}/queue/logical_block_size"), lab.variant)
    flow = lab.flow.Flow(info['path'])
    for size in ('64M', '96M', '200M'):
        namespace.grow(size)
        answer = connector.extend_volume(properties)
        lab.measured('extend', answer.seconds)
        lab.equal(f'{size}: the new size is returned', answer.value, namespace.size)
        lab.equal(f'{size}: the device has it', lab.host.size_of(info['path']), namespace.size)
        lab.at_most(f'{size}: at once', answer.seconds, 5)
    lab.equal('no I/O error while extending', flow.stop(), [])
    lab.detach(connector, properties, info)
