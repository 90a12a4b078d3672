"""Secret values that this process has seen, and their removal from any text that leaves it."""

from __future__ import annotations

import re
from threading import Lock

MASK = "********"

#: Shorter values are not registered: masking every "abc" would hide more than it protects.
SHORTEST = 6

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
        _pattern = re.compile("|".join(map(re.escape, longest_first)))
        _stale = False
