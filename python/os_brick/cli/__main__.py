# SPDX-License-Identifier: Apache-2.0
"""`python -m os_brick.cli`, for whoever has the package but not its script."""

import sys

from os_brick import cli

if __name__ == '__main__':
    sys.exit(cli.main())
