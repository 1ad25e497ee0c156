"""Discovery on portals that offer several targets: only the named target is logged in to, its disk is the answer."""

LEDGER = ('IC-03', 'IC-10', 'IC-14', 'ID-04')
MODES = ('nova',)
SECONDS = 45
UPSTREAM_FAILS = 'logs in to every target that sendtargets reports'


def run(lab):
    targets = [lab.targets.create(portals=2) for _ in range(3)]
    wanted = targets[1]
    disk, properties = wanted.luns[1], wanted.properties(1, plural=False)
    connector = lab.caller().connector('ISCSI', use_multipath=True)
    info = lab.attach(connector, properties)
    lab.equal('scsi_wwn', info.get('scsi_wwn'), disk.wwid)
    lab.check_right_disk('attached', info['path'], disk)
    lab.equal('sessions of the named target alone', {session['targetname'] for session in lab.host.sessions().values()},
              {wanted.iqn})
    lab.equal('over both its portals', lab.host.session_portals(), sorted(wanted.portals))
    lab.check_paths('attached', disk, 2)
    lab.equal('no other disk', {lab.host.scsi_wwid(name) for name in lab.host.scsi_devices().values()}, {disk.wwid})

    # The second volume, then the first goes: a portal that is shared must keep the other's session.
    other = targets[2]
    second = lab.attach(connector, other.properties(1, plural=False), 'second connect')
    lab.check_right_disk('second', second['path'], other.luns[1])
    flow = lab.flow.Flow(second['path'])
    lab.detach(connector, properties, info)
    lab.equal('the second volume keeps its sessions', lab.host.session_portals(), sorted(other.portals))
    lab.equal('the second volume saw no I/O error', flow.stop(), [])
    lab.detach(connector, other.properties(1, plural=False), second, 'second disconnect')
    lab.equal('no session after the last detach', lab.host.sessions(), {})
