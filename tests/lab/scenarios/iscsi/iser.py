"""iSCSI over RDMA (iSER; RoCEv2, in software): one path, two portals, discovery.

The portals are one of IPv4 and one of IPv6.
"""

LEDGER = ('IC-08',)
VARIANTS = ('single', 'multipath', 'discovery')
SECONDS = 40
UPSTREAM_LEAVES = 'the line in the wwids file that multipathd wrote, and the record of the discovery'


def run(lab):
    {'single': single, 'multipath': multipath, 'discovery': discovery}[lab.variant](lab)
    left = (lab.host.scsi_devices(), lab.host.dm_devices(), lab.host.sessions())
    lab.equal('nothing right after the detach', left, ({}, {}, {}))


def single(lab):
    target = lab.targets.create(luns={1: None, 2: None}, iser=True)
    disk, properties = target.luns[2], target.properties(2, plural=False)
    connector = lab.caller().connector('ISER', use_multipath=False)
    info = lab.attach(connector, properties)
    lab.equal('scsi_wwn', info['scsi_wwn'], disk.wwid)
    lab.check_right_disk('attached', info['path'], disk)
    lab.equal('over iSER', drivers(lab), ['iscsi_iser'])
    lab.equal("in iscsiadm's words", [each[0] for each in connector._get_iscsi_sessions_full().value], ['iser:'])
    lab.equal('get_volume_paths', connector.get_volume_paths(properties).value,
              [f'/dev/disk/by-path/ip-{target.portals[0]}-iscsi-{target.iqn}-lun-2'])
    grow(lab, connector, properties, disk, info)
    lab.detach(connector, properties, info)


def multipath(lab):
    target = lab.targets.create(portals=2, iser=True)
    disk, properties = target.luns[1], target.properties()
    connector = lab.caller().connector('ISER', use_multipath=True)
    info = lab.attach(connector, properties)
    lab.equal('multipath_id', info['multipath_id'], disk.wwid)
    lab.check_paths('attached', disk, 2)
    lab.equal('over iSER', drivers(lab), ['iscsi_iser'] * 2)
    lab.equal('the same device again', lab.attach(connector, properties, 'connect again'), info)
    lab.equal('no more sessions', drivers(lab), ['iscsi_iser'] * 2)
    grow(lab, connector, properties, disk, info)
    lab.detach(connector, properties, info)


def discovery(lab):
    """The other portals are found by sendtargets, over RDMA as well."""
    target = lab.targets.create(portals=2, iser=True)
    disk, properties = target.luns[1], target.properties(plural=False, target_discovered=True)
    connector = lab.caller().connector('ISER', use_multipath=True)
    info = lab.attach(connector, properties)
    lab.check_paths('attached', disk, 2)
    lab.equal('over iSER', drivers(lab), ['iscsi_iser'] * 2)
    lab.detach(connector, properties, info)


def grow(lab, connector, properties, disk, info):
    flow = lab.flow.Flow(info['path'])
    disk.grow('96M')
    lab.equal('extend returns the new size', connector.extend_volume(properties).value, disk.size)
    lab.equal('the device has it', lab.host.size_of(info['path']), disk.size)
    lab.equal('no I/O error while extending', flow.stop(), [])


def drivers(lab):
    return sorted(session['driver'] for session in lab.host.sessions().values())
