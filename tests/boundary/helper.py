# SPDX-License-Identifier: Apache-2.0
"""`privsep-helper`, with the entry points of the tests.  Started through sudo, as a service's helper is."""

import pathlib
import sys

from oslo_privsep import daemon

import os_brick.privileged


def install_probes():
    os_brick.privileged.__path__.append(str(pathlib.Path(__file__).with_name('probes')))


if __name__ == '__main__':
    install_probes()
    sys.exit(daemon.helper_main())
