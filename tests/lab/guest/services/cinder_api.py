"""Cinder's API as its clients see it, over volumes that are attached and detached for real.

Connections are those a scenario made; whatever a client may get wrong (an order of calls, a call that is missing)
raises here.
"""

import itertools
import types

from cinderclient import api_versions, exceptions


class Resource(types.SimpleNamespace):
    """An object with items, as cinderclient hands out."""

    def __getitem__(self, name):
        return getattr(self, name)


class Volume(Resource):
    def delete(self):
        self.status = 'deleted'

    def update_all_metadata(self, metadata):
        self.metadata = metadata

    def update_readonly_flag(self, volume, flag):
        volume.readonly = flag


class Cinder:
    """A client: `volumes` and `attachments`."""

    def __init__(self, connections, microversion='3.0', flat=True):
        self.api_version = api_versions.APIVersion(microversion)
        self.all = {name: Volume(id=name, name=name, size=1, status='available', multiattach=False, encrypted=False,
                                 metadata={}, attachments=[]) for name in connections}
        self.volumes, self.attachments = Volumes(self, connections), Attachments(self, connections)
        self.calls = []

    def move(self, name, call, wanted, status):
        """The volume's state machine."""
        self.calls.append(call)
        volume = self.all[name]
        if volume.status != wanted:
            raise exceptions.BadRequest(400, f'{call}: the volume is {volume.status}, not {wanted}')
        volume.status = status


class Volumes:
    """The calls of the older workflow, and what both share."""

    def __init__(self, cinder, connections):
        self.cinder, self.connections = cinder, connections

    def get(self, name):
        return self.cinder.all[name]

    def create(self, _size, name=None, metadata=None, volume_type=None):
        """The first volume that was not created yet: the lab has its disk already."""
        volume = next(one for one in self.cinder.all.values() if not one.metadata)
        volume.metadata, volume.volume_type = metadata, volume_type
        return volume

    def list(self):
        return list(self.cinder.all.values())

    def reserve(self, name):
        self.cinder.move(name, 'reserve', 'available', 'attaching')

    def unreserve(self, name):
        self.cinder.move(name, 'unreserve', 'attaching', 'available')

    def initialize_connection(self, name, connector):
        self.cinder.calls.append(f'initialize_connection {connector["initiator"]}')
        return {'driver_volume_type': 'iscsi', 'data': dict(self.connections[name])}

    def attach(self, name, instance_uuid, mountpoint, mode, host_name):
        self.cinder.move(name, f'attach {mountpoint} {mode} {host_name}', 'attaching', 'in-use')

    def begin_detaching(self, name):
        self.cinder.move(name, 'begin_detaching', 'in-use', 'detaching')

    def roll_detaching(self, name):
        self.cinder.move(name, 'roll_detaching', 'detaching', 'in-use')

    def terminate_connection(self, name, _connector):
        self.cinder.calls.append('terminate_connection')

    def detach(self, name, _attachment):
        self.cinder.move(name, 'detach', 'detaching', 'available')


class Attachments:
    """The newer workflow: the connection's data lie beside driver_volume_type and attachment_id."""

    def __init__(self, cinder, connections):
        self.cinder, self.connections = cinder, connections
        self.numbers, self.all = itertools.count(1), {}

    def create(self, name, connector=None, instance=None, mode='rw'):
        attachment = Resource(id=f'attachment-{next(self.numbers)}', volume=name, connection_info={}, mode=mode)
        self.all[attachment.id] = attachment
        self.cinder.move(name, 'attachment create', 'available', 'reserved')
        if connector:
            self.update(attachment.id, connector)
        return attachment

    def update(self, number, connector):
        self.cinder.calls.append(f'attachment update {connector["initiator"]}')
        attachment = self.all[number]
        attachment.connection_info = {'driver_volume_type': 'iscsi', 'attachment_id': number,
                                      **self.connections[attachment.volume]}
        return attachment

    def complete(self, number):
        self.cinder.move(self.all[number].volume, 'attachment complete', 'reserved', 'in-use')

    def list(self, search_opts):
        return [one for one in self.all.values() if one.volume == search_opts['volume_id']]

    def show(self, number):
        return self.all[number]

    def delete(self, number):
        volume = self.cinder.all[self.all.pop(number).volume]
        self.cinder.move(volume.id, 'attachment delete', volume.status, 'available')
