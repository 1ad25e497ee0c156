"""IPv6 portals: upper or lower case, one case at the attach and another at the detach, single path and multipath."""

LEDGER = ('IC-11', 'IC-39', 'X-03')
VARIANTS = ('lower', 'upper', 'mixed')
MODES = ('nova',)
SECONDS = 40
UPSTREAM_FAILS = 'compares the case at the detach'
UPSTREAM_LEAVES = 'lines in the wwids file'
ADDRESSES = ['fd00:db8::1', 'fd00:db8::2']


def run(lab):
    target = lab.targets.create(portals=ADDRESSES)
    disk, plain = target.luns[1], target.properties(1)
    at_attach = in_case(plain, lab.variant != 'lower')
    at_detach = in_case(plain, lab.variant == 'upper')
    caller = lab.caller()
    for multipath in (False, True):
        name = 'multipath' if multipath else 'single path'
        connector = caller.connector('ISCSI', use_multipath=multipath)
        info = lab.attach(connector, at_attach, f'{name}: connect')
        lab.check_right_disk(name, info['path'], disk)
        # The kernel and udev keep the portal as it was given at the attach.
        lab.equal(f'{name}: sessions', sorted(portal.lower() for portal in lab.host.session_portals(target.iqn)),
                  sorted(target.portals) if multipath else target.portals[:1])
        if not multipath:
            lab.equal('get_volume_paths', [path.lower() for path in connector.get_volume_paths(at_detach).value],
                      [f'/dev/disk/by-path/ip-fd00:db8::1:3260-iscsi-{target.iqn}-lun-1'])
        lab.detach(connector, at_detach, info, f'{name}: disconnect')
        lab.equal(f'{name}: no session after the detach', lab.host.sessions(), {})
        lab.equal(f'{name}: no record after the detach', lab.host.node_records(), [])


def in_case(properties, upper):
    change = str.upper if upper else str.lower
    return dict(properties, target_portal=change(properties['target_portal']),
                target_portals=[change(portal) for portal in properties['target_portals']])
