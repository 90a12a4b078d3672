"""A document: something saved by kind and name, with a version; and what it refers to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Document:
    """Something saved by name: a block, a variable, later a deployment, a limit.

    Attributes:
        kind: what it is; ``block:local-directory``, ``variable``.
        name: unique within the kind.
        body: JSON values only; whatever is secret in it is sealed.
        version: 1 when it is first saved, one more with each save.
        created, updated: seconds since the epoch.
    """

    kind: str
    name: str
    body: Mapping[str, Any]
    version: int
    created: float
    updated: float


def find_references(body: object) -> Iterator[str]:
    """Yield the blocks that a block's body refers to, as ``type/name``."""
    if isinstance(body, Mapping):
        if isinstance(body.get("$block"), str):
            yield body["$block"]
        # Somebody's own keys, whatever they are called, stand under "$dict".
        own = body.get("$dict")
        for item in (own if isinstance(own, Mapping) else body).values():
            yield from find_references(item)
    elif isinstance(body, list):
        for item in body:
            yield from find_references(item)
