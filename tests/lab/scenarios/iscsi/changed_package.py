"""A service is restarted with the other package: what upstream attached is used and detached by ours, and the reverse.

Sessions, node records, disks and maps of the one are those of the other. Both kinds of detach: with the properties
alone, as Nova does, and with what the attach returned, as Cinder does.
"""

import json

from guest import command

LEDGER = ('ID-23', 'ID-24')
VARIANTS = ('to_ours_single', 'to_ours_multipath', 'to_upstream_single', 'to_upstream_multipath')
PACKAGES = ('ours',)
SECONDS = 90
TIMEOUT = 500
CHAP = ('volume-user', 'volume-secret-7')


def run(lab):
    _, last, paths = lab.variant.split('_')
    multipath = paths == 'multipath'
    before, after = ('upstream', 'ours') if last == 'ours' else ('ours', 'upstream')
    target = lab.targets.create(portals=2 if multipath else 1, luns={1: None, 2: None}, chap=CHAP)

    infos, old = attached(lab, before, target, multipath)
    flow = lab.flow.Flow(infos[2]['path'], seed='neighbour')
    old.close()
    new = lab.caller(package=after).connector('ISCSI', use_multipath=multipath)
    again = lab.attach(new, target.properties(1, plural=multipath), f'{after} connects what is connected')
    lab.equal('the same disk again', again['path'], infos[1]['path'])
    lab.equal('the same identity again', again['scsi_wwn'], infos[1]['scsi_wwn'])
    check_extended(lab, new, target, infos[1], multipath)
    lab.detach(new, target.properties(1, plural=multipath), None, f'{after} detaches with the properties alone')
    lab.equal('only the neighbour is on the host', {hctl.rsplit(':')[-1] for hctl in lab.host.scsi_devices()}, {'2'})
    lab.check('the data reached the array', target.luns[1].content(0, lab.flow.BLOCK) == lab.flow.pattern('kept'))
    lab.equal('its sessions stay', lab.host.session_portals(target.iqn), sorted(target.portals))
    lab.equal('the neighbour saw no I/O error', flow.stop(), [])

    lab.detach(new, target.properties(2, plural=multipath), infos[2], f'{after} detaches with what {before} returned')
    lab.equal('no device', lab.host.scsi_devices(), {})
    lab.equal('no map', lab.host.dm_devices(), {})
    lab.equal('no session', lab.host.sessions(), {})
    lab.equal('no node record', [name for name in lab.host.node_records() if '/' in name], [])
    if after == 'upstream':
        # It leaves the lines in the wwids file whoever attached; that is not what this scenario is about.
        for disk in target.luns.values():
            command.run('multipath', '-w', disk.wwid, check=False)


def attached(lab, package, target, multipath):
    """Both LUNs, as the service knew them before its restart: what a database keeps is JSON."""
    caller = lab.caller(package=package)
    connector = caller.connector('ISCSI', use_multipath=multipath)
    infos = {}
    for lun, disk in target.luns.items():
        info = lab.attach(connector, target.properties(lun, plural=multipath), f'{package} connects LUN {lun}')
        lab.check_right_disk(f'{package}: LUN {lun}', info['path'], disk)
        if multipath:
            lab.check_paths(f'{package}: LUN {lun}', disk, 2, 60)
        infos[lun] = json.loads(json.dumps(info))
    return infos, caller


def check_extended(lab, connector, target, info, multipath):
    disk = target.luns[1]
    disk.grow('96M')
    answer = connector.extend_volume(target.properties(1, plural=multipath))
    lab.equal('extended to the new size', (answer.value, lab.host.size_of(info['path'])), (disk.size, disk.size))
    lab.check('the data is there', lab.flow.holds_pattern(info['path'], disk.serial))
    lab.flow.write_pattern(info['path'], 'kept')
