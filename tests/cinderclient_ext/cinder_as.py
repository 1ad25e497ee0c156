# SPDX-License-Identifier: Apache-2.0
"""The program `cinder`, for a user of the given number: `cinder_as.py UID ARGUMENTS...`; no test needs root."""

import os
import sys

from cinderclient import shell

user = int(sys.argv.pop(1))
os.getuid = lambda: user
shell.main()
