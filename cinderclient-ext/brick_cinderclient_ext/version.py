# SPDX-License-Identifier: Apache-2.0
"""The version of the installed distribution."""

import pbr.version

version_info = pbr.version.VersionInfo('python-brick-cinderclient-ext')
__version__ = version_info.version_string()
