# SPDX-License-Identifier: Apache-2.0
"""For the engine's own tests; no entrypoint leads here."""

__all__ = ["panic"]

def panic(message: str) -> None: ...
