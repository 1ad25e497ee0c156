# SPDX-License-Identifier: Apache-2.0
"""The version of the installed os-brick distribution."""

import pbr.version

version_info = pbr.version.VersionInfo('os-brick')
__version__ = version_info.version_string()
