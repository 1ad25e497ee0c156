"""Nova's libvirt driver without libvirt: a host that remembers secrets; everything from there to os_brick is Nova's."""

import types

from nova import context, objects
from nova.virt.libvirt import driver
from nova.virt.libvirt.volume import mount


class Host:
    """What nova.virt.libvirt.host.Host is asked for around a volume."""

    def __init__(self):
        self.secrets, self.guests = {}, []

    def list_guests(self, only_running=True):
        return self.guests

    def find_secret(self, usage, name):
        return self.secrets.get((usage, name))

    def create_secret(self, usage, name, password=None):
        self.secrets[usage, name] = password

    def delete_secret(self, usage, name):
        self.secrets.pop((usage, name), None)


class VolumeAPI:
    """Cinder, as far as an encrypted volume, or one with several attachments, is concerned."""

    def __init__(self, encryption):
        self.encryption, self.attachments = encryption, {}

    def get_volume_encryption_metadata(self, _context, _volume_id):
        return dict(self.encryption)

    def get(self, _context, _volume_id):
        return {'attachments': self.attachments}


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

    def libvirt_is_up(self, *files):
        """Nova looks through the domains; the instance's has these files for disks."""
        disks = [types.SimpleNamespace(source_type='file', source_path=path) for path in files]
        self.driver._host.guests = [types.SimpleNamespace(uuid=self.instance.uuid, get_all_disks=lambda: disks)]
        mount.get_manager().host_up(self.driver._host)

    def attached_to(self, here, elsewhere):
        """What Cinder and Nova's database tell: to so many instances of this host, and so many of others."""
        names = [f'instance-{number}' for number in range(here + elsewhere)]
        self.driver._volume_api.attachments = {name: {} for name in names}
        objects.InstanceList.get_uuids_by_host = lambda _context, _host: names[:here]

    def secrets(self):
        """How many there are; the secrets themselves are nobody's business."""
        return len(self.driver._host.secrets)
