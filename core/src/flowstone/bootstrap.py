"""The composition root: settings become services. The only module that names concrete stores."""

from __future__ import annotations

import atexit
import logging
import threading
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from flowstone.concurrency.queue import ProcessSlotQueue
from flowstone.context.current import Services
from flowstone.engine.clock import SystemClock
from flowstone.engine.journal import WriteBehind
from flowstone.errors import ConfigurationError, StoreError, StoreUnusable
from flowstone.logging import run_logger
from flowstone.observers.audience import ObserverGroup, open_chosen_feeds
from flowstone.observers.observed_runs import ObservedRuns
from flowstone.records.record import evolve
from flowstone.secrets.resolver import Resolver
from flowstone.secrets.vault import Vault
from flowstone.settings import Settings, find_misspelt, read_settings, wants_color

if TYPE_CHECKING:
    from pathlib import Path

    from flowstone.ports import DocumentStore, RunStore, StoreUpkeep
    from flowstone.ports.slots import SlotStore

    class Store(RunStore, DocumentStore, SlotStore, Protocol):
        """A store for everything."""

        def holder(self) -> str:
            """Return the name of this process, for its leases."""


logger = logging.getLogger("flowstone.settings")
_store_logger = logging.getLogger("flowstone.store")


def open_services(settings: Settings | None = None, store: Store | None = None) -> Services:
    """Open the services that the settings describe.

    Args:
        settings: the settings; None to read them from the environment.
        store: a store of another process, to be used instead of the one in the settings.

    Raises:
        ConfigurationError: a setting is not valid.
        UnknownName: no installed package has an observer of that name.
        StoreError: the store can't be opened.
    """
    settings = settings or read_settings()
    for wrong, right in find_misspelt().items():
        logger.warning("%s is not a setting; did you mean %s?", wrong, right)
    run_logger.configure(
        settings.logging_level,
        settings.extra_loggers,
        as_json=settings.logging_format == "json",
        colors=settings.logging_colors and wants_color(),
    )
    clock = SystemClock()
    audience = ObserverGroup(open_chosen_feeds(settings))
    kept_here = store is None
    store = store or _open_store(settings)
    runs = ObservedRuns(store, audience)
    if kept_here:
        _reap(runs)
    queue = ProcessSlotQueue(store, store, clock, store.holder, settings.lease_seconds)
    made = Services(
        settings=settings,
        runs=runs,
        documents=store,
        sealer=Vault(settings),
        references=Resolver(clock, settings.secrets_ttl_seconds),
        clock=clock,
        journal=WriteBehind(runs, clock, settings.lease_seconds, slots=queue.leases),
        holder=store.holder,
        slots=store,
        slot_queue=queue,
        observers=audience,
    )
    if settings.keep_runs_days is None:
        return made
    return evolve(made, background=(_Retention(made),))


def _reap(runs: RunStore) -> None:
    try:
        runs.reap()
    except StoreUnusable as error:
        text = "%s It is opened read-only: runs whose processes have died may be shown as running."
        _store_logger.warning(text, error)


class _Retention:
    """Deletes old runs, at most once an hour, in a thread that no run waits for."""

    def __init__(self, services: Services) -> None:
        self._stopped = threading.Event()
        self._thread = threading.Thread(
            target=self._apply, args=(services,), name="flowstone-retention", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _apply(self, services: Services) -> None:
        # Named, not imported, as it belongs to a higher layer.
        apply = import_module("flowstone.flow_runs.retention").apply_retention
        apply(services, self._stopped.is_set)


def open_default_services() -> Services:
    """Open the services that the environment describes, until the process exits."""
    services = open_services()
    atexit.register(_close_at_exit, services)
    return services


def _close_at_exit(services: Services) -> None:
    """Close the services of a process, and log the number of events that could not be written.

    The error itself was raised to the caller of the flow.
    """
    try:
        services.close()
        return
    except StoreError as error:
        problem = error.problem if isinstance(error, StoreUnusable) else str(error)
    lost = services.journal.count_unwritten()
    events = "event" if lost == 1 else "events"
    _store_logger.error("%d %s of runs could not be written: %s", lost, events, problem)


def open_upkeep(settings: Settings | None = None) -> StoreUpkeep:
    """Open the store's file for maintenance; without settings, that of the environment.

    Raises:
        ConfigurationError: the store is not a file.
        StoreError: it can't be opened.
    """
    settings = settings or read_settings()
    if settings.store != "sqlite":
        problem = f"the store is {settings.store!r}: it is not a file, and is lost at exit"
        raise ConfigurationError("FLOWSTONE_STORE", problem, "Unset it.")
    # Imported only when needed: SQLite takes 10 ms to load.
    from flowstone.stores.sqlite.upkeep import SqliteUpkeep

    return SqliteUpkeep(find_store_file(settings))


def find_store_file(settings: Settings) -> Path:
    """Return the path of the store's file, which may not exist yet."""
    return settings.home / "flowstone.db"


def _open_store(settings: Settings) -> Store:
    if settings.store == "memory":
        from flowstone.stores.memory import MemoryStore  # imported only when needed

        return MemoryStore()
    # Imported only when needed: SQLite takes 10 ms to load.
    from flowstone.stores.sqlite import open_sqlite

    return open_sqlite(find_store_file(settings))
