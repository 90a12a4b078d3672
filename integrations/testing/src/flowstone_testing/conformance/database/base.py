"""What the tests of databases share: fixtures, and what an implementation may switch."""

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

#: A statement that runs for hours, in databases that know recursion.
ENDLESS = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000000000) "
    "SELECT count(*) FROM n"
)
#: So many rows of one number each, in databases that know recursion.
SERIES = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count) "
    "SELECT i FROM n"
)


class DatabaseBase(Suite):
    """Fixtures and switches.

    Attributes:
        keeps: the types of values that come back as they went in, besides None, int, float, str
            and bytes; of `bool`, `Decimal`, `date`, `datetime`, `AwareDatetime` (a
            datetime with a zone), `list` and `dict`.
        endless: a query that would run for minutes.
        series: a query for the numbers from 1 to ``:count``, one in a row.
        constraints: whether a primary key is enforced.
        transactions: whether what is done can be taken back; where not, a transaction is refused.
        savepoints: whether a transaction inside another can be taken back alone; where not, it
            is refused.
        cancels: whether a query that runs can be stopped; where not, `cancel` is refused.
        odd_names: whether a name may have anything in it, in double quotes.
        standard_quotes: whether a quote within text is doubled, and names stand in double quotes.
        persists: whether a second block with the same fields sees the same database.
        streams: whether `stream` holds only a batch of the rows in memory.
        count: how many rows are streamed.
        most_bytes: what may be in memory meanwhile.
        patience: so many seconds a test waits for what should take an instant, before it fails.
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
        """A database that is empty and fresh; closed after the test."""
        raise NotImplementedError("give the suite a fixture `database`")

    @pytest.fixture(autouse=True)
    def services(self, tmp_path: Path) -> Iterator[Services]:
        current = memory_services(tmp_path / "flowstone-home")
        with use_services(current), closing(current):
            yield current

    @pytest.fixture
    def items(self, database: Database) -> Database:
        """The database with an empty table: ``items(id, name)``, the id its key."""
        database.execute("CREATE TABLE items (id INTEGER PRIMARY KEY, name VARCHAR(4000))")
        return database


def names(database: Database) -> list[object]:
    """Return the names of the items, by their ids."""
    return [name for (name,) in database.fetch_all("SELECT name FROM items ORDER BY id")]


def until(true: Callable[[], object], what: str, patience: float) -> None:
    """Look again until something is true; fail where it takes too long."""
    end = monotonic() + patience
    pause = threading.Event()
    while not true():
        if monotonic() > end:
            pytest.fail(f"timed out after {patience:g} s: {what}")
        pause.wait(0.005)


class Aside:
    """Work on a thread of its own, and what became of it."""

    def __init__(self, work: Callable[[], object]) -> None:
        self.value: object = None
        self.error: BaseException | None = None
        self._work = work
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.value = self._work()
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            self.error = error

    def join(self, patience: float) -> Aside:
        """Wait for its end; fail where it does not come."""
        self.thread.join(patience)
        assert not self.thread.is_alive(), f"it still runs after {patience:g} s"
        return self

    def check(self) -> None:
        """Raise what it raised."""
        if self.error is not None:
            raise self.error
