"""Each kind of leftover made for real, found with its evidence, and mended by the commands the finding names."""

import os
from pathlib import Path

from guest import command, host

LEDGER = ('SE-08',)
VARIANTS = ('reused_lun', 'mixed_identities', 'map_without_paths', 'path_outside_map', 'luks_over_nothing',
            'dangling_link', 'session_without_disks', 'record_without_session', 'host_name_in_doubt')
PACKAGES = ('ours',)
SECONDS = 40

INITIATOR = Path('/etc/iscsi/initiatorname.iscsi')
LINK = Path('/dev/disk/by-id/os-brick+dev+dm-99')
KEY = 'a passphrase of the lab'


def MULTIPATH(variant):
    # Else multipathd claims the single disk, and cryptsetup wants it for itself.
    return {'find_multipaths': 'yes'} if variant == 'luks_over_nothing' else None


def run(lab):
    caller = lab.caller()

    def look():
        return caller.call('os_brick.privileged.inventory:find_orphans').value

    lab.equal('nothing is found on a clean host', list(look()['findings']), [])
    subject, release = globals()[lab.variant](lab, caller)
    found = look()
    lab.equal('every disk that is up was asked', found['live'], True)
    findings = [finding for finding in found['findings'] if finding['kind'] == lab.variant]
    lab.require('it is found', len(findings) == 1, found)
    finding = findings[0]
    lab.show(finding)
    if subject:
        lab.equal('what it is about', finding['subject'], subject)
    lab.check('what was seen is told', finding['evidence'] and finding['risk'], finding)
    release()
    # A new name for the host is not for the guest, where no service manager runs: its file just went back.
    for line in [] if lab.variant == 'host_name_in_doubt' else finding['commands']:
        command.run('sh', '-c', line)
    lab.eventually('the commands mend it',
                   lambda: all(finding['kind'] != lab.variant for finding in look()['findings']), 20,
                   lambda: look()['findings'])
    mend_the_rest(lab, look)


def mend_the_rest(lab, look):
    """What the commands bring back, such as the disk a LUN really maps, goes like any other device."""
    for session in command.run('iscsiadm', '-m', 'session', check=False).splitlines():
        iqn, portal = session.split()[3], session.split()[2].partition(',')[0]
        command.run('iscsiadm', '-m', 'node', '-T', iqn, '-p', portal, '--logout', check=False)
        command.run('iscsiadm', '-m', 'node', '-T', iqn, '-p', portal, '--op', 'delete', check=False)
    for name in [device['name'] for device in host.dm_devices().values()]:
        command.run('multipath', '-f', name, check=False)
    # `multipath -f` leaves the identity among those multipathd knows.
    for wwid in host.wwids():
        command.run('multipath', '-w', wwid, check=False)
    lab.eventually('nothing is left to find', lambda: not look()['findings'], 20, lambda: look()['findings'])


def attached(lab, caller, portals=2):
    """A volume with its target, map or disk, and disks."""
    target = lab.targets.create(portals=portals)
    connector = caller.connector('ISCSI', use_multipath=portals > 1)
    info = lab.attach(connector, target.properties(1, plural=portals > 1))
    if portals > 1:
        lab.check_paths('attached', target.luns[1], portals)
    # A leftover is old: no program of udev has it open any more.
    command.run('udevadm', 'settle', '--timeout=60', check=False)
    return target, os.path.basename(host.real_device(info['path'])), sorted(filter(None, host.scsi_devices().values()))


def delete(disk):
    Path(f'/sys/block/{disk}/device/delete').write_text('1')


def nothing():
    pass


def reused_lun(lab, caller):
    target, device, _ = attached(lab, caller)
    target.swap(1, lab.targets.disk('80M'))
    return device, nothing


def mixed_identities(lab, caller):
    target, device, disks = attached(lab, caller)
    target.swap(1, lab.targets.disk('64M'))
    Path(f'/sys/block/{disks[1]}/device/rescan').write_text('1')
    return device, nothing


def map_without_paths(lab, caller):
    _, device, disks = attached(lab, caller)
    # Somebody has it open, so multipathd cannot take it away with its last disk.
    held = os.open(f'/dev/{device}', os.O_RDONLY)
    for disk in disks:
        delete(disk)
    return device, lambda: os.close(held)


def path_outside_map(lab, caller):
    _, _, disks = attached(lab, caller)
    command.run('multipathd', 'remove', 'path', disks[1])
    return disks[1], nothing


def luks_over_nothing(lab, caller):
    _, device, _ = attached(lab, caller, portals=1)
    for verb in (['luksFormat', '--batch-mode', '--pbkdf', 'pbkdf2', '--pbkdf-force-iterations', '1000'], ['luksOpen']):
        name = ['lost'] if verb == ['luksOpen'] else []
        command.run('cryptsetup', *verb, '--key-file=-', f'/dev/{device}', *name, stdin=KEY)
    delete(device)
    return 'lost', nothing


def dangling_link(lab, caller):
    LINK.parent.mkdir(parents=True, exist_ok=True)
    LINK.symlink_to('/dev/dm-99')
    return str(LINK), nothing


def session_without_disks(lab, caller):
    _, device, _ = attached(lab, caller, portals=1)
    delete(device)
    return None, nothing


def record_without_session(lab, caller):
    target, _, _ = attached(lab, caller, portals=1)
    command.run('iscsiadm', '-m', 'node', '-T', target.iqn, '-p', target.portals[0], '--logout')
    return f'{target.portals[0]} {target.iqn}', nothing


def host_name_in_doubt(lab, caller):
    before = INITIATOR.read_text()
    INITIATOR.write_text(before + 'InitiatorName=iqn.2026-01.org.example:from-the-image\n')
    return str(INITIATOR), lambda: INITIATOR.write_text(before)
