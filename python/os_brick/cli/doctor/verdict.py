# SPDX-License-Identifier: Apache-2.0
"""What a check says: a verdict, the evidence for it, and what would mend it."""

from collections.abc import Sequence
from typing import Any, Optional, Union

OK = 'ok'
#: Attaches work, but not as well or not always.
WARNING = 'warning'
#: Attaches fail, or hurt somebody.
ERROR = 'error'
#: It does not matter on this host, or could not be seen.
SKIPPED = 'skipped'

KINDS = (OK, WARNING, ERROR, SKIPPED)

Evidence = Union[str, Sequence[str]]


def _make(kind: str, evidence: Evidence, remedy: Optional[str]) -> dict[str, Any]:
    return {'verdict': kind, 'evidence': [evidence] if isinstance(evidence, str) else list(evidence),
            'remedy': remedy}


def ok(evidence: Evidence) -> dict[str, Any]:
    """Say that all is well."""
    return _make(OK, evidence, None)


def warning(evidence: Evidence, remedy: str) -> dict[str, Any]:
    """Say what could be better."""
    return _make(WARNING, evidence, remedy)


def error(evidence: Evidence, remedy: str) -> dict[str, Any]:
    """Say what has to be mended."""
    return _make(ERROR, evidence, remedy)


def skipped(evidence: Evidence) -> dict[str, Any]:
    """Say why nothing can be said."""
    return _make(SKIPPED, evidence, None)


def worst(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return one verdict for several: the worst with the remedies for it, and all evidence."""
    order = (ERROR, WARNING, OK, SKIPPED)
    kind = min((one['verdict'] for one in found), key=order.index)
    remedies = dict.fromkeys(one['remedy'] for one in found if one['remedy'])
    return _make(kind, list(dict.fromkeys(seen for one in found for seen in one['evidence'])),
                 '; '.join(remedies) or None)
