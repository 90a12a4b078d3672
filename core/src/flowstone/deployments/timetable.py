"""The next due times of a process's deployments, so that a poll only costs what is due."""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import islice
from typing import TYPE_CHECKING

from flowstone.context.current import services
from flowstone.deployments.changes import read_changes
from flowstone.deployments.ticks import make_due_runs
from flowstone.logging.run_logger import get_logger
from flowstone.records.deployments import KIND, read_deployment

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from flowstone.records.deployments import Deployment

#: Number of deployments read again at each poll, in turn: a process may have died after a change
#: and before announcing it.
_TURN = 20
#: Number of deployments read at once.
_PAGE = 1000


class Timetable:
    """Creates the runs of deployments when they are due.

    Deployments are cached in memory, and read again when a change of them is announced.

    Args:
        names: their full names.
    """

    def __init__(self, names: Collection[str]) -> None:
        self._left = list(names)  # those that have not been read yet
        self._number: int | None = None  # of the changes that are known here
        self._known: dict[str, Deployment] = {}
        self._versions: dict[str, int] = {}  # of their documents
        self._times: dict[str, float] = {}  # by name, when it is processed next
        self._queue: list[tuple[float, str]] = []  # these times, and some outdated ones
        self._turns: Iterator[str] = iter(())

    @property
    def deployments(self) -> Mapping[str, Deployment]:
        """The deployments by their full names, as of the last poll; without deleted ones."""
        return self._known

    def tick(self, now: float) -> float | None:
        """Create the runs that are due, and return when the next ones are; None for never."""
        self.refresh(now)
        later: list[tuple[float, str]] = []
        try:
            while (first := self._find_first()) is not None and first[0] <= now:
                _, name = first
                deployment = self._known[name]
                upcoming = None if deployment.is_paused else make_due_runs(deployment, now)
                del self._times[name]
                if upcoming is not None:
                    later.append((upcoming, name))
        finally:
            for upcoming, name in later:  # the rest of a long outage is processed at the next poll
                self._plan(name, upcoming)
        first = self._find_first()
        return None if first is None else first[0]

    def _plan(self, name: str, at: float) -> None:
        self._times[name] = at
        heappush(self._queue, (at, name))

    def _find_first(self) -> tuple[float, str] | None:
        """Return the first time that is not outdated, and remove those before it."""
        while self._queue:
            at, name = self._queue[0]
            if self._times.get(name) == at:
                return at, name
            heappop(self._queue)
        return None

    def refresh(self, now: float) -> None:
        """Read what has changed, and a few others, without creating runs."""
        changes = read_changes()  # first: later changes are then read the next time
        changed = None if self._number is None else changes.find_since(self._number)
        if changed is None:
            self._read({**dict.fromkeys(self._left), **self._known}, now)
            self._left = []
        else:
            self._read(changed & self._known.keys(), now)
            self._read(self._take_turns(), now, is_noted=False)
        self._number = changes.number

    def _take_turns(self) -> list[str]:
        turn = [name for name in islice(self._turns, _TURN) if name in self._known]
        if not turn:
            self._turns = iter(list(self._known))
        return turn

    def _read(self, names: Iterable[str], now: float, *, is_noted: bool = True) -> None:
        """Read deployments, and process those that have changed at once.

        Args:
            names: their full names.
            now: the time.
            is_noted: whether to process them even if their documents are the same: the progress of
                their schedules may have changed.
        """
        left = iter(list(names))
        while page := list(islice(left, _PAGE)):
            found = {each.name: each for each in services().documents.find(KIND, names=page)}
            for name in page:
                if name not in found:
                    self._drop(name)
                    continue
                version = found[name].version
                if is_noted or self._versions[name] != version:
                    self._known[name] = read_deployment(found[name])
                    self._versions[name] = version
                    self._plan(name, now)

    def _drop(self, name: str) -> None:
        get_logger("deployments").warning("%s has been deleted, and is no longer served", name)
        for each in (self._known, self._versions, self._times):
            each.pop(name, None)
