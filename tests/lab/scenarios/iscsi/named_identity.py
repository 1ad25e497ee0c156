"""Properties that name the volume's identity: agreement is silent, a difference is logged, or refused when so configured.

`warn`: the default. `enforce`: `[os_brick] enforce_identity = true`.
"""

PACKAGES = ('ours',)
VARIANTS = ('warn', 'enforce')
MODES = ('nova',)
SECONDS = 30


def run(lab):
    target = lab.targets.create(portals=2)
    disk, properties = target.luns[1], target.properties(1)
    other = '3' + 'f' * 32
    caller = lab.caller(conf={'enforce_identity': True} if lab.variant == 'enforce' else {})
    connector = caller.connector('ISCSI', use_multipath=True)

    answer = connector.connect_volume({**properties, 'wwn': disk.wwid})
    lab.equal('agreement: scsi_wwn', answer.value['scsi_wwn'], disk.wwid)
    lab.equal('agreement: no warning about it', differences(answer.logs), [])
    lab.detach(connector, properties, answer.value)

    wrong = {**properties, 'scsi_wwn': other}
    if lab.variant == 'enforce':
        error = lab.raises('difference: connect raises', connector.start('connect_volume', wrong), 'BrickException')
        lab.check('the error names both identities', error and other in str(error) and disk.wwid in str(error), error)
        lab.equal('no session', lab.host.sessions(), {})
        lab.equal('no device', lab.host.scsi_devices(), {})
        return
    answer = connector.connect_volume(wrong)
    lab.check_right_disk('difference', answer.value['path'], disk)
    found = differences(answer.logs)
    lab.check('one warning names both identities', len(found) == 1 and disk.wwid in found[0] and other in found[0],
              answer.logs[-10:])
    lab.detach(connector, wrong, answer.value)


def differences(logs):
    return [line for line in logs if 'connection properties name the volume' in line]
