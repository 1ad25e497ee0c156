"""Nova's libvirt driver without libvirt: a host that remembers secrets; everything from there to os_brick is Nova's."""

import types

from nova import context
from nova.virt.libvirt import driver


class Host:
    """What nova.virt.libvirt.host.Host is asked for around a volume."""

    def __init__(self):
        self.secrets = {}

    def find_secret(self, usage, name):
        return self.secrets.get((usage, name))

    def create_secret(self, usage, name, password=None):
        self.secrets[usage, name] = password

    def delete_secret(self, usage, name):
        self.secrets.pop((usage, name), None)


class VolumeAPI:
    """Cinder, as far as an encrypted volume is concerned."""

    def __init__(self, encryption):
        self.encryption = encryption

    def get_volume_encryption_metadata(self, _context, _volume_id):
        return dict(self.encryption)


class Compute:
    """A nova-compute that attaches volumes to one instance."""

    def __init__(self, encryption=None):
        self.driver = object.__new__(driver.LibvirtDriver)
        self.driver._host, self.driver.volume_drivers = Host(), {}
        self.driver._volume_api = VolumeAPI(encryption or {})
        self.instance = types.SimpleNamespace(uuid='8a2e1d5c-0d0c-4c5b-9c07-0f3d1f9b8e11', host='lab')
        self.context = context.get_admin_context()

    def connector(self):
        return self.driver.get_volume_connector(self.instance)

    def connect(self, connection_info):
        """The connection_info as it is stored afterwards."""
        self.driver._connect_volume(self.context, connection_info, self.instance)
        return connection_info

    def disk_source(self, connection_info):
        """What the domain's XML would name."""
        disk = {'type': 'disk', 'dev': 'vdb', 'bus': 'virtio'}
        driver_of_volume = self.driver._get_volume_driver(connection_info)
        secret, self.driver._host.secrets = self.driver._host.secrets, {}
        try:
            return driver_of_volume.get_config(connection_info, disk).source_path
        finally:
            self.driver._host.secrets = secret

    def extend(self, connection_info, size):
        return self.driver._extend_volume(connection_info, self.instance, size)

    def disconnect(self, connection_info, force=False):
        self.driver._disconnect_volume(self.context, connection_info, self.instance, force=force)

    def secrets(self):
        """How many there are; the secrets themselves are nobody's business."""
        return len(self.driver._host.secrets)
