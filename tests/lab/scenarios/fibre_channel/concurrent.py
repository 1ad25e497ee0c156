"""Three volumes at once over two fabrics: every caller gets its own disk, and all of it goes again."""

LEDGER = ('LK-06', 'FC-03')
MODES = ('nova',)
SECONDS = 60
TIMEOUT = 600
UPSTREAM_LEAVES = 'maps and lines in the wwids file'
VOLUMES = 3


def run(lab):
    array = lab.array(2, luns={lun: None for lun in range(1, VOLUMES + 1)})
    caller = lab.caller(log_level='INFO')
    connectors = {lun: caller.connector('FIBRE_CHANNEL', use_multipath=True) for lun in array.luns}
    with lab.timed(f'{VOLUMES} connects at once'):
        pending = {lun: connector.start('connect_volume', array.properties(lun)) for lun, connector in connectors.items()}
        infos = {lun: call.wait().value for lun, call in pending.items()}
    for lun, disk in array.luns.items():
        lab.equal(f'LUN {lun}: multipath_id', infos[lun].get('multipath_id'), disk.wwid)
        lab.check_right_disk(f'LUN {lun}', infos[lun]['path'], disk)
        lab.check_paths(f'LUN {lun}', disk, 2, 60)
    with lab.timed(f'{VOLUMES} disconnects at once'):
        pending = [connector.start('disconnect_volume', array.properties(lun), infos[lun])
                   for lun, connector in connectors.items()]
        for call in pending:
            call.wait()
    lab.equal('no device', lab.host.scsi_devices(), {})
