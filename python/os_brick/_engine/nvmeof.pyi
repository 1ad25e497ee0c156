# SPDX-License-Identifier: Apache-2.0
"""NVMe over Fabrics.

`properties` holds keys of `os_brick.privileged.nvmeof.PROPERTIES`.  `settings` may hold
use_multipath (bool), device_scan_attempts (int), lock_path (str), portal_grace_period
(float, seconds) and attachment_record_path (str).  `execute` runs every command, with the keyword arguments of
`os_brick.privileged.rootwrap.execute`; None stands for the engine's own runner.
"""

__all__ = ["connect_volume", "disconnect_volume", "extend_volume", "volume_paths"]

from collections.abc import Callable
from typing import Any

def connect_volume(properties: dict[str, Any], settings: dict[str, Any],
                   execute: Callable[..., Any] | None = None) -> dict[str, Any]: ...
def disconnect_volume(properties: dict[str, Any], device_path: str | None,
                      settings: dict[str, Any], force: bool,
                      execute: Callable[..., Any] | None = None) -> list[str]: ...
def extend_volume(properties: dict[str, Any], settings: dict[str, Any],
                  execute: Callable[..., Any] | None = None) -> int: ...
def volume_paths(properties: dict[str, Any], settings: dict[str, Any],
                 execute: Callable[..., Any] | None = None) -> list[str]: ...
