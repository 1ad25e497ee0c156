# SPDX-License-Identifier: Apache-2.0
"""The version of the installed distribution."""

import importlib.metadata
from typing import Any

import pbr.version


class _VersionInfo(pbr.version.VersionInfo):
    """pbr's, which before 7.1 refuses what stands behind the `+` of a version."""

    def semantic_version(self) -> Any:
        try:
            return super().semantic_version()
        except ValueError:
            release = importlib.metadata.version(self.package).partition('+')[0]
            return pbr.version.SemanticVersion.from_pip_string(release)


version_info = _VersionInfo('python-brick-cinderclient-ext')
__version__ = version_info.version_string()
