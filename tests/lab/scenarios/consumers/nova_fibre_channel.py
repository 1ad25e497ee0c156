"""Nova's own driver of Fibre Channel volumes attaches, extends and detaches, each in another process.

What goes from one to the next is JSON alone; Nova gives the stored properties for what the attach returned, too.
"""

import json

LEDGER = ('FC-17', 'FC-24')
IMAGE = 'consumers'
VARIANTS = ('single', 'multipath')
MODES = ('nova',)
SECONDS = 120
TIMEOUT = 900
UPSTREAM_LEAVES = 'the map and the line in the wwids file'
COMPUTE = 'guest.services.nova:Compute'


def run(lab):
    multipath = lab.variant == 'multipath'
    array = lab.array(2 if multipath else 1, luns={1: None, 2: None})
    disk = array.luns[1]
    first = service(lab, multipath)
    check_connector(lab, first, array)
    stored = connect(lab, first, array, multipath)

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

    stored = connect(lab, second, array, multipath)
    lab.measured('forced disconnect', first.disconnect(json.loads(stored), force=True).seconds)
    gone(lab, 'after the forced detach')


def service(lab, multipath):
    caller = lab.caller(service='nova', conf={'libvirt.volume_use_multipath': multipath, 'DEFAULT.host': 'compute-1'})
    return caller.remote(caller.start(COMPUTE, keep=True).wait())


def check_connector(lab, compute, array):
    """The zone manager and the array's driver go by these names."""
    found = compute.connector().value
    missing = {fabric.initiator for fabric in array.fabrics} - set(found.get('wwpns', ()))
    lab.equal('Cinder is told of every port', missing, set())
    lab.equal('and of the host', found.get('host'), 'compute-1')


def connect(lab, compute, array, multipath):
    """The connection_info as Cinder gives it; returned as Nova's database keeps it."""
    disk, properties = array.luns[1], array.properties(1)
    given = {'driver_volume_type': 'fibre_channel', 'data': properties, 'serial': properties['volume_id'],
             'status': 'reserved'}
    answer = compute.connect(given)
    lab.measured('connect', answer.seconds)
    data = answer.value['data']
    lab.check_right_disk('attached', data['device_path'], disk)
    lab.equal('only the wanted LUN is on the host', {hctl.rsplit(':')[-1] for hctl in lab.host.scsi_devices()}, {'1'})
    lab.equal('the domain gets the device', compute.disk_source(answer.value).value, data['device_path'])
    if multipath:
        lab.equal('the identity of the map is stored', data.get('multipath_id'), disk.wwid)
        lab.check_paths('attached', disk, 2)
    return json.dumps(answer.value)


def gone(lab, when):
    lab.equal(f'no device {when}', (lab.host.scsi_devices(), lab.host.dm_devices()), ({}, {}))
