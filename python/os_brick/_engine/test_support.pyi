# SPDX-License-Identifier: Apache-2.0
"""For the engine's own tests; no entrypoint leads here."""

from typing import Any, Callable

__all__ = ["panic", "run", "write"]

def panic(message: str) -> None: ...
def run(execute: Callable[..., Any], secret: str) -> tuple[str, str]: ...
def write(execute: Callable[..., Any], path: str, content: str) -> None: ...
