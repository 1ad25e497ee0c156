"""A Cinder volume driver whose array is the lab's target or file server: attach, detach, copy and backup are Cinder's own code."""

import types

from cinder import context, coordination
from cinder.backup.drivers import nfs
from cinder.volume import driver, volume_utils


class Volume(dict):
    """A row of the database: items and attributes."""

    __getattr__ = dict.get


class Driver(driver.VolumeDriver):
    """The part an array's vendor writes; the connections are made already."""

    def __init__(self, connections, multipath):
        self.connections, self.calls = connections, []
        self.configuration = types.SimpleNamespace(
            use_multipath_for_image_xfer=multipath, enforce_multipath_for_image_xfer=multipath,
            num_volume_device_scan_tries=3)

    def check_for_setup_error(self):
        pass

    def create_export(self, _context, volume, _connector):
        self.calls.append(f'create_export {volume.id}')

    def initialize_connection(self, volume, connector):
        self.calls.append(f'initialize_connection {volume.id} {connector["initiator"]}')
        return {'driver_volume_type': 'iscsi', 'data': dict(self.connections[volume.id])}

    def terminate_connection(self, volume, _connector, force=False):
        self.calls.append(f'terminate_connection {volume.id}')

    def remove_export(self, _context, volume):
        self.calls.append(f'remove_export {volume.id}')


class ShareDriver(Driver):
    """The same for volumes in shares: the connection tells where to mount them, too."""

    def __init__(self, connections, base):
        super().__init__(connections, multipath=False)
        self.base = base

    def initialize_connection(self, volume, connector):
        self.calls.append(f'initialize_connection {volume.id} {connector["host"]}')
        return {'driver_volume_type': 'nfs', 'data': dict(self.connections[volume.id]), 'mount_point_base': self.base}


class VolumeService:
    """A cinder-volume with one backend."""

    def __init__(self, connections, multipath=False):
        self.driver, self.multipath = Driver(connections, multipath), multipath
        self.context = context.get_admin_context()

    def connector(self):
        return volume_utils.brick_get_connector_properties(self.multipath, self.multipath)

    def attach(self, name):
        return self.driver._attach_volume(self.context, Volume(id=name, name=name), self.connector())[0]

    def detach(self, name, attached, force=False):
        self.driver._detach_volume(self.context, attached, Volume(id=name, name=name), self.connector(), force=force)

    def copy(self, source, destination, megabytes):
        """From one volume to another, as a migration by the host does; the device paths of both."""
        first, second = self.attach(source), self.attach(destination)
        paths = [first['device']['path'], second['device']['path']]
        try:
            volume_utils.copy_volume(*paths, megabytes, '1M')
        finally:
            self.detach(destination, second)
            self.detach(source, first, force=True)
        return paths

    def write_encrypted(self, file, name, encryption, megabytes):
        """A file's content into an encrypted volume, as an image is; the device paths before and after."""
        attached = self.attach(name)
        try:
            volume_utils.brick_attach_volume_encryptor(self.context, attached, encryption)
            try:
                volume_utils.copy_volume(file, attached['device']['path'], megabytes, '1M')
            finally:
                volume_utils.brick_detach_volume_encryptor(attached, encryption)
        finally:
            self.detach(name, attached, force=True)
        return attached['device']['path']

    def read_encrypted(self, name, file, encryption, megabytes):
        attached = self.attach(name)
        try:
            volume_utils.brick_attach_volume_encryptor(self.context, attached, encryption)
            try:
                volume_utils.copy_volume(attached['device']['path'], file, megabytes, '1M')
            finally:
                volume_utils.brick_detach_volume_encryptor(attached, encryption)
        finally:
            self.detach(name, attached)

    def calls(self):
        return self.driver.calls


class ShareService(VolumeService):
    """A cinder-volume whose volumes are files of a file server, and a cinder-backup beside it."""

    def __init__(self, connections, base):
        super().__init__(connections)
        self.driver = ShareDriver(connections, base)

    def back_up(self, container, name, text):
        """Write one object of a backup into the share of the configuration; where it is mounted, and what is read back."""
        coordination.COORDINATOR.start()
        backups = nfs.NFSBackupDriver(self.context)
        backups.check_for_setup_error()
        backups.put_container(container)
        with backups.get_object_writer(container, name) as file:
            file.write(text.encode())
        with backups.get_object_reader(container, name) as file:
            return backups.backup_path, file.read().decode()
