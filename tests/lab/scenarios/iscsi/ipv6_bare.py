"""IPv6 portals written without brackets, as some drivers hand them out."""

LEDGER = ('IC-39',)
MODES = ('root',)
SECONDS = 25
UPSTREAM_FAILS = 'passes the portal on as it came'


def run(lab):
    target = lab.targets.create(portals=['fd00:db8::3'])
    disk, properties = target.luns[1], target.properties(1)
    bare = dict(properties, target_portal='fd00:db8::3:3260', target_portals=['fd00:db8::3:3260'])
    connector = lab.caller().connector('ISCSI', use_multipath=False)
    info = lab.attach(connector, bare)
    lab.check_right_disk('attached', info['path'], disk)
    lab.equal('one session', lab.host.session_portals(target.iqn), target.portals)
    lab.detach(connector, bare, info)
    lab.equal('no session after the detach', lab.host.sessions(), {})
