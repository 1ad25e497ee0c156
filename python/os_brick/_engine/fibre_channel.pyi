# SPDX-License-Identifier: Apache-2.0
"""Fibre Channel and FCoE.

`properties` holds keys of `os_brick.privileged.fibre_channel.PROPERTIES`.  `settings` may
hold use_multipath (bool), device_scan_attempts (int), lock_path (str),
portal_grace_period (float, seconds), enforce_identity (bool),
wait_mpath_device_attempts (int), wait_mpath_device_interval (int, seconds) and
attachment_record_path (str).
`execute` runs every command and kernel write, with the keyword arguments of
`os_brick.privileged.rootwrap.execute`; None stands for the engine's own runner.
"""

__all__ = ["connect_volume", "disconnect_volume", "extend_volume", "volume_paths",
           "volume_devices", "scan_plan"]

from collections.abc import Callable
from typing import Any

def connect_volume(properties: dict[str, Any], settings: dict[str, Any],
                   execute: Callable[..., Any] | None = None) -> dict[str, Any]: ...
def disconnect_volume(properties: dict[str, Any], device_path: str | None,
                      settings: dict[str, Any], force: bool,
                      execute: Callable[..., Any] | None = None) -> list[str]: ...
def extend_volume(properties: dict[str, Any], settings: dict[str, Any],
                  execute: Callable[..., Any] | None = None) -> int: ...
def volume_paths(properties: dict[str, Any], settings: dict[str, Any]) -> list[str]: ...
def volume_devices(properties: dict[str, Any], settings: dict[str, Any]) -> list[str]: ...
def scan_plan(properties: dict[str, Any], hosts: list[int]) -> list[tuple[int, str]]: ...
