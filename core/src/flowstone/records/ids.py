"""Ids that sort by time of creation: UUID version 7, as text."""

from __future__ import annotations

import os
from itertools import count
from time import time_ns

_DIGITS = "0123456789abcdef"
#: Two and three hexadecimal digits, by their value: a lookup takes a third of the time of
#: formatting.
_PAIRS = [first + rest for first in _DIGITS for rest in _DIGITS]
_TRIPLES = [first + rest for first in _DIGITS for rest in _PAIRS]

_sequence = count()
_now = (0, "")  # the millisecond of the last id, and the start of its ids
_tail = ""  # "-xxxx-xxxxxxx": variant and random bits, without the last five digits


def _reseed() -> None:
    global _tail
    # os.urandom, because the standard library's `secrets` takes 8 ms to import.
    bits = int.from_bytes(os.urandom(8)) >> 2 | (0b10 << 62)
    text = f"{bits:016x}"
    _tail = f"-{text[:4]}-{text[4:11]}"


_reseed()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reseed)


def new_id() -> str:
    """Return a new id, such as ``019a8f3e-5b7c-7000-9d2e-6f1a2b3c4d5e``.

    The time has a resolution of 1/4096 ms (its low bits are in the 12 bits after the version);
    the last 62 bits are random for the process, with a counter in the low 20 of them, so that ids
    created in one process are unique and nearly always in order.
    """
    global _now
    millisecond, rest = divmod(time_ns(), 1_000_000)
    now, head = _now
    if millisecond != now:
        head = f"{millisecond >> 16:08x}-{millisecond & 0xFFFF:04x}-7"
        _now = millisecond, head
    number = next(_sequence)
    part = _TRIPLES[rest * 4096 // 1_000_000]
    return f"{head}{part}{_tail}{_TRIPLES[number >> 8 & 0xFFF]}{_PAIRS[number & 0xFF]}"


def read_time(made: str) -> float:
    """Return the time of an id's creation, in seconds since the epoch."""
    return int(made[:8] + made[9:13], 16) / 1000


def derive_id(at: float, *facts: str) -> str:
    """Return an id that is the same in all processes for the same facts.

    Args:
        at: the time by which the id sorts, in seconds since the epoch.
        facts: what distinguishes it from others.
    """
    # Takes 4 ms to import; only schedules need it.
    from hashlib import sha256

    milliseconds = max(0, int(at * 1000))
    digest = sha256("\0".join(facts).encode()).hexdigest()
    variant = f"{int(digest[3], 16) & 0b11 | 0b1000:x}"
    return (
        f"{milliseconds >> 16:08x}-{milliseconds & 0xFFFF:04x}-7{digest[:3]}"
        f"-{variant}{digest[4:7]}-{digest[7:19]}"
    )
