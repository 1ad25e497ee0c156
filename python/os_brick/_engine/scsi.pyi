# SPDX-License-Identifier: Apache-2.0
"""Read-only views of SCSI devices."""

__all__ = ["multipath_map", "entries"]

def multipath_map(devices: list[str]) -> str | None: ...
def entries(directory: str) -> list[str]: ...
