"""The observers of a process: those of the settings and those added by the program."""

from __future__ import annotations

import logging
from contextlib import contextmanager, suppress
from functools import partial
from importlib import import_module
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

from flowstone.context import current
from flowstone.errors import PluginBroken, StoreError
from flowstone.observers.feed import LIMIT, Feed
from flowstone.records.encoding import strip_event

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from flowstone.plugins import Offer
    from flowstone.ports import Observer
    from flowstone.records.events import Event
    from flowstone.settings import Settings

#: Maximum number of seconds for all observers together to finish.
GRACE = 5.0

logger = logging.getLogger("flowstone.observers")
Watcher = TypeVar("Watcher", bound="Observer")


@contextmanager
def observing(observer: Watcher) -> Iterator[Watcher]:
    """Notify an observer of what this process writes inside the block.

    At the end of the block, the observer receives the rest and is closed, which takes a few seconds
    at most.
    """
    services = current.services()
    services.observers.join(observer)
    try:
        yield observer
    finally:
        with suppress(StoreError):  # the caller of the run gets this error
            services.journal.flush()
        services.observers.leave(observer)


class ObserverGroup:
    """The observers of one process.

    Attributes:
        feeds: one for each observer.
    """

    def __init__(
        self, feeds: Iterable[Feed] = (), *, limit: int = LIMIT, grace: float = GRACE
    ) -> None:
        self.feeds = tuple(feeds)
        self._limit, self._grace = limit, grace
        self._joined: dict[int, Feed] = {}
        self._lock = Lock()

    def join(self, observer: Observer) -> None:
        kind = type(observer)
        feed = Feed(kind.__name__, kind.__module__, lambda: observer, self._limit)
        feed.start()
        with self._lock:
            self._joined[id(observer)] = feed
            self.feeds = (*self.feeds, feed)

    def leave(self, observer: Observer) -> None:
        with self._lock:
            feed = self._joined.pop(id(observer), None)
            self.feeds = tuple(other for other in self.feeds if other is not feed)
        if feed is not None:
            feed.close(self._grace)

    def tell(self, events: Sequence[Event]) -> None:
        """Notify all; an error in this must not affect the run."""
        try:
            told = [strip_event(event) for event in events]
            for feed in self.feeds:
                feed.tell(told)
        except Exception:
            logger.exception("%d facts could not be sent to observers", len(events))

    def close(self) -> None:
        with self._lock:
            feeds, self.feeds = self.feeds, ()
            self._joined.clear()
        end = monotonic() + self._grace
        for feed in feeds:
            feed.finish()
        for feed in feeds:
            feed.close(max(0.0, end - monotonic()))


def open_chosen_feeds(settings: Settings) -> Iterator[Feed]:
    """Return the feeds of the observers that the settings name, without loading the observers.

    Raises:
        UnknownName: no installed package has an observer of that name.
    """
    if not settings.observers:
        return
    # Most SDKs use it, and an observer may only be imported when a short program is already
    # exiting: Python does not allow its first import then.
    import_module("concurrent.futures.thread")

    # Finding plugins takes 20 ms; only needed if there are observers.
    from flowstone.plugins import get_host

    for name in dict.fromkeys(settings.observers):
        try:
            offer = get_host().offer("observer", name)
        except PluginBroken as error:
            logger.warning("observer %r receives no facts: %s", name, error)
            continue
        package = f"{offer.plugin.distribution} {offer.plugin.version}"
        yield Feed(name, package, partial(_make_observer, offer, settings))


def _make_observer(offer: Offer, settings: Settings) -> Observer:
    from flowstone.plugins import get_host  # see above

    observer: Observer = get_host().load("observer", offer.name)(settings)
    return observer
