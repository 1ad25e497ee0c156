"""Forced clean-up between scenarios: nothing of the last one is left, whatever state it was in.

What must not live here: any judgement. What a scenario left is told before this runs, by leftovers.py.
"""

import os
from pathlib import Path
import shutil
import signal

from guest import command, daemons, fcoe, host, loop_disks, multipath_conf, network, nfs, nvmet, poll, targets


def force():
    """Sessions, devices, maps, records and targets are gone afterwards; daemons run. Returns what resisted."""
    network.Firewall().restore()
    _kill_helpers()
    for file in host.files_in_dev():
        Path(file).unlink()
    nfs.remove_everything()
    _remove_rbd()
    if host.CINDER_DATA.exists():
        # Imported here: its client of HTTP costs every other session most of a second.
        from guest import cinder
        cinder.clean()
    resisted = nvmet.clean()
    if _initiator_is_clean():
        loop_disks.remove_everything()
        fcoe.unmap_everything()
        targets.remove_everything()
        return resisted
    _remove_maps()
    if host.sessions():
        command.run('iscsiadm', '-m', 'node', '--logoutall=all', check=False, seconds=40)
        for session in host.sessions():
            command.run('iscsiadm', '-m', 'session', '-r', session, '-u', check=False, seconds=20)
    for hctl in host.scsi_devices():
        _write(f'/sys/class/scsi_device/{hctl}/device/delete', '1')
    # iscsid forgets a login that is still being tried only when it ends.
    daemons.stop('iscsid')
    _remove_records()
    daemons.start('iscsid')
    _remove_maps()
    loop_disks.remove_everything()
    fcoe.unmap_everything()
    targets.remove_everything()
    multipath_conf.clear_database()
    daemons.restart('multipathd')
    command.run('udevadm', 'settle', '--timeout=20', check=False, seconds=30)
    for link in Path('/dev/disk/by-id').glob('os-brick*') if Path('/dev/disk/by-id').exists() else ():
        link.unlink()
    return sorted(resisted + [f'session {number}' for number in host.sessions()] + [f'disk {hctl}' for hctl in host.scsi_devices()]
                  + [f'map {name}' for name in host.dm_devices()] + [f'disk {name}' for name in host.loop_devices()]
                  + [f'mount {path}' for _share, path, _options in host.network_mounts()])


def _initiator_is_clean():
    return not (host.sessions() or host.scsi_devices() or host.dm_devices() or host.node_records() or host.wwids()
                or host.connecting_portals())


def _kill_helpers():
    for pid in host.helper_processes():
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def _remove_rbd():
    for name in host.rbd_devices():
        number = name.split()[0].removeprefix('rbd')
        _write('/sys/bus/rbd/remove_single_major', f'{number} force')
    for path in host.ceph_confs():
        Path(path).unlink(missing_ok=True)


def forget_maps():
    """What upstream leaves behind over SCSI: maps, and in the wwids file the volumes it ever attached."""
    if host.dm_devices():
        _remove_maps()
    for wwid in host.wwids():
        command.run('multipath', '-w', wwid, check=False)


def _remove_maps():
    """Top-most first: a LUKS mapping or partition holds its multipath map."""
    multipath_conf.flush_all()
    for _ in range(3):
        for device in host.dm_devices().values():
            # Queued I/O of a map without paths would make every removal wait for ever.
            command.run('dmsetup', 'message', device['name'], '0', 'fail_if_no_path', check=False, seconds=10)
            command.run('dmsetup', 'remove', '--force', device['name'], check=False, seconds=10)
        if poll.became_true(lambda: not host.dm_devices(), 0.2):
            return


def _remove_records():
    for folder in ('nodes', 'send_targets'):
        directory = host.ISCSI_DATABASE / folder
        if directory.exists():
            for entry in directory.iterdir():
                shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()


def _write(path, text):
    try:
        Path(path).write_text(text)
    except OSError:
        pass
