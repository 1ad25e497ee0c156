"""What the guest's kernel and daemons show right now: pure reads, one function per kind of thing.

Names are the kernel's, open-iscsi's and multipath-tools'. What must not live here: anything that changes the
host (clean.py, targets.py) and anything that asks os_brick.
"""

import os
from pathlib import Path

from guest import command

SYS = Path('/sys')
ISCSI_DATABASE = Path('/etc/iscsi')
WWIDS = Path('/etc/multipath/wwids')
HELPER_PROGRAMS = ('iscsiadm', 'multipath', 'scsi_id', 'sg_inq', 'nvme', 'mdadm', 'cryptsetup', 'tee', 'blockdev',
                   'rbd')
# The storage of the cinder image: what lies below its targets, and its services, belong to no attach.
CINDER_DATA = Path('/run/lab/cinder')
CINDER_MAPS = 'cinder--lvm'
CINDER_CONFIGURATION = '/etc/cinder/cinder.conf'


def read(path):
    """An attribute's text, or None when it (or its device) is gone."""
    try:
        return Path(path).read_text(errors='replace').strip()
    except OSError:
        return None


def entries(path):
    try:
        return sorted(os.listdir(path))
    except OSError:
        return []


def scsi_devices():
    """{'H:C:T:L': 'sdX' or ''} of every SCSI device, disks or not."""
    return {hctl: (entries(SYS / 'class/scsi_device' / hctl / 'device/block') or [''])[0]
            for hctl in entries(SYS / 'class/scsi_device')}


def scsi_wwid(disk):
    """The identity of a disk as multipath-tools writes it: 3 and the NAA digits."""
    wwid = read(SYS / 'block' / disk / 'device/wwid') or ''
    return '3' + wwid.removeprefix('naa.') if wwid.startswith('naa.') else wwid


def live_wwid(device):
    """The identity the target answers now, by an INQUIRY for page 0x83."""
    for line in command.run('sg_inq', '--page=0x83', '--export', device, check=False).splitlines():
        name, _, value = line.partition('=')
        if name.startswith('SCSI_IDENT_LUN_NAA'):
            return '3' + value
    return None


def real_device(path):
    """The kernel's own node behind any link: /dev/sdX or /dev/dm-N."""
    return os.path.realpath(path)


def size_of(device):
    """Bytes, as the kernel sees the device now."""
    name = os.path.basename(real_device(device))
    sectors = read(SYS / 'class/block' / name / 'size')
    return int(sectors) * 512 if sectors is not None else None


def sessions():
    """{session id: {targetname, portal, state, host, driver, interface}} of every iSCSI session."""
    found = {}
    for session in entries(SYS / 'class/iscsi_session'):
        number = session.removeprefix('session')
        base = SYS / 'class/iscsi_session' / session
        connection = SYS / f'class/iscsi_connection/connection{number}:0'
        address, port = read(connection / 'persistent_address'), read(connection / 'persistent_port')
        if address and ':' in address:
            address = f'[{address}]'
        adapter = os.path.realpath(base / 'device').split('/')[-2]
        found[number] = {'targetname': read(base / 'targetname'), 'portal': f'{address}:{port}',
                         'state': read(base / 'state'), 'host': adapter, 'interface': read(base / 'ifacename'),
                         'driver': read(SYS / 'class/scsi_host' / adapter / 'proc_name')}
    return found


def session_portals(targetname=None):
    """Sorted portals with a logged-in session, of one target or of all."""
    return sorted(session['portal'] for session in sessions().values()
                  if session['state'] == 'LOGGED_IN' and targetname in (None, session['targetname']))


def node_records():
    """Record files of open-iscsi below /etc/iscsi: nodes/IQN/PORTAL... and send_targets/..."""
    found = []
    for folder in ('nodes', 'send_targets', 'static', 'isns', 'fw'):
        top = ISCSI_DATABASE / folder
        found += [str(path.relative_to(ISCSI_DATABASE)) for path in top.rglob('*')] if top.exists() else []
    return sorted(found)


def dm_devices():
    """{'dm-N': {'name', 'uuid', 'slaves'}} of every device-mapper device that is not Cinder's own storage."""
    found = {name: {'name': read(SYS / 'block' / name / 'dm/name'), 'uuid': read(SYS / 'block' / name / 'dm/uuid') or '',
                    'slaves': entries(SYS / 'block' / name / 'slaves')}
             for name in entries(SYS / 'block') if name.startswith('dm-')}
    return {name: device for name, device in found.items() if not (device['name'] or '').startswith(CINDER_MAPS)}


def multipath_maps():
    """{wwid: 'dm-N'} of the multipath maps alone."""
    return {device['uuid'].removeprefix('mpath-'): name for name, device in dm_devices().items()
            if device['uuid'].startswith('mpath-')}


def map_of(wwid):
    """(dm-N, [path disks]) of a volume's multipath map, or (None, [])."""
    name = multipath_maps().get(wwid)
    return (name, entries(SYS / 'block' / name / 'slaves')) if name else (None, [])


def links():
    """{'/dev/disk/by-id/...': target} of the two link directories the connectors use; none to Cinder's own storage."""
    found = {}
    storage = _cinder_devices()
    for directory in ('by-id', 'by-path'):
        for name in entries(f'/dev/disk/{directory}'):
            path = f'/dev/disk/{directory}/{name}'
            try:
                found[path] = os.path.basename(os.readlink(path))
            except OSError:
                continue
    return {path: target for path, target in found.items() if target not in storage}


