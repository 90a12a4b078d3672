"""Names that people give to limits, deployments and schedules."""

from __future__ import annotations

from flowstone.errors import InvalidName

_LONGEST = 200


def check_printable_name(kind: str, name: str) -> None:
    """Check a name that may have spaces and any letters.

    Raises:
        InvalidName: it is blank, too long, or has characters that can't be printed.
    """
    if not name.strip() or len(name) > _LONGEST or not name.isprintable():
        raise InvalidName(kind, name, f"use 1 to {_LONGEST} printable characters")
