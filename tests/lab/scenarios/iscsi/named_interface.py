"""A named interface of open-iscsi over TCP: its sessions and records carry its name.

Another target is attached at the same portals by the default interface all the while: its sessions, records and I/O are left
alone.
"""

import re

from guest import command

LEDGER = ('IC-07',)
VARIANTS = ('single', 'multipath')
SECONDS = 40
UPSTREAM_LEAVES = 'the line in the wwids file that multipathd wrote'
INTERFACE = 'storage0'


def run(lab):
    command.run('iscsiadm', '--mode', 'iface', '--interface', INTERFACE, '--op', 'new')
    try:
        {'single': single, 'multipath': multipath}[lab.variant](lab)
    finally:
        command.run('iscsiadm', '--mode', 'iface', '--interface', INTERFACE, '--op', 'delete')


def single(lab):
    beside_the_default_interface(lab, 1, named)


def multipath(lab):
    beside_the_default_interface(lab, 2, named_by_two_paths)


def beside_the_default_interface(lab, portals, work):
    target, neighbour = lab.targets.create(portals=portals), lab.targets.create(portals=portals)
    connector = lab.caller().connector('ISCSI', use_multipath=portals > 1)
    info = lab.attach(connector, neighbour.properties(), 'neighbour: connect')
    before = sessions(lab, neighbour), records(lab, neighbour)
    lab.equal('the neighbour by the default interface', before, (['default'] * portals, ['default'] * portals))
    flow = lab.flow.Flow(info['path'])
    work(lab, target)
    lab.equal('nothing of it right after the detach', (sessions(lab, target), records(lab, target)), ([], []))
    lab.equal("the neighbour's sessions and records are as they were",
              (sessions(lab, neighbour), records(lab, neighbour)), before)
    lab.equal("no I/O error of the neighbour's", flow.stop(), [])
    lab.detach(connector, neighbour.properties(), info, 'neighbour: disconnect')


def named(lab, target):
    disk, properties = target.luns[1], target.properties(plural=False)
    connector = lab.caller().connector('ISCSI', use_multipath=False, transport=INTERFACE)
    info = lab.attach(connector, properties)
    lab.check_right_disk('attached', info['path'], disk)
    lab.equal('by the interface', (sessions(lab, target), records(lab, target)), ([INTERFACE], [INTERFACE]))
    lab.detach(connector, properties, info)


def named_by_two_paths(lab, target):
    disk, properties = target.luns[1], target.properties()
    connector = lab.caller().connector('ISCSI', use_multipath=True, transport=INTERFACE)
    info = lab.attach(connector, properties)
    lab.check_paths('attached', disk, 2)
    lab.equal('by the interface', (sessions(lab, target), records(lab, target)), ([INTERFACE] * 2, [INTERFACE] * 2))
    lab.equal('the same device again', lab.attach(connector, properties, 'connect again'), info)
    lab.detach(connector, properties, info)


def sessions(lab, target):
    """The interface of each session to the target."""
    return sorted(session['interface'] for session in lab.host.sessions().values() if session['targetname'] == target.iqn)


def records(lab, target):
    """The interface of each node record of the target, as the file says."""
    texts = [(lab.host.ISCSI_DATABASE / record).read_text() for record in lab.host.node_records()
             if record.startswith(f'nodes/{target.iqn}/') and (lab.host.ISCSI_DATABASE / record).is_file()]
    return sorted(re.search(r'^iface\.iscsi_ifacename = (\S+)$', text, re.MULTILINE)[1] for text in texts)