def _cinder_devices():
    if not CINDER_DATA.exists():
        return set()
    maps = {name for name in entries(SYS / 'block') if (read(SYS / 'block' / name / 'dm/name') or '').startswith(CINDER_MAPS)}
    return maps | set(loop_devices(cinder=True))


def files_in_dev():
    """Regular files directly in /dev: a program wrote to a device that was gone and made a file of its name."""
    return sorted(entry.path for entry in os.scandir('/dev') if entry.is_file(follow_symlinks=False))


def multipathd_paths():
    """Disks multipathd holds as paths. It prints `ok` when it has none."""
    text = command.run('multipathd', 'show', 'paths', 'raw', 'format', '%d', check=False)
    return sorted(line.strip() for line in text.splitlines() if line.strip() not in ('', 'ok') and 'timeout' not in line)


def rbd_devices():
    """Images the kernel has mapped, as 'rbd0 pool/image', with namespace and snapshot if there are any."""
    found = []
    for number in entries(SYS / 'bus/rbd/devices'):
        device = SYS / 'bus/rbd/devices' / number
        parts = [read(device / 'pool'), read(device / 'pool_ns'), read(device / 'name')]
        snapshot = read(device / 'current_snap')
        found.append(f"rbd{number} {'/'.join(filter(None, parts))}" + (f'@{snapshot}' if snapshot not in (None, '-') else ''))
    return found


def ceph_confs():
    """Configuration files os_brick has written for librbd and rbd; they may hold a key."""
    return sorted(str(path) for path in Path('/tmp').glob('brickrbd_*'))


def is_path_for_udev(disk):
    """udev leaves the disk to multipath: no file system is looked for on it, and systemd uses the map."""
    properties = read(f'/run/udev/data/b{read(f"/sys/block/{disk}/dev")}') or ''
    return 'E:DM_MULTIPATH_DEVICE_PATH=1' in properties.splitlines()


def wwids():
    text = read(WWIDS) or ''
    return sorted(line.strip('/') for line in text.splitlines() if line and not line.startswith('#'))


def zygote_pids():
    """The lab's own preloaded processes; what they forked is a worker or a privsep daemon."""
    return {read(path) for path in Path('/run/lab').glob('zygote-*.pid')}


def network_mounts():
    """[(share, mount point, options)] of the mounted shares of file servers."""
    words = [line.split() for line in (read('/proc/mounts') or '').splitlines()]
    return sorted((device, path, options) for device, path, kind, options, *_ in words if kind in ('nfs', 'nfs4'))


def loop_devices(cinder=False):
    """{'loopN': backing file} of the loop devices in use; of Cinder's own ones only when asked."""
    found = {name: read(SYS / 'block' / name / 'loop/backing_file') for name in entries(SYS / 'block')
             if (SYS / 'block' / name / 'loop').exists()}
    return {name: file for name, file in found.items() if (file or '').startswith(f'{CINDER_DATA}/') == cinder}


def nvme_controllers(nqn=None):
    """{'nvmeN': {'portal', 'transport', 'state', 'namespaces'}} of the fabrics' controllers, of one subsystem or of all."""
    found = {}
    base = SYS / 'class/nvme-fabrics/ctl'
    for name in entries(base):
        shown = read(base / name / 'subsysnqn')
        if not name.startswith('nvme') or (nqn and shown != nqn):
            continue
        parts = dict(part.partition('=')[::2] for part in (read(base / name / 'address') or '').split(','))
        found[name] = {'portal': parts.get('traddr'), 'transport': read(base / name / 'transport'),
                       'state': read(base / name / 'state'),
                       'namespaces': [entry for entry in entries(base / name) if entry.startswith('nvme')]}
    return found


def nvme_portals(nqn):
    """Sorted addresses with a live controller of a subsystem."""
    return sorted(each['portal'] for each in nvme_controllers(nqn).values() if each['state'] == 'live')


def nvme_uuid(device):
    """The identity the kernel has of a namespace's device."""
    return read(SYS / 'class/block' / os.path.basename(real_device(device)) / 'uuid')


def md_arrays():
    """{'mdN': [legs]}"""
    return {name: entries(SYS / 'block' / name / 'slaves') for name in entries(SYS / 'block') if name.startswith('md')}


def helper_processes():
    """{pid: command line} of programs and privsep daemons that os_brick starts, and of workers; no service's daemons."""
    zygotes = zygote_pids()
    found = {}
    for pid, words in _command_lines():
        line = ' '.join(words)
        starts = os.path.basename(words[0]) in HELPER_PROGRAMS or any(
            part in line for part in ('privsep', 'guest/worker.py', 'guest.zygote '))
        if starts and str(pid) not in zygotes and CINDER_CONFIGURATION not in line:
            found[pid] = line
    return found


def cinder_processes():
    """{pid: command line} of Cinder's services and of the privileged daemons they have."""
    return {pid: ' '.join(words) for pid, words in _command_lines() if CINDER_CONFIGURATION in words}


def _command_lines():
    """(pid, arguments) of every process."""
    for pid in filter(str.isdigit, entries('/proc')):
        try:
            words = Path(f'/proc/{pid}/cmdline').read_bytes().rstrip(b'\0').split(b'\0')
        except OSError:
            continue
        yield int(pid), [word.decode(errors='replace') for word in words]


def connecting_portals():
    """Destinations of TCP connections to a storage port that are still waiting for an answer (SYN_SENT)."""
    found = []
    for table in ('/proc/net/tcp', '/proc/net/tcp6'):
        for line in (read(table) or '').splitlines()[1:]:
            _, _, remote, state = line.split()[:4]
            address, port = remote.split(':')
            if state == '02' and int(port, 16) in (3260, 4420):
                found.append(address)
    return sorted(found)
