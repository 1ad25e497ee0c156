"""What an attach may leave on a host: a snapshot before, a snapshot after, and the difference in words."""

import time

from guest import host


def snapshot():
    """Everything a detached volume must not leave, as {kind: sorted list of names}."""
    dm_devices = host.dm_devices()
    return {
        'SCSI devices': sorted(f'{hctl} {disk}'.strip() for hctl, disk in host.scsi_devices().items()),
        'iSCSI sessions': sorted(f"{session['targetname']} {session['portal']}" for session in host.sessions().values()),
        'node records': host.node_records(),
        'dm devices': sorted(f"{device['name']} {device['uuid']}" for device in dm_devices.values()),
        'NVMe controllers': sorted(f"{name} {each['portal']}" for name, each in host.nvme_controllers().items()),
        'md arrays': sorted(host.md_arrays()),
        'links': sorted(host.links()),
        'files in /dev': host.files_in_dev(),
        'multipathd paths': host.multipathd_paths(),
        'wwids lines': host.wwids(),
        'mounts': [f'{share} {path}' for share, path, _options in host.network_mounts()],
        # Those below an NVMe subsystem are the storage's.
        'loop devices': sorted(name for name, file in host.loop_devices().items() if '/nvme-' not in (file or '')),
        'processes': sorted(host.helper_processes().values()),
        'connecting portals': host.connecting_portals(),
        'rbd devices': host.rbd_devices(),
        'ceph configuration files': host.ceph_confs(),
    }


def difference(before, after):
    """{kind: [names that were not there before]}, without empty kinds."""
    found = {}
    for kind, names in after.items():
        extra = sorted(set(names) - set(before.get(kind, ())))
        if extra:
            found[kind] = extra
    return found


def settled_difference(before, seconds, ignored=()):
    """The difference once nothing is left, or what still is at the deadline; udev removes links a little later."""
    deadline = time.monotonic() + seconds
    while True:
        found = {kind: names for kind, names in difference(before, snapshot()).items() if kind not in ignored}
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.1)
