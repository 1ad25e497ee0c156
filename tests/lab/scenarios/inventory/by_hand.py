"""The commands of docs/troubleshooting.md: those that look, and those that take a leftover away in the order of the page."""

from pathlib import Path

from guest import command

LEDGER = ()
MODES = ('root',)
PACKAGES = ('ours',)
SECONDS = 40
LOOK = (('multipath', '-ll'),
        ('multipathd', 'show', 'status'),
        ('multipathd', 'show', 'config', 'local'),
        ('multipathd', 'show', 'paths', 'format', '%d %m %t %T %w'),
        ('iscsiadm', '-m', 'session'),
        ('lsblk', '-o', 'NAME,TYPE,SIZE,WWN,MOUNTPOINTS'),
        ('dmsetup', 'ls', '--tree'))


def run(lab):
    target = lab.targets.create(portals=2)
    disk, properties = target.luns[1], target.properties(1)
    connector = lab.caller().connector('ISCSI', use_multipath=True)
    lab.attach(connector, properties)
    lab.check_paths('attached', disk, 2)
    shown = {argv: command.run(*argv) for argv in LOOK}
    for argv in LOOK[:1] + LOOK[3:4] + LOOK[5:]:
        lab.check(f'{" ".join(argv)} shows the volume', disk.wwid in shown[argv], shown[argv])
    lab.check('the sessions are shown', shown[LOOK[4]].count(target.iqn) == 2, shown[LOOK[4]])
    lab.check('dmesg tells of the disks', 'Attached SCSI disk' in command.run('dmesg', '-T'))

    command.run('dmsetup', 'message', disk.wwid, '0', 'fail_if_no_path')
    command.run('multipathd', 'del', 'map', disk.wwid)
    command.run('multipath', '-w', disk.wwid)
    for name in lab.host.scsi_devices().values():
        Path('/sys/block', name, 'device/delete').write_text('1')
    for portal in target.portals:
        command.run('iscsiadm', '-m', 'node', '-T', target.iqn, '-p', portal, '--logout')
        command.run('iscsiadm', '-m', 'node', '-T', target.iqn, '-p', portal, '-o', 'delete')
    lab.equal('no device', (lab.host.scsi_devices(), lab.host.dm_devices()), ({}, {}))
    lab.equal('no session', lab.host.sessions(), {})
    connector.disconnect_volume(properties, None)  # a detach of what is gone is as good
