"""A document: something saved by kind and name, with a version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Document:
    """Something saved by name: a block, a variable, later a deployment, a limit.

    Attributes:
        kind: what it is; ``block:aws-credentials``, ``variable``.
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
