"""One volume over one fabric: attach, data both ways, extend, detach with everything gone."""

LEDGER = ('FC-17', 'FC-10', 'FC-24', 'X-07')
SECONDS = 30
UPSTREAM_LEAVES = 'what nobody waits for: links, paths of multipathd'

from guest import fcoe


def run(lab):
    array = lab.array(luns={1: None, 2: None})
    disk, properties = array.luns[1], array.properties(1)
    connector = lab.caller().connector('FIBRE_CHANNEL')
    info = lab.attach(connector, properties)
    lab.equal('path is the link by path', info['path'], fcoe.by_path(array.fabrics[0], 1, lab.host.links()))
    lab.equal('scsi_wwn', info.get('scsi_wwn'), disk.wwid)
    lab.equal('only the wanted LUN is on the host', {hctl.rsplit(':')[-1] for hctl in lab.host.scsi_devices()}, {'1'})
    lab.check_right_disk('attached', info['path'], disk)
    lab.equal('paths of the volume', connector.get_volume_paths({**properties, 'targets': [
        [array.fabrics[0].wwpn, 1]]}).value, [info['path']])
    disk.grow('96M')
    answer = connector.extend_volume(properties)
    lab.measured('extend', answer.seconds)
    lab.equal('extend returns the new size', answer.value, disk.size)
    # Nova hands the connection properties over in the place of what the attach returned.
    lab.detach(connector, {**properties, 'device_path': info['path']}, {**properties, 'device_path': info['path']})
    if lab.ours:
        lab.equal('no SCSI device right after the detach', lab.host.scsi_devices(), {})
