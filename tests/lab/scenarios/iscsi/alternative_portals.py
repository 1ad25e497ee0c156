"""Single path with several portals in the properties: they are tried in order, and a useless one is cleaned up again.

`dead`: nobody listens at the first. `no_lun`: the first logs in, but does not export the LUN.
"""

LEDGER = ('IC-01', 'IC-28')
VARIANTS = ('dead', 'no_lun')
MODES = ('nova',)
SECONDS = 60
TIMEOUT = 900
UPSTREAM_FAILS = 'tries a dead portal for two minutes'
UPSTREAM_LEAVES = 'the line in the wwids file'


def run(lab):
    useless = lab.targets.create(portals=['127.0.1.1'], luns={1: None})
    target = lab.targets.create(portals=['127.0.1.2'], luns={2: None})
    disk = target.luns[2]
    properties = target.properties(2, portals=['127.0.1.1', '127.0.1.2'])
    properties.update(target_iqns=[useless.iqn, target.iqn], target_iqn=useless.iqn)
    if lab.variant == 'dead':
        useless.close_portal(useless.portals[0])
    connector = lab.caller().connector('ISCSI', use_multipath=False)
    info = lab.attach(connector, properties)
    lab.check_right_disk('attached', info['path'], disk)
    lab.equal('one session, over the second portal', lab.host.session_portals(), target.portals)
    lab.detach(connector, properties, info)
    lab.equal('no session', lab.host.sessions(), {})
    lab.equal('no record', lab.host.node_records(), [])
