"""One of four portals is dead: the attach is not held up, the volume works, the detach leaves nothing.

The limits are relative to healthy attaches of the same run: under emulation only ratios travel.
"""

LEDGER = ('IC-23', 'IC-25', 'IC-27')
VARIANTS = ('refused', 'black_hole')
MODES = ('nova',)
SECONDS = 90
TIMEOUT = 900
UPSTREAM_FAILS = 'waits for the dead portal, about two minutes at each attach'
GRACE = 2.0


def run(lab):
    target = lab.targets.create(portals=4)
    disk, properties = target.luns[1], target.properties(1)
    connector = lab.caller(conf={'portal_grace_period': int(GRACE)} if lab.ours else {}).connector(
        'ISCSI', use_multipath=True)
    healthy = max(attach_and_detach(lab, connector, disk, properties, 4, f'healthy {turn}') for turn in (1, 2))

    dead = target.portals[2]
    if lab.variant == 'refused':
        target.close_portal(dead)
    else:
        target.black_hole(dead)
    first = attach_and_detach(lab, connector, disk, properties, 3, 'first time dead')
    lab.at_most('first attach with a dead portal', first, healthy + GRACE + 1)
    again = attach_and_detach(lab, connector, disk, properties, 3, 'remembered dead')
    lab.at_most('attach while the portal is known to be dead', again, healthy + 0.5)


def attach_and_detach(lab, connector, disk, properties, paths, name):
    answer = connector.connect_volume(properties)
    lab.measured(f'{name}: connect', answer.seconds)
    lab.equal(f'{name}: multipath_id', answer.value.get('multipath_id'), disk.wwid)
    lab.check_paths(name, disk, paths)
    lab.check_right_disk(name, answer.value['path'], disk)
    lab.detach(connector, properties, answer.value, f'{name}: disconnect')
    lab.equal(f'{name}: no session after the detach', lab.host.sessions(), {})
    lab.equal(f'{name}: no SCSI device after the detach', lab.host.scsi_devices(), {})
    return answer.seconds
