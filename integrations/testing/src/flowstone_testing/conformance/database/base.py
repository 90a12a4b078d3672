"""Shared by the tests of databases: fixtures, and attributes that a test class sets."""

from __future__ import annotations

import threading
from contextlib import closing
from datetime import date, datetime
from decimal import Decimal
from time import monotonic
from typing import TYPE_CHECKING, ClassVar

import pytest

from flowstone.blocks import Database
from flowstone.blocks.databases import AwareDatetime
from flowstone.context.current import use_services
from flowstone.testing.memory import memory_services
from flowstone_testing.conformance.suite import Suite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from flowstone.context.current import Services

#: A statement that runs for hours, in databases with recursive queries.
ENDLESS = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000000000) "
    "SELECT count(*) FROM n"
)
#: A query for ``:count`` rows of one number each, in databases with recursive queries.
SERIES = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count) "
    "SELECT i FROM n"
)


class DatabaseBase(Suite):
    """Fixtures and attributes.

    Attributes:
        keeps: the types of values that are read back unchanged, besides None, int, float, str
            and bytes; of `bool`, `Decimal`, `date`, `datetime`, `AwareDatetime` (a datetime
            with a time zone), `list` and `dict`.
        endless: a query that runs for minutes.
        series: a query for the numbers from 1 to ``:count``, one per row.
        constraints: whether a primary key is enforced.
        transactions: whether changes can be rolled back; if not, a transaction is refused.
        savepoints: whether a nested transaction can be rolled back alone; if not, it is refused.
        cancels: whether a running query can be stopped; if not, `cancel` is refused.
        odd_names: whether a name in double quotes may contain any character.
        standard_quotes: whether a quote in text is doubled, and names are in double quotes.
        persists: whether a second block with the same fields sees the same database.
        streams: whether `stream` holds only a batch of the rows in memory.
        count: number of rows that are streamed.
        most_bytes: maximum memory while they are streamed.
        patience: seconds after which a test fails if it waits for what should take an instant.
    """

    kind = "block"
    interface = Database
    keeps: ClassVar[frozenset[type]] = frozenset({bool, Decimal, date, datetime, AwareDatetime})
    endless: ClassVar[str] = ENDLESS
    series: ClassVar[str] = SERIES
    constraints: ClassVar[bool] = True
    transactions: ClassVar[bool] = True
    savepoints: ClassVar[bool] = True
    cancels: ClassVar[bool] = True
    odd_names: ClassVar[bool] = True
    standard_quotes: ClassVar[bool] = True
    persists: ClassVar[bool] = True
    streams: ClassVar[bool] = True
    count: ClassVar[int] = 1_000_000
    most_bytes: ClassVar[int] = 24 * 1024 * 1024
    patience: ClassVar[float] = 20.0

    @pytest.fixture
    def database(self) -> Database:
        """A database, empty and new for each test; closed after it."""
        raise NotImplementedError("give the suite a fixture `database`")

    @pytest.fixture(autouse=True)
    def services(self, tmp_path: Path) -> Iterator[Services]:
        current = memory_services(tmp_path / "flowstone-home")
        with use_services(current), closing(current):
            yield current

    @pytest.fixture
    def items(self, database: Database) -> Database:
        """The database with an empty table ``items(id, name)``; the id is the primary key."""
        database.execute("CREATE TABLE items (id INTEGER PRIMARY KEY, name VARCHAR(4000))")
        return database


def names(database: Database) -> list[object]:
    """Return the names of the items, ordered by id."""
    return [name for (name,) in database.fetch_all("SELECT name FROM items ORDER BY id")]


def until(true: Callable[[], object], what: str, patience: float) -> None:
    """Poll until a condition is true; fail if it takes too long.

    Args:
        true: the condition.
        what: its description.
        patience: the timeout, in seconds.
    """
    end = monotonic() + patience
    pause = threading.Event()
    while not true():
        if monotonic() > end:
            pytest.fail(f"timed out after {patience:g} s: {what}")
        pause.wait(0.005)


class Aside:
    """Work in a separate thread, and its outcome."""

    def __init__(self, work: Callable[[], object]) -> None:
        self.value: object = None
        self.error: BaseException | None = None
        self._work = work
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.value = self._work()
        except BaseException as error:  # noqa: BLE001 - the test checks it
            self.error = error

    def join(self, patience: float) -> Aside:
        """Wait until it ends; fail on timeout."""
        self.thread.join(patience)
        assert not self.thread.is_alive(), f"it still runs after {patience:g} s"
        return self

    def check(self) -> None:
        """Raise the error that it raised, if any."""
        if self.error is not None:
            raise self.error
