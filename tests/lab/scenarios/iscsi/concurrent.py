"""Eight volumes at once on one target with four portals: every caller gets its own disk, and all of it goes again."""

LEDGER = ('IC-31', 'LK-06', 'IC-21')
MODES = ('nova',)
SECONDS = 120
TIMEOUT = 900
UPSTREAM_LEAVES = 'lines in the wwids file'
VOLUMES = 8


def run(lab):
    target = lab.targets.create(portals=4, luns={lun: None for lun in range(1, VOLUMES + 1)})
    caller = lab.caller(log_level='INFO')
    connectors = {lun: caller.connector('ISCSI', use_multipath=True) for lun in target.luns}
    with lab.timed(f'{VOLUMES} connects at once'):
        pending = {lun: connector.start('connect_volume', target.properties(lun))
                   for lun, connector in connectors.items()}
        infos = {lun: call.wait().value for lun, call in pending.items()}
    for lun, disk in target.luns.items():
        lab.equal(f'LUN {lun}: multipath_id', infos[lun].get('multipath_id'), disk.wwid)
        lab.check_right_disk(f'LUN {lun}', infos[lun]['path'], disk)
        lab.check_paths(f'LUN {lun}', disk, 4, 60)
    lab.equal('one session per portal', lab.host.session_portals(), sorted(target.portals))
    with lab.timed(f'{VOLUMES} disconnects at once'):
        pending = [connector.start('disconnect_volume', target.properties(lun), infos[lun])
                   for lun, connector in connectors.items()]
        for call in pending:
            call.wait()
    lab.equal('no device', lab.host.scsi_devices(), {})
    lab.equal('no session', lab.host.sessions(), {})
