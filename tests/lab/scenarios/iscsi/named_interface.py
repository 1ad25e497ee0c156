"""A named interface of open-iscsi over TCP: its sessions and records carry its name, others of the portal are left alone."""

from guest import command

LEDGER = ('IC-07',)
VARIANTS = ('single', 'multipath')
SECONDS = 30
UPSTREAM_LEAVES = 'the line in the wwids file that multipathd wrote'
INTERFACE = 'storage0'


def run(lab):
    command.run('iscsiadm', '--mode', 'iface', '--interface', INTERFACE, '--op', 'new')
    try:
        {'single': single, 'multipath': multipath}[lab.variant](lab)
    finally:
        command.run('iscsiadm', '--mode', 'iface', '--interface', INTERFACE, '--op', 'delete')


def single(lab):
    target = lab.targets.create()
    disk, properties = target.luns[1], target.properties(plural=False)
    connector = lab.caller().connector('ISCSI', use_multipath=False, transport=INTERFACE)
    info = lab.attach(connector, properties)
    lab.check_right_disk('attached', info['path'], disk)
    lab.equal('by the interface', interfaces(lab), [INTERFACE])
    lab.detach(connector, properties, info)
    lab.equal('nothing right after the detach', (lab.host.scsi_devices(), lab.host.sessions()), ({}, {}))


def multipath(lab):
    target = lab.targets.create(portals=2)
    disk, properties = target.luns[1], target.properties()
    connector = lab.caller().connector('ISCSI', use_multipath=True, transport=INTERFACE)
    info = lab.attach(connector, properties)
    lab.check_paths('attached', disk, 2)
    lab.equal('by the interface', interfaces(lab), [INTERFACE] * 2)
    lab.equal('the same device again', lab.attach(connector, properties, 'connect again'), info)
    lab.detach(connector, properties, info)
    left = (lab.host.scsi_devices(), lab.host.dm_devices(), lab.host.sessions())
    lab.equal('nothing right after the detach', left, ({}, {}, {}))


def interfaces(lab):
    return sorted(session['interface'] for session in lab.host.sessions().values())
