"""Nova's own libvirt driver attaches, extends and detaches, each in another process, with what it would have stored.

What goes from one to the next is JSON alone; Nova detaches with no device_info.
"""

import json

LEDGER = ()
IMAGE = 'consumers'
VARIANTS = ('single', 'multipath')
MODES = ('nova',)
SECONDS = 120
TIMEOUT = 900
UPSTREAM_LEAVES = 'the line in the wwids file'
COMPUTE = 'guest.services.nova:Compute'


def run(lab):
    multipath = lab.variant == 'multipath'
    target = lab.targets.create(portals=4 if multipath else 1)
    disk = target.luns[1]
    first = service(lab, multipath)
    check_connector(lab, first, multipath)
    stored = connect(lab, first, target, disk, multipath)

    disk.grow('96M')
    second = service(lab, multipath)
    answer = second.extend(json.loads(stored), disk.size)
    lab.measured('extend in another process', answer.seconds)
    path = json.loads(stored)['data']['device_path']
    lab.equal('the new size', (answer.value, lab.host.size_of(path)), (disk.size, disk.size))
    lab.check('the data is there', lab.flow.holds_pattern(path, disk.serial))
    lab.measured('disconnect in another process', second.disconnect(json.loads(stored)).seconds)
    gone(lab, 'after the detach')
    second.disconnect(json.loads(stored))  # a detach that is asked for again is as good

    stored = connect(lab, second, target, disk, multipath)
    lab.measured('forced disconnect', first.disconnect(json.loads(stored), force=True).seconds)
    gone(lab, 'after the forced detach')


def service(lab, multipath):
    caller = lab.caller(service='nova', conf={'libvirt.volume_use_multipath': multipath, 'DEFAULT.host': 'compute-1'})
    return caller.remote(caller.start(COMPUTE, keep=True).wait())


def check_connector(lab, compute, multipath):
    found = compute.connector().value
    lab.equal('what Cinder is told', {name: found.get(name) for name in ('initiator', 'host', 'multipath')},
              {'initiator': 'iqn.2024-01.org.example:lab-guest', 'host': 'compute-1', 'multipath': multipath})


def connect(lab, compute, target, disk, multipath):
    """The connection_info as Cinder gives it; returned as Nova's database keeps it."""
    properties = target.properties(1, plural=multipath)
    given = {'driver_volume_type': 'iscsi', 'data': properties, 'serial': properties['volume_id'], 'status': 'reserved'}
    answer = compute.connect(given)
    lab.measured('connect', answer.seconds)
    path = answer.value['data']['device_path']
    lab.check_right_disk('attached', path, disk)
    lab.equal('the domain gets the device', compute.disk_source(answer.value).value, path)
    if multipath:
        lab.check_paths('attached', disk, 4)
    return json.dumps(answer.value)


def gone(lab, when):
    lab.equal(f'no device {when}', (lab.host.scsi_devices(), lab.host.dm_devices()), ({}, {}))
    lab.equal(f'no session {when}', lab.host.sessions(), {})
