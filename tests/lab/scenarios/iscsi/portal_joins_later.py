"""A portal that was dead at the attach and comes back while the volume is attached: its path joins by itself."""

LEDGER = ('IC-23',)
VARIANTS = ('refused', 'black_hole')
MODES = ('nova',)
SECONDS = 60
TIMEOUT = 600
UPSTREAM_FAILS = 'gives the portal up once its login has failed'
PROMISED_SECONDS = 120


def run(lab):
    target = lab.targets.create(portals=3)
    disk, properties, dead = target.luns[1], target.properties(1), target.portals[1]
    (target.close_portal if lab.variant == 'refused' else target.black_hole)(dead)
    connector = lab.caller().connector('ISCSI', use_multipath=True)
    info = lab.attach(connector, properties)
    lab.check_paths('attached', disk, 2)
    lab.never('no third path while the portal is dead', lambda: len(lab.host.map_of(disk.wwid)[1]) > 2, 5)
    if lab.variant == 'refused':
        target.open_portal(dead)
    else:
        target.restore(dead)
    lab.check_paths('the portal is back', disk, 3, PROMISED_SECONDS)
    lab.check_right_disk('with the joined path', info['path'], disk)
    lab.detach(connector, properties, info)
    lab.equal('no session right after the detach', lab.host.sessions(), {})
