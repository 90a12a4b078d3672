"""Tags for every run that starts inside a `with` block."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from flowstone.context import current

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def tags(*new_tags: str) -> Iterator[frozenset[str]]:
    """Add these tags to each run that starts inside; blocks may be nested, and add up."""
    around = current.tags.get()
    token = current.tags.set(around | frozenset(new_tags))
    try:
        yield around | frozenset(new_tags)
    finally:
        current.tags.reset(token)
