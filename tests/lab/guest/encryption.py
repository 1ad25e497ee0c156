"""Encryptors of os_brick in a worker, called as Nova calls them, with a key manager that knows one key.

What must not live here: anything that knows what an encryptor does to the host, except where its mapping is.
"""

import os

from guest import host

KEY = '00' + '4c' * 31
OTHER_KEY = 'ab' * 32

KEY_MANAGER = '''
class Key:
    def managed_type(self):
        return 'symmetric'

    def get_encoded(self):
        return bytes.fromhex(key)


class KeyManager:
    def get(self, context, key_id):
        if key_id != 'lab-key':
            raise KeyError(key_id)
        return Key()


result = KeyManager()
'''


class Encryptor:
    """The encryptor of an attached volume; a new one for each operation, as services make them."""

    def __init__(self, caller, provider, properties, info, key=KEY):
        self.caller, self.path = caller, info['path']
        self.metadata = {'control_location': 'front-end', 'provider': provider, 'cipher': 'aes-xts-plain64',
                         'key_size': 256, 'encryption_key_id': 'lab-key'}
        data = {**properties, 'device_path': info['path']}
        if 'multipath_id' in info:
            data['multipath_id'] = info['multipath_id']
        self.connection_info = {'driver_volume_type': 'iscsi', 'serial': properties['volume_id'], 'data': data}
        self.key = key
        self.key_manager = caller.make(KEY_MANAGER, key=key)

    @property
    def mapping(self):
        """The name of the mapping in /dev/mapper."""
        return 'crypt-' + os.path.basename(self.path)

    def _made(self):
        kept = self.caller.start('os_brick.encryptors:get_volume_encryptor', keep=True, root_helper='sudo',
                                 connection_info=self.connection_info, keymgr=self.key_manager, **self.metadata).wait()
        return self.caller.remote(kept)

    def start_attach(self):
        return self._made().start('attach_volume', None, **self.metadata)

    def attach(self):
        return self.start_attach().wait()

    def start_detach(self):
        return self._made().start('detach_volume', **self.metadata)

    def detach(self):
        return self.start_detach().wait()

    def start_extend(self):
        return self._made().start('extend_volume', None, **self.metadata)

    def start_format(self):
        """What Nova calls for a volume that QEMU will open and `is_luks` denied."""
        return self._made().start('_format_volume', self.key, **self.metadata)


def mappings():
    """{name: [devices below]} of every encrypted mapping."""
    return {device['name']: device['slaves'] for device in host.dm_devices().values()
            if device['uuid'].startswith('CRYPT-')}
