"""What `cinder local-attach` and `local-detach` do: brick_cinderclient_ext's client, whose Cinder is cinder_api."""

from brick_cinderclient_ext import client

from guest.services import cinder_api

# Asked for its address by name: without one the client looks for a route to the internet.
NIC = 'lo'


class Session:
    """One command line user."""

    def __init__(self, connections, microversion, multipath):
        self.cinder = cinder_api.Cinder(connections, microversion)
        self.client, self.multipath = client.Client(self.cinder), multipath

    def connector(self):
        return self.client.get_connector(multipath=self.multipath, nic=NIC)

    def attach(self, name):
        return self.client.attach(name, 'lab', mountpoint='/dev/vdx', multipath=self.multipath, nic=NIC)

    def paths(self, name):
        return self.client.get_volume_paths(name, use_multipath=self.multipath)

    def all_paths(self):
        return self.client.get_all_volume_paths('iscsi', use_multipath=self.multipath)

    def detach(self, name, device_info=None):
        self.client.detach(name, multipath=self.multipath, device_info=device_info, nic=NIC)

    def state(self, name):
        return self.cinder.volumes.get(name).status

    def calls(self):
        return self.cinder.calls
