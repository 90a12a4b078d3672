"""The secret values that this process has seen, which are masked in any text that leaves it."""

from __future__ import annotations

import re
import sys
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MASK = "********"

#: Shorter values are not registered: masking every "abc" would hide more than it protects.
SHORTEST = 6

#: Number of first characters by which values are grouped in a pattern; less than SHORTEST.
BRANCHING = 3

#: Longer values are searched by this many first characters, and only then compared as a whole: the
#: forms of a cloud's key have kilobytes, and a pattern of them takes long to compile.
HEAD = 32

#: The form of an incomplete URL: masking it would mask a part of every address.
COMMON = {"http://", "https://"}

#: Characters that have no other written form.
PLAIN = re.compile(r"[A-Za-z0-9_.~-]*")

#: Types without contents; checked first, since most values have these.
_PLAIN = frozenset({type(None), bool, int, float, str, bytes})


class _LongValues:
    """Values longer than HEAD, by their beginnings; the longest one that matches is used."""

    def __init__(self, longest_first: Iterable[str]) -> None:
        self._by_head: dict[str, list[str]] = {}
        for value in longest_first:
            self._by_head.setdefault(value[:HEAD], []).append(value)
        self._heads = re.compile(_match_any(self._by_head, BRANCHING))

    def mask(self, text: str) -> str:
        """Return the text with each of the values replaced by asterisks."""
        parts: list[str] = []
        start = search = 0
        while found := self._heads.search(text, search):
            at = found.start()
            values = self._by_head[found.group()]
            value = next((value for value in values if text.startswith(value, at)), None)
            if value is None:
                search = at + 1
            else:
                parts += text[start:at], MASK
                start = search = at + len(value)
        return "".join(parts) + text[start:]


_lock = Lock()
_values: set[str] = set()
_pattern: re.Pattern[str] | None = None
_long: _LongValues | None = None
_stale = False


def register(value: str) -> None:
    """Make `redact` mask this value, as it is and as it is written in other formats."""
    global _stale
    if len(value) < SHORTEST or value in _values or value in COMMON:
        return
    forms = _list_forms(value)
    lines = [line.strip() for line in value.splitlines()]
    if len(lines) > 1:  # a key or a credentials file is often printed line by line
        forms.update(line for line in lines if len(line) >= 2 * SHORTEST)
    with _lock:
        _values.update(forms)
        _stale = True


def register_secrets(value: object) -> None:
    """Register each secret of pydantic's types inside a value: in models, dataclasses, containers.

    References to secrets, and containers of them, are registered by the block they belong to.
    """
    types = sys.modules.get("pydantic.types")
    if types is None or not hasattr(types, "SecretBytes"):
        return  # without pydantic there are no secrets of its types, and importing it takes 100 ms
    masked = types.SecretStr, types.SecretBytes, types.Secret
    seen: set[int] = set()
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, masked):
            if not hasattr(part, "reference") and not hasattr(part, "tree"):
                _register_texts(part.get_secret_value())
        elif id(part) not in seen:
            seen.add(id(part))
            waiting += [item for item in _list_parts(part) if type(item) not in _PLAIN]
            if isinstance(part, dict):
                waiting += [key for key in part if type(key) not in _PLAIN]


def _register_texts(secret: object) -> None:
    """Register each text in a value that is secret as a whole; numbers as they are printed."""
    if isinstance(secret, (bytes, bytearray)):
        register(secret.decode("utf-8", "backslashreplace"))
    elif isinstance(secret, (str, int, float)):
        register(str(secret))
    else:
        for part in _list_parts(secret):
            _register_texts(part)


def _list_parts(value: object) -> Iterable[object]:
    """Return the contents of a container, a model or a dataclass; nothing for any other value."""
    if isinstance(value, dict):
        return value.values()
    if isinstance(value, (list, tuple, set, frozenset)):
        return value
    kind = type(value)
    if hasattr(kind, "__pydantic_fields__"):
        own = "__dict__", "__pydantic_extra__", "__pydantic_private__"
        held = (getattr(value, name, None) or {} for name in own)
        return [item for items in held for item in items.values()]
    fields = getattr(kind, "__dataclass_fields__", ())
    return [getattr(value, name, None) for name in fields]


def adopt(forms: Iterable[str]) -> None:
    """Also mask these, but only as they are: another process has registered them."""
    global _stale
    with _lock:
        _values.update(forms)
        _stale = True


def _list_forms(value: str) -> set[str]:
    """Return a value as it is written in JSON, URLs, HTML, a shell, and in a `repr`.

    For most secrets that is one form: only quotes, slashes, spaces and the like are escaped.
    """
    bare = value.strip()  # a value read from a file often ends in an unused line break
    if PLAIN.fullmatch(bare):
        return {value, bare} if len(bare) >= SHORTEST else {value}
    # Imported with the first secret that needs escaping: it takes 5 ms.
    import html
    from urllib.parse import quote, quote_plus

    raw = value.encode("utf-8", "surrogatepass")
    once = set(_escape(value)) | {repr(raw)[2:-1], repr(raw + b"'\"")[2:-4]}
    twice = {form for one in once for form in _escape(one)}
    addresses = {quote(raw), quote(raw, safe=""), quote_plus(raw), quote_plus(raw, safe="/")}
    others = {bare, html.escape(value), value.replace("'", "'\"'\"'")}
    return {form for form in {value, *once, *twice, *addresses, *others} if len(form) >= SHORTEST}


def _escape(text: str) -> Iterator[str]:
    import json  # as above

    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield repr(text)[1:-1]
    yield ascii(text)[1:-1]
    yield repr(f"{text}'\"")[1:-4]  # as inside of a text with both kinds of quotes


def size() -> int:
    """Return how many values are registered; the number only grows."""
    return len(_values)


def list_registered() -> frozenset[str]:
    """Return what is registered, in each form, for a process that must mask it too."""
    with _lock:
        return frozenset(_values)


def redact(text: str) -> str:
    """Return the text with every registered secret replaced by asterisks."""
    if _stale:
        _compile()
    long = _long
    if long is not None and len(text) > HEAD:
        text = long.mask(text)
    return text if _pattern is None else _pattern.sub(MASK, text)


def _compile() -> None:
    # Once for many secrets: once for each would make loading a thousand blocks slow.
    global _pattern, _long, _stale
    with _lock:
        longest_first = sorted(_values, key=len, reverse=True)
        long = [value for value in longest_first if len(value) > HEAD]
        short = longest_first[len(long) :]
        _long = _LongValues(long) if long else None
        _pattern = re.compile(_match_any(short, BRANCHING)) if short else None
        _stale = False


def _match_any(values: Iterable[str], branching: int) -> str:
    """Return a pattern for any of these values; the first match is used.

    A pattern that tries a thousand values at each character of a line costs 200 us a line. Values
    with the same beginning are grouped behind it, so that most are ruled out by one comparison.
    """
    if not branching:
        return "|".join(map(re.escape, values))
    alike: dict[str, list[str]] = {}
    for value in values:
        alike.setdefault(value[:1], []).append(value[1:])
    return "|".join(
        f"{re.escape(first)}(?:{_match_any(rests, branching - 1)})"
        if len(rests) > 1
        else re.escape(first + rests[0])
        for first, rests in alike.items()
    )
