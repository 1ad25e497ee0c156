"""A Cinder volume driver whose array is the lab's target: attach, detach and copy are Cinder's own code."""

import types

from cinder import context
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
