"""Names in the form that folders and artifact keys need."""

from __future__ import annotations

import re

_UNFIT = re.compile(r"[^a-z0-9]+")


def make_slug(name: str) -> str:
    """Return a name in lower-case letters, digits and dashes."""
    return _UNFIT.sub("-", name.lower()).strip("-") or "validation"
