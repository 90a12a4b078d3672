"""Names of limits, deployments, schedules and work pools."""

from __future__ import annotations

from flowstone.errors import InvalidName

_LONGEST = 200
_BANNED = frozenset("/%&<>")


def check_printable_name(kind: str, name: str) -> None:
    """Check a name that may have spaces and any letters.

    Raises:
        InvalidName: it is blank, too long, or has characters that can't be printed.
    """
    if not name.strip() or len(name) > _LONGEST or not name.isprintable():
        raise InvalidName(kind, name, f"use 1 to {_LONGEST} printable characters")


def check_part_name(kind: str, name: str) -> str:
    """Return a name if it can be part of another with a slash, as in ``flow/name``.

    Raises:
        InvalidName: it is not valid.
    """
    check_printable_name(kind, name)
    if not _BANNED.isdisjoint(name):
        raise InvalidName(kind, name, "omit / % & < and >")
    return name
