"""The composition root: settings become services. The only file that names concrete stores."""

from __future__ import annotations

import atexit
import os
from typing import TYPE_CHECKING

from flowstone import logging
from flowstone.ambient import Services
from flowstone.blocks.vault import Vault
from flowstone.engine.clock import SystemClock
from flowstone.engine.journal import WriteBehind
from flowstone.observers.audience import Audience, chosen
from flowstone.observers.store import ObservedRuns
from flowstone.settings import Settings, read_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowstone.ports import DocumentStore, RunStore


def open_services(settings: Settings | None = None) -> Services:
    """Open what the settings say; without any, what the environment says.

    Raises:
        ConfigurationError: a setting can't be used.
        UnknownName: no installed package brings an observer of that name.
        StoreError: the store can't be opened.
    """
    settings = settings or read_settings()
    logging.configure(settings.logging_level, settings.extra_loggers)
    clock = SystemClock()
    audience = Audience(chosen(settings))
    kept, documents, holder = _stores(settings)
    runs = ObservedRuns(kept, audience)
    runs.reap(clock.time())
    journal = WriteBehind(runs, clock, settings.lease_seconds)
    vault = Vault(settings)
    return Services(settings, runs, documents, vault, clock, journal, holder, audience)


def default_services() -> Services:
    """Open what the environment says, until the process ends."""
    services = open_services()
    atexit.register(services.close)
    return services


def _stores(settings: Settings) -> tuple[RunStore, DocumentStore, Callable[[], str]]:
    if settings.store == "memory":
        from flowstone.stores.memory import MemoryStore  # noqa: PLC0415 - only where it is used

        memory = MemoryStore()
        return memory, memory, lambda: f"memory/{os.getpid()}"
    # Only where it is used: SQLite takes 10 ms to load.
    from flowstone.stores.sqlite import open_sqlite  # noqa: PLC0415

    store = open_sqlite(settings.home / "flowstone.db")
    return store, store, store.holder
