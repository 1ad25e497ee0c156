"""One volume over one portal: attach, write and read, look at what get_volume_paths says, detach.

The plainest flow of all; when this fails nothing else is worth reading.
"""

LEDGER = ('IC-19', 'IC-20', 'IC-22', 'ID-01')
SECONDS = 20
UPSTREAM_LEAVES = 'the line in the wwids file that multipathd wrote'


def run(lab):
    target = lab.targets.create(portals=1, luns={1: None, 2: None, 3: None})
    disk = target.luns[2]
    properties = target.properties(2, plural=False)
    connector = lab.caller().connector('ISCSI', use_multipath=False)

    info = lab.attach(connector, properties)
    lab.equal('type', info.get('type'), 'block')
    lab.equal('scsi_wwn', info.get('scsi_wwn'), disk.wwid)
    lab.check_right_disk('attached', info['path'], disk)
    lab.equal('only the wanted LUN is on the host', [hctl.rsplit(':')[-1] for hctl in lab.host.scsi_devices()], ['2'])
    lab.equal('one session', lab.host.session_portals(target.iqn), target.portals)
    lab.equal('get_volume_paths', connector.get_volume_paths(properties).value,
              [f'/dev/disk/by-path/ip-{target.portals[0]}-iscsi-{target.iqn}-lun-2'])

    lab.detach(connector, properties, info)
    lab.equal('no SCSI device right after the detach', lab.host.scsi_devices(), {})
    lab.equal('no session right after the detach', lab.host.sessions(), {})
