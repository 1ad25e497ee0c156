"""Every portal is dead: connect raises, in bounded time, and leaves nothing; a LUN that is not exported likewise."""

LEDGER = ('IC-02', 'IC-27', 'IC-30')
VARIANTS = ('refused', 'black_hole', 'no_lun')
MODES = ('nova',)
SECONDS = 120
TIMEOUT = 1200
UPSTREAM_FAILS = 'three attempts of two minutes each'
LIMIT_SECONDS = 140


def run(lab):
    target = lab.targets.create(portals=2)
    properties = target.properties(1)
    if lab.variant == 'no_lun':
        properties.update(target_lun=9, target_luns=[9, 9])
    for portal in target.portals:
        if lab.variant == 'refused':
            target.close_portal(portal)
        elif lab.variant == 'black_hole':
            target.black_hole(portal)
    connector = lab.caller().connector('ISCSI', use_multipath=True)
    error = lab.raises('connect raises', connector.start('connect_volume', properties), 'VolumeDeviceNotFound',
                       'TargetPortalNotFound', 'FailedISCSITargetPortalLogin', seconds=1100)
    if error:
        lab.at_most('it gives up', error.seconds, LIMIT_SECONDS)
    lab.equal('no session', lab.host.sessions(), {})
    lab.equal('no record', lab.host.node_records(), [])
