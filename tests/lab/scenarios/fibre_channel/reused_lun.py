"""A LUN number that maps another disk while the old device is still there: the new disk comes back, or none.

`forgotten`: the old volume was never detached (the service was killed). `mapped`: multipath, with a map on top.
"""

LEDGER = ('IC-38', 'SE-08')
VARIANTS = ('forgotten', 'mapped')
MODES = ('nova',)
SECONDS = 40
UPSTREAM_FAILS = 'returns the new disk under the identity of the old one'


def run(lab):
    multipath = lab.variant == 'mapped'
    array = lab.array(2 if multipath else 1)
    old, properties = array.luns[1], array.properties(1)
    connector = lab.caller().connector('FIBRE_CHANNEL', use_multipath=multipath)
    before = lab.attach(connector, properties, 'connect the old volume')
    lab.check_right_disk('old volume', before['path'], old)
    new = lab.targets.disk('80M')
    array.swap(1, new)
    properties = array.properties(1)
    pending = connector.start('connect_volume', properties)
    error = pending.error()
    if error:
        lab.check('a failed attach says what is wrong', error.is_a('BrickException'), error)
    else:
        info = pending.wait().value
        lab.measured('connect the new volume', pending.wait().seconds)
        lab.equal('scsi_wwn is that of the new disk', info['scsi_wwn'], new.wwid)
        lab.equal('size is that of the new disk', lab.host.size_of(info['path']), new.size)
        lab.check_right_disk('new volume', info['path'], new)
        lab.check('nothing was written to the old disk', old.content(0, 4096) == lab.flow.pattern(old.serial))
        lab.equal('no map of the old disk', lab.host.map_of(old.wwid)[0], None)
        lab.detach(connector, properties, info)
    lab.equal('no device is left', lab.host.scsi_devices(), {})
