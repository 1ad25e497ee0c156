"""One volume, two instances of a compute host: Nova asks who else has it, and only the last detach reaches os_brick."""

import json

LEDGER = ()
IMAGE = 'consumers'
VARIANTS = ('single', 'multipath')
MODES = ('nova',)
SECONDS = 60
TIMEOUT = 900
UPSTREAM_LEAVES = 'the line in the wwids file'
COMPUTE = 'guest.services.nova:Compute'


def run(lab):
    multipath = lab.variant == 'multipath'
    target = lab.targets.create(portals=2 if multipath else 1)
    disk, properties = target.luns[1], target.properties(1, plural=multipath)
    caller = lab.caller(service='nova', conf={'libvirt.volume_use_multipath': multipath})
    computes = [caller.remote(caller.start(COMPUTE, keep=True).wait()) for _ in range(2)]
    given = {'driver_volume_type': 'iscsi', 'data': properties, 'serial': properties['volume_id'], 'multiattach': True}
    pending = [compute.start('connect', given) for compute in computes]
    stored = [json.loads(json.dumps(answer.wait().value)) for answer in pending]
    paths = [one['data']['device_path'] for one in stored]
    lab.equal('both instances get one device', paths[0], paths[1])
    lab.check_right_disk('attached', paths[0], disk)
    user = lab.flow.Flow(paths[1])

    computes[0].attached_to(here=2, elsewhere=1)
    computes[0].disconnect(stored[0])
    lab.eventually('the other one goes on', lambda since=user.operations: user.operations > since + 5, 30)
    lab.equal('one disk for each path', len(lab.host.scsi_devices()), 2 if multipath else 1)
    lab.equal('and one session', len(lab.host.sessions()), 2 if multipath else 1)
    lab.equal('its I/O', user.stop(), [])

    computes[1].attached_to(here=1, elsewhere=1)
    lab.measured('last disconnect', computes[1].disconnect(stored[1]).seconds)
    lab.equal('no device', (lab.host.scsi_devices(), lab.host.dm_devices()), ({}, {}))
    lab.equal('no session', lab.host.sessions(), {})
