"""Detach and extend from the connection properties alone: another process, no device_info, use_multipath changed."""

LEDGER = ('ID-23', 'ID-24', 'ID-20')
VARIANTS = ('same', 'multipath_now_single', 'single_now_multipath')
MODES = ('nova',)
SECONDS = 40
UPSTREAM_FAILS = 'with singular properties and a changed flag the sessions are not found'
UPSTREAM_LEAVES = 'the line in the wwids file'


def run(lab):
    attach_multipath = lab.variant != 'single_now_multipath'
    detach_multipath = lab.variant != 'multipath_now_single'
    target = lab.targets.create(portals=2)
    disk = target.luns[1]
    properties = target.properties(1, plural=attach_multipath)
    first = lab.caller()
    info = lab.attach(first.connector('ISCSI', use_multipath=attach_multipath), properties)
    lab.flow.write_pattern(info['path'], disk.serial)
    first.close()

    second = lab.caller().connector('ISCSI', use_multipath=detach_multipath)
    disk.grow('96M')
    lab.equal('extend in another process', second.extend_volume(properties).value, disk.size)
    lab.detach(second, properties, None, 'disconnect in another process')
    lab.equal('no device', lab.host.scsi_devices(), {})
    lab.equal('no map', lab.host.dm_devices(), {})
    lab.equal('no session', lab.host.sessions(), {})
    lab.check('the data reached the array', disk.content(0, 4096) == lab.flow.pattern(disk.serial))
    lab.detach(second, properties, None, 'disconnect of a volume that is gone')
