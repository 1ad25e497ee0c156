# SPDX-License-Identifier: Apache-2.0
"""The version of the installed os-brick distribution."""

import importlib.metadata

import pbr.version


class _VersionInfo(pbr.version.VersionInfo):
    """pbr's, which before 7.1 refuses what stands behind the `+` of a version."""

    def semantic_version(self):
        try:
            return super().semantic_version()
        except ValueError:
            release = importlib.metadata.version(self.package).partition('+')[0]
            return pbr.version.SemanticVersion.from_pip_string(release)


version_info = _VersionInfo('os-brick')
__version__ = version_info.version_string()
