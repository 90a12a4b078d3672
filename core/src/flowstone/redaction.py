"""Secret values that this process has seen, and their removal from any text that leaves it."""

from __future__ import annotations

import re
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MASK = "********"

#: Shorter values are not registered: masking every "abc" would hide more than it protects.
SHORTEST = 6

#: So many first characters are told apart before whole values are; less than SHORTEST.
BRANCHING = 3

#: What an unfinished URL comes down to: hiding it would hide a part of every address.
COMMON = {"http://", "https://"}

_lock = Lock()
_values: set[str] = set()
_pattern: re.Pattern[str] | None = None
_stale = False


def register(value: str) -> None:
    """Make `redact` hide this value, as it is and as JSON, URL and `repr` write it."""
    # Imported with the first secret: 5 ms that a program without one need not pay.
    import json  # noqa: PLC0415
    from urllib.parse import quote  # noqa: PLC0415

    global _stale
    if len(value) < SHORTEST or value in _values or value in COMMON:
        return
    forms = {value, json.dumps(value)[1:-1], quote(value, safe=""), repr(value)[1:-1]}
    lines = value.splitlines()
    if len(lines) > 1:  # a PEM key is often printed line by line
        forms.update(line for line in lines if len(line) >= 4 * SHORTEST)
    with _lock:
        _values.update(forms)
        _stale = True


def size() -> int:
    """Return how much is registered; it only grows."""
    return len(_values)


def registered() -> frozenset[str]:
    """Return what is registered, in each form, for a process that must mask it too."""
    with _lock:
        return frozenset(_values)


def redact(text: str) -> str:
    """Return the text with every registered secret replaced by asterisks."""
    if _stale:
        _compile()
    return text if _pattern is None else _pattern.sub(MASK, text)


def _compile() -> None:
    # Once for many secrets: doing it for each one is what loading a thousand blocks would wait for.
    global _pattern, _stale
    with _lock:
        longest_first = sorted(_values, key=len, reverse=True)
        _pattern = re.compile(_any_of(longest_first, BRANCHING)) if longest_first else None
        _stale = False


def _any_of(values: Iterable[str], branching: int) -> str:
    """Return a pattern for any of these values, the first that fits.

    A pattern that tries a thousand values at each character of a line costs 200 us a line. Those
    that begin alike are put behind their beginning, so that most are ruled out by one look.
    """
    if not branching:
        return "|".join(map(re.escape, values))
    alike: dict[str, list[str]] = {}
    for value in values:
        alike.setdefault(value[:1], []).append(value[1:])
    return "|".join(
        f"{re.escape(first)}(?:{_any_of(rests, branching - 1)})"
        if len(rests) > 1
        else re.escape(first + rests[0])
        for first, rests in alike.items()
    )
