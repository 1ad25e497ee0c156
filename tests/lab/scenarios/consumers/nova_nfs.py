"""Nova's own driver of NFS volumes, which mounts by itself, beside os_brick's connector for the same share.

Both name the mount point by the share, so on one host each takes what the other has mounted. Privileged daemons are
started through rootwrap, one of Nova's and one of os_brick's.
"""

import hashlib
import json
import os
from pathlib import Path

from guest import command, nfs

LEDGER = ('RF-01',)
IMAGE = 'consumers'
MODES = ('nova',)
SECONDS = 90
TIMEOUT = 900
UPSTREAM_FAILS = 'mounts over what Nova has mounted, once another mount preceded it'
COMPUTE = 'guest.services.nova:Compute'
ROOT_HELPER = 'sudo nova-rootwrap /etc/nova/rootwrap.conf'
GIB = 1 << 30


def run(lab):
    server = nfs.Server()
    try:
        base = lab.make_directory('mounts')
        share = server.export('one')
        place = f'{base}/{hashlib.md5(share.encode()).hexdigest()}'
        first = service(lab, base)
        stored = {name: connect(lab, first, share, place, name) for name in ('volume-1', 'volume-2')}
        lab.equal('two volumes, one mount', mounts(lab), [(share, place)])
        lab.equal('the size is what libvirt makes it', first.extend(json.loads(stored['volume-1']), 2 * GIB).value, 2 * GIB)
        wrong_export(lab, first, share, base)
        os_brick = lab.caller().connector('NFS', conn={'mount_point_base': base})
        taken_over(lab, os_brick, share, place)

        first.disconnect(json.loads(stored['volume-1']))
        lab.equal('the other volume keeps the mount', mounts(lab), [(share, place)])
        second = service(lab, base, f'{place}/volume-2')
        with open(f'{place}/volume-2'):
            second.disconnect(json.loads(stored['volume-2']))
            lab.equal('a mount in use stays', mounts(lab), [(share, place)])
        lab.measured('disconnect in another process', second.disconnect(json.loads(stored['volume-2'])).seconds)
        gone(lab, 'after the last detach', place)

        given_over(lab, os_brick, second, share, place)
    finally:
        server.stop()


def service(lab, base, *files):
    """A nova-compute that comes up where these files are disks of a domain."""
    caller = lab.caller(service='nova', root_helper=ROOT_HELPER, conf={'libvirt.nfs_mount_point_base': base})
    made = caller.remote(caller.start(COMPUTE, keep=True).wait())
    made.libvirt_is_up(*files)
    return made


def volume(share, name):
    """The connection_info as Cinder gives it."""
    Path(share.partition(':')[2], name).write_text(f'content of {name}')
    return {'driver_volume_type': 'nfs', 'serial': name,
            'data': {'export': share, 'name': name, 'options': None, 'format': 'raw', 'encrypted': False}}


def mounts(lab):
    return [(share, path) for share, path, _options in lab.host.network_mounts()]


def connect(lab, compute, share, place, name):
    """The connection_info as Nova's database keeps it."""
    answer = compute.connect(volume(share, name))
    lab.measured(f'connect {name}', answer.seconds)
    lab.equal(f'where {name} is', answer.value['data']['device_path'], f'{place}/{name}')
    lab.equal(f'the domain gets {name}', compute.disk_source(answer.value).value, f'{place}/{name}')
    lab.equal(f'the content of {name}', Path(place, name).read_text(), f'content of {name}')
    return json.dumps(answer.value)


def wrong_export(lab, compute, share, base):
    before = mounts(lab)
    nowhere = {'driver_volume_type': 'nfs', 'serial': 'volume-3',
               'data': {'export': share + '-of-nobody', 'name': 'volume-3', 'options': None, 'encrypted': False}}
    lab.raises('an export that does not exist', compute.start('connect', nowhere), 'ProcessExecutionError')
    connector = lab.caller().connector('NFS', conn={'mount_point_base': base})
    lab.raises('for os_brick neither', connector.start('connect_volume', nowhere['data']), 'BrickException')
    lab.equal('nothing was mounted for it', mounts(lab), before)


def taken_over(lab, connector, share, place):
    """What Nova has mounted os_brick uses."""
    before = lab.host.network_mounts()
    properties = volume(share, 'volume-2')['data']
    info = lab.attach(connector, properties, 'os_brick beside Nova')
    lab.equal('the same file', info, {'path': f'{place}/volume-2'})
    lab.equal('the same mount', lab.host.network_mounts(), before)
    connector.disconnect_volume(properties, info, force=True)
    lab.equal('which os_brick leaves to Nova', lab.host.network_mounts(), before)


def given_over(lab, connector, compute, share, place):
    """What os_brick has mounted Nova uses, and unmounts: the next attach of os_brick's mounts again."""
    properties = volume(share, 'volume-1')['data']
    connector.connect_volume(properties)
    before = lab.host.network_mounts()
    lab.equal('mounted by os_brick', mounts(lab), [(share, place)])
    stored = connect(lab, compute, share, place, 'volume-1')
    lab.equal('Nova mounts nothing', lab.host.network_mounts(), before)
    compute.disconnect(json.loads(stored), force=True)
    gone(lab, 'after the forced detach', place)
    lab.equal('os_brick finds it again', connector.connect_volume(properties).value, {'path': f'{place}/volume-1'})
    lab.equal('by mounting it', mounts(lab), [(share, place)])
    command.run('umount', place)


def gone(lab, when, place):
    lab.equal(f'no mount {when}', mounts(lab), [])
    lab.check(f'no directory {when}', not os.path.lexists(place))
