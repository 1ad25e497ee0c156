# SPDX-License-Identifier: Apache-2.0
"""`python -m os_brick.verify`: the same as `os-brick verify-serve`."""

import sys

from os_brick import cli

if __name__ == '__main__':
    sys.exit(cli.main(['verify-serve', *sys.argv[1:]]))
