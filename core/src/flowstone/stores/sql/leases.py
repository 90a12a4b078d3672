"""The leases of runs and slots: a heartbeat reads all of them, and writes those that are due."""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING

from flowstone.records.encoding import dumps
from flowstone.records.runs import HeartbeatReply
from flowstone.stores import rules
from flowstone.stores.sql.run_table import RUNS
from flowstone.stores.sql.statements import RENEW_RUN, LeaseStatements

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from flowstone.records.runs import Fence, Run
    from flowstone.stores.sql.database import SqlConnection, SqlDatabase
    from flowstone.stores.sql.run_table import Row

_RENEW_SLOTS = "UPDATE slots SET until = ? WHERE token = ?"


class SqlLeases:
    """A `LeaseStore` in a database."""

    def __init__(self, database: SqlDatabase, now: Callable[[], float] = time) -> None:
        self._database = database
        self._now = now
        self._lease_statements = LeaseStatements(database.dialect)

    def heartbeat(
        self, fences: Sequence[Fence], seconds: float, slots: Mapping[str, float] | None = None
    ) -> HeartbeatReply:
        slots = slots or {}
        # Most heartbeats only read, so they don't wait for writers.
        held, ends = self._database.read(lambda connection: self._look(connection, fences, slots))
        self._renew(fences, seconds, slots, held, ends)
        moved = [
            fence.root_id
            for fence in fences
            if fence.root_id in held and held[fence.root_id][:2] != (fence.version, fence.token)
        ]
        lost = [token for token in slots if token not in ends]
        return HeartbeatReply(self._find(moved) if moved else [], lost)

    def _look(
        self, connection: SqlConnection, fences: Sequence[Fence], slots: Mapping[str, float]
    ) -> tuple[dict[str, Row], dict[str, float]]:
        """Return the runs, and the ends of the leases of slots."""
        held: dict[str, Row] = {}
        ends: dict[str, float] = {}
        if fences:
            ids = (dumps([fence.root_id for fence in fences]),)
            rows = connection.execute(self._lease_statements.runs, ids).fetchall()
            held = {row[0]: row[1:] for row in rows}
        if slots:
            tokens = (dumps(list(slots)),)
            ends.update(connection.execute(self._lease_statements.slots, tokens).fetchall())
        return held, ends

    def _renew(
        self,
        fences: Sequence[Fence],
        seconds: float,
        slots: Mapping[str, float],
        held: Mapping[str, Row],
        ends: Mapping[str, float],
    ) -> None:
        def work(connection: SqlConnection) -> None:
            now = self._now()
            of_runs = [(now + seconds, fence.root_id, fence.token) for fence in due_runs]
            connection.executemany(RENEW_RUN, of_runs)
            connection.executemany(_RENEW_SLOTS, [(now + slots[each], each) for each in due_slots])

        now = self._now()
        due_runs = [
            fence
            for fence in fences
            if (lease := held.get(fence.root_id)) is not None
            and lease[1] == fence.token
            and not lease[3]
            and rules.is_due(lease[2], now, seconds)
        ]
        due_slots = [token for token, end in ends.items() if rules.is_due(end, now, slots[token])]
        if due_runs or due_slots:
            self._database.write(work)

    def _find(self, run_ids: Sequence[str]) -> list[Run]:
        """Return runs in the order of their ids in the argument."""
        values = (dumps(list(run_ids)),)
        rows = self._database.read(
            lambda connection: connection.execute(self._lease_statements.moved, values).fetchall()
        )
        found = {run.id: run for run in map(RUNS.read_run, rows)}
        return [found[run_id] for run_id in run_ids if run_id in found]
