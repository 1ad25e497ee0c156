"""Makes what the finder of leftovers looks for, for real: each function one kind, named as the finding's `kind`.

Each takes the lab and a caller, and returns the finding's subject (None when it is not known before) and a function that
lets go of what the maker had to hold.
"""

import os
from pathlib import Path

from guest import command, host, nvmet, poll

INITIATOR = Path('/etc/iscsi/initiatorname.iscsi')
LINK = Path('/dev/disk/by-id/os-brick+dev+dm-99')
KEY = 'a passphrase of the lab'


def attached(lab, caller, portals=2):
    """A volume with its target, map or disk, and disks."""
    target = lab.targets.create(portals=portals)
    connector = caller.connector('ISCSI', use_multipath=portals > 1)
    info = lab.attach(connector, target.properties(1, plural=portals > 1))
    # A leftover is old: no program of udev has it open any more.
    command.run('udevadm', 'settle', '--timeout=60', check=False)
    if portals > 1:
        lab.check_paths('attached', target.luns[1], portals)
    return target, os.path.basename(host.real_device(info['path'])), sorted(filter(None, host.scsi_devices().values()))


def delete(disk):
    Path(f'/sys/block/{disk}/device/delete').write_text('1')


def multipathd_paths():
    return command.run('multipathd', 'show', 'paths', 'raw', 'format', '%d').split()


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
    poll.until(lambda: not set(disks) & set(multipathd_paths()), 60, 'multipathd has tried, and will not again')
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
    number, channel, scsi_target, lun = next(iter(host.scsi_devices())).split(':')
    delete(device)
    # The engine takes a name in `slaves` for the device of that name, because what is held keeps its name.
    Path(f'/sys/class/scsi_host/host{number}/scan').write_text(f'{channel} {scsi_target} {lun}')
    poll.until(lambda: any(host.scsi_devices().values()), 30, 'the disk comes back')
    lab.check('a disk that comes back does not get the name that the mapping holds',
              device not in host.scsi_devices().values(), host.scsi_devices())
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
    command.run('udevadm', 'settle', '--timeout=60', check=False)
    return f'{target.portals[0]} {target.iqn}', nothing


def controller_without_namespaces(lab, caller):
    subsystem = lab.nvmet.create()
    subsystem.namespaces[1].unmap()
    command.run('nvme', 'connect', '--transport', 'tcp', '--traddr', subsystem.addresses[0], '--trsvcid', nvmet.PORT,
                '--nqn', subsystem.nqn)
    return next(iter(host.nvme_controllers(subsystem.nqn))), nothing


def host_name_in_doubt(lab, caller):
    before = INITIATOR.read_text()
    INITIATOR.write_text(before + 'InitiatorName=iqn.2026-01.org.example:from-the-image\n')
    return str(INITIATOR), lambda: INITIATOR.write_text(before)
