# SPDX-License-Identifier: Apache-2.0
"""The program `os-brick`, for a user of the given number, on a host whose volumes are files.

`os_brick_as.py UID HOST ARGUMENTS...`; HOST is a directory.  A volume of LightOS is attached when HOST/attached/UUID is
there.  HOST/wait is a pipe that an attach waits for, in a program it starts; with HOST/fail it fails then, and with
HOST/stuck a detach does.  No test needs root.
"""

import logging
import os
import pathlib
import signal
import subprocess
import sys

from os_brick import cli
from os_brick import exception
from os_brick.initiator import connector
from os_brick.initiator.connectors import base

LOG = logging.getLogger('os_brick.initiator.connectors.files')


class FileVolumes(base.BaseLinuxConnector):
    """Attaches by making a file.  It talks of passwords, as no connector should."""

    host = pathlib.Path()

    def __init__(self, *args, use_multipath=False, **kwargs):
        super().__init__(*args, **kwargs)
        self.use_multipath = use_multipath

    def _file(self, properties):
        return self.host / 'attached' / properties['uuid']

    def get_volume_paths(self, properties):
        return [str(self._file(properties))]

    def get_search_path(self):
        return str(self.host / 'attached')

    def connect_volume(self, properties):
        half = self.host / 'attached' / 'half'
        half.touch()
        LOG.info('login with the password %s', properties.get('auth_password'))
        try:
            if (self.host / 'wait').exists():
                subprocess.run(['cat', self.host / 'wait'], check=True)
            if (self.host / 'fail').exists():
                raise exception.BrickException(f"refused: {properties.get('auth_password')}")
            self._file(properties).touch()
        finally:
            half.unlink()
        return {'type': 'block', 'path': str(self._file(properties)), 'multipath': self.use_multipath}

    def disconnect_volume(self, properties, device_info, force=False, ignore_errors=False):
        LOG.info('force %s, path %s', force, (device_info or {}).get('path'))
        if (self.host / 'stuck').exists():
            raise exception.BrickException('the file is held')
        self._file(properties).unlink(missing_ok=True)

    def extend_volume(self, properties):
        raise NotImplementedError


def main():
    user, host = int(sys.argv.pop(1)), sys.argv.pop(1)
    os.geteuid = lambda: user
    # Also when the tests run in the background or under nohup.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    FileVolumes.host = pathlib.Path(host)
    for mapping in ('_connector_mapping_linux', '_connector_mapping_linux_s390x', '_connector_mapping_linux_ppc64'):
        getattr(connector, mapping)['LIGHTOS'] = f'{__name__}.FileVolumes'
    sys.exit(cli.main())


if __name__ == '__main__':
    main()
