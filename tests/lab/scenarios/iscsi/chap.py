"""CHAP: the right secret attaches, a wrong one raises and leaves nothing, single path and multipath."""

LEDGER = ('X-18', 'SE-01', 'IC-02', 'IC-27')
VARIANTS = ('single', 'multipath')
SECONDS = 40
UPSTREAM_LEAVES = 'the line in the wwids file that multipathd wrote'


def run(lab):
    multipath = lab.variant == 'multipath'
    target = lab.targets.create(portals=2 if multipath else 1, chap=('lab-user', 'lab-secret-1234'))
    disk = target.luns[1]
    properties = target.properties(1, plural=multipath)
    connector = lab.caller().connector('ISCSI', use_multipath=multipath)

    info = lab.attach(connector, properties)
    lab.check_right_disk('attached', info['path'], disk)
    lab.detach(connector, properties, info)
    lab.equal('no session after the detach', lab.host.sessions(), {})

    wrong = dict(properties, auth_password='not-the-secret-1')
    error = lab.raises('a wrong secret raises', connector.start('connect_volume', wrong),
                       'VolumeDeviceNotFound', 'FailedISCSITargetPortalLogin', 'BrickException')
    if error:
        lab.measured('refused login', error.seconds)
        lab.check('the secret is not in the exception', 'not-the-secret-1' not in error.repr + error.traceback)
    lab.equal('no session after the refused login', lab.host.sessions(), {})
