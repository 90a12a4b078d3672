"""Names for folders and artifact keys."""

from __future__ import annotations

import re

_UNFIT = re.compile(r"[^a-z0-9]+")


def make_slug(name: str) -> str:
    """Return a name in lowercase letters, digits and dashes."""
    return _UNFIT.sub("-", name.lower()).strip("-") or "validation"
