"""What is current here: the services of the process, and the run that the code is in."""

from __future__ import annotations

import pkgutil
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from threading import RLock
from typing import TYPE_CHECKING

from flowstone.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flowstone.ports import Clock, DocumentStore, RunStore, Secrets
    from flowstone.runs import Run


@dataclass(frozen=True, slots=True)
class Services:
    """The ports of this process, each filled; made by `flowstone.wiring`, or by a test."""

    settings: Settings
    runs: RunStore
    documents: DocumentStore
    secrets: Secrets
    clock: Clock

    def close(self) -> None:
        self.runs.close()
        self.documents.close()


_lock = RLock()
_stack: list[Services] = []


def services() -> Services:
    """Return the current services; the first call opens the default ones."""
    if _stack:
        return _stack[-1]
    with _lock:
        if not _stack:
            # The composition root is above this floor; it is named, as plugins are, not imported.
            _stack.append(pkgutil.resolve_name("flowstone.wiring:open_services")())
        return _stack[-1]


@contextmanager
def using(current: Services) -> Iterator[Services]:
    """Make other services the current ones of this process, for a while; they may nest."""
    _stack.append(current)
    try:
        yield current
    finally:
        _stack.remove(current)


@dataclass(slots=True)
class Scope:
    """The run that the code is in."""

    run: Run
    children: dict[str, int] = field(default_factory=dict)


scope: ContextVar[Scope | None] = ContextVar("flowstone.scope", default=None)
tags: ContextVar[frozenset[str]] = ContextVar("flowstone.tags", default=frozenset())
