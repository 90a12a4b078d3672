"""Slots under limits: one table of leases, which are counted in the transaction that takes one."""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING, NamedTuple

from flowstone.records.encoding import dumps, loads
from flowstone.records.limits import KIND, Limit, Refusal, Slot, add_unsaved, count_used_slots
from flowstone.stores import slot_rules
from flowstone.stores.sql.rows import make_storable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from flowstone.records.limits import Claim
    from flowstone.stores.sql.database import Liveness, SqlConnection, SqlDatabase
    from flowstone.stores.sql.dialect import Dialect
    from flowstone.stores.sql.run_table import Row

_COLUMNS = "limit_name, token, occupy, holder, owner, run_id, since, until, is_rate"
# ruff: noqa: S608 - what is put together here are constants of this file, and of the dialect
_MINE = "SELECT limit_name FROM slots WHERE token = ? ORDER BY limit_name"
_ALL = f"SELECT {_COLUMNS} FROM slots"
_TAKE = f"INSERT INTO slots ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
#: Deletes a lease only if it has not been renewed since it was read.
_BURY = "DELETE FROM slots WHERE limit_name = ? AND token = ? AND until = ?"
_WISH = (
    "INSERT INTO wishes (limit_name, holder, since, until) VALUES (?, ?, ?, ?) "
    "ON CONFLICT (limit_name, holder) DO UPDATE SET since = excluded.since, until = excluded.until"
)
_FULFIL = "DELETE FROM wishes WHERE limit_name = ? AND (holder = ? OR until < ?)"


class _Statements(NamedTuple):
    """Statements with a JSON array of limits or tokens as the parameter.

    Attributes:
        decay: frees the slots of rate limits, whichever process took them.
    """

    limits: str
    under: str
    decay: str
    give_back: str
    wishes: str


def _make_statements(dialect: Dialect) -> _Statements:
    named = f"IN ({dialect.select_texts()})"
    return _Statements(
        f"SELECT name, body FROM documents WHERE kind = ? AND name {named} ORDER BY name",
        f"SELECT {_COLUMNS} FROM slots WHERE limit_name {named}",
        f"DELETE FROM slots WHERE is_rate = 1 AND until <= ? AND limit_name {named}",
        f"DELETE FROM slots WHERE token {named}",
        f"SELECT limit_name, holder, since, until FROM wishes WHERE limit_name {named}",
    )


class SqlSlots:
    """The slots of a `SlotStore` in a database; `SqlLeases` renews their leases."""

    def __init__(
        self, database: SqlDatabase, liveness: Liveness, now: Callable[[], float] = time
    ) -> None:
        self._database = database
        self._liveness = liveness
        self._now = now
        self._slot_statements = _make_statements(database.dialect)

    def take_slots(self, claim: Claim) -> tuple[str, ...] | Refusal:
        def work(connection: SqlConnection) -> tuple[str, ...] | Refusal:
            return _take(connection, self._slot_statements, claim, self._now())

        # Dead holders are searched only if they block a claim, as that accesses files.
        found = self._database.write(work)
        if isinstance(found, Refusal) and self.reap_slots():
            found = self._database.write(work)
        return found

    def give_back_slots(self, tokens: Sequence[str]) -> None:
        values = (dumps(list(tokens)),)
        self._database.write(
            lambda connection: connection.execute(self._slot_statements.give_back, values)
        )

    def list_slots(
        self,
        names: Collection[str] | None = None,
        *,
        after: Slot | None = None,
        limit: int | None = None,
    ) -> list[Slot]:
        alive = (slot for slot, is_dead in self._read_slots(names) if not is_dead)
        return slot_rules.choose_page(alive, names, after, limit)

    def count_slots(self, names: Sequence[str]) -> dict[str, float]:
        limits = self._database.read(
            lambda connection: _limits(connection, self._slot_statements, names)
        )
        return count_used_slots(limits, self.list_slots(names), self._now())

    def reap_slots(self) -> list[Slot]:
        dead = [slot for slot, is_dead in self._read_slots() if is_dead]
        if not dead:
            return []

        def work(connection: SqlConnection) -> list[Slot]:
            return [
                slot
                for slot in dead
                if connection.execute(_BURY, (slot.limit, slot.token, slot.until)).rowcount
            ]

        return self._database.write(work)

    def _read_slots(self, names: Collection[str] | None = None) -> list[tuple[Slot, bool]]:
        """Return all leases, or those under some limits, each with whether it is dead."""
        now = self._now()
        under = self._slot_statements.under
        query = (_ALL,) if names is None else (under, (dumps(list(names)),))
        rows = self._database.read(lambda connection: connection.execute(*query).fetchall())
        found = [_make_slot(row) for row in rows]
        alive = {
            holder: self._liveness.is_alive(holder) for holder in {slot.holder for slot in found}
        }
        return [(slot, slot_rules.is_dead(slot, now, alive[slot.holder])) for slot in found]


def _take(
    connection: SqlConnection, statements: _Statements, claim: Claim, now: float
) -> tuple[str, ...] | Refusal:
    mine = connection.execute(_MINE, (claim.token,)).fetchall()
    if mine:
        return tuple(row[0] for row in mine)
    limits = [limit for limit in _limits(connection, statements, claim.names) if limit.active]
    if not limits:
        return ()
    names = (dumps([limit.name for limit in limits]),)
    connection.execute(statements.decay, (now, *names))
    held = [_make_slot(row) for row in connection.execute(statements.under, names)]
    wishes = [slot_rules.Waiter(*row) for row in connection.execute(statements.wishes, names)]
    refused = slot_rules.find_refusal(limits, held, wishes, claim, now)
    if refused is not None:
        rows = [
            slot_rules.make_waiter(limit.name, claim.holder, claim.waited, now) for limit in limits
        ]
        connection.executemany(_WISH, rows)
        return refused
    for limit in limits:
        slot = slot_rules.grant(limit, held, claim, now)
        connection.execute(_TAKE, _make_row(slot))
    if wishes:
        connection.executemany(_FULFIL, [(limit.name, claim.holder, now) for limit in limits])
    return tuple(limit.name for limit in limits)


def _limits(
    connection: SqlConnection, statements: _Statements, names: Sequence[str]
) -> list[Limit]:
    rows = connection.execute(statements.limits, (KIND, dumps(list(names)))).fetchall()
    return add_unsaved([Limit(name, **loads(body)) for name, body in rows], names)


def _make_slot(row: Row) -> Slot:
    name, token, occupy, holder, owner, run_id, since, until, is_rate = row
    return Slot(name, token, occupy, holder, owner, run_id, since, until, bool(is_rate))


def _make_row(slot: Slot) -> Row:
    *facts, is_rate = slot
    # A run's name may contain a lone surrogate, which databases can't store.
    return make_storable([(*facts, int(is_rate))])[0]
