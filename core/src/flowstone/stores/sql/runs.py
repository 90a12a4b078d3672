"""The run store: the current runs, and all their events."""

from __future__ import annotations

from functools import partial
from time import time
from typing import TYPE_CHECKING

from flowstone.errors import RunNotFound
from flowstone.records.encoding import dumps
from flowstone.records.record import evolve
from flowstone.records.runs import StateChange
from flowstone.stores import rules
from flowstone.stores.sql import statements
from flowstone.stores.sql.batch import make_batch
from flowstone.stores.sql.deletion import delete_trees
from flowstone.stores.sql.rows import (
    make_event_row,
    make_storable,
    read_event,
)
from flowstone.stores.sql.run_table import RUNS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from flowstone.records.events import Event
    from flowstone.records.runs import Fence, Run, RunQuery
    from flowstone.stores.sql.batch import Batch
    from flowstone.stores.sql.database import Liveness, SqlConnection, SqlDatabase
    from flowstone.stores.sql.inserts import Insert
    from flowstone.stores.sql.run_table import Row


class SqlRuns:
    """The runs and events of a `RunStore` in a database; `SqlLeases` has the leases."""

    def __init__(
        self, database: SqlDatabase, liveness: Liveness, now: Callable[[], float] = time
    ) -> None:
        self._database = database
        self._liveness = liveness
        self._now = now

    def create(self, event: Event) -> None:
        def work(connection: SqlConnection) -> None:
            if not _is_kept(connection, event):
                if event.run_id != event.root_id:
                    rules.check_root_open(_find(connection, event.root_id))
                # The lease begins now: this may have waited for other writers.
                made = make_batch([rules.start_lease(event, self._now())])
                _keep(connection, event.root_id, made)

        self._database.write(work)

    def record(self, event: Event) -> Run:
        return self._database.write(
            lambda connection: _record(connection, rules.start_lease(event, self._now()))
        )

    def append(self, events: Sequence[Event], fence: Fence) -> None:
        made = make_batch(events)

        def work(connection: SqlConnection) -> None:
            rules.check_batch(_find(connection, fence.root_id), fence, events)
            _keep(connection, fence.root_id, made)

        self._database.write(work)

    def reap(self) -> list[Run]:
        now = self._now()
        leased = self._database.read(lambda connection: _runs(connection, statements.LEASED))
        seen = [(root, self._is_alive(root)) for root in leased]
        buried = [
            self._database.write(partial(_end_lost, seen=root, now=now, known_dead=known is False))
            for root, known in seen
            if known is False or (known is None and rules.is_lapsed(root, now))
        ]
        self._liveness.sweep()
        return sorted((root for root in buried if root is not None), key=lambda root: root.id)

    def delete_trees(self, root_ids: Sequence[str]) -> list[str]:
        return delete_trees(self._database, root_ids)

    def run(self, ref: str) -> Run:
        ref = make_storable([(ref,)])[0][0]
        return self._database.read(lambda connection: _look_up(connection, ref))

    def runs(self, query: RunQuery) -> list[Run]:
        statement, values = statements.select_runs(self._database.dialect, query)
        return self._database.read(lambda connection: _runs(connection, statement, values))

    def tally(self, root_ids: Sequence[str]) -> dict[str, dict[str, int]]:
        values = (dumps(list(root_ids)),)
        count = statements.count_task_runs(self._database.dialect)
        rows = self._database.read(lambda connection: connection.execute(count, values).fetchall())
        counts: dict[str, dict[str, int]] = {}
        for parent_id, state, count in rows:
            counts.setdefault(parent_id, {})[state] = count
        return counts

    def events(
        self,
        after: int = 0,
        *,
        root_id: str | None = None,
        run_id: str | None = None,
        kinds: Sequence[str] = (),
        limit: int | None = None,
    ) -> list[tuple[int, Event]]:
        def work(connection: SqlConnection) -> list[Row]:
            newest = connection.execute(statements.NEWEST).fetchall()[0][0]
            statement, values = statements.select_events(
                self._database.dialect,
                after,
                newest,
                root_id=root_id,
                run_id=run_id,
                kinds=kinds,
                limit=limit,
            )
            return connection.execute(statement, values).fetchall()

        return [(row[0], read_event(row[1:])) for row in self._database.read(work)]

    def close(self) -> None:
        self._database.close()

    def _is_alive(self, root: Run) -> bool | None:
        return self._liveness.is_alive(root.lease.holder) if root.lease else None


def _is_kept(connection: SqlConnection, event: Event) -> bool:
    found = connection.execute(statements.IS_KEPT, (event.root_id, event.id)).fetchone()
    return found is not None


def _runs(connection: SqlConnection, statement: str, values: Sequence[object] = ()) -> list[Run]:
    return [RUNS.read_run(row) for row in connection.execute(statement, values).fetchall()]


def _find(connection: SqlConnection, run_id: str) -> Run | None:
    row = connection.execute(statements.RUN, (run_id,)).fetchone()
    return None if row is None else RUNS.read_run(row)


def _look_up(connection: SqlConnection, ref: str) -> Run:
    found = _runs(connection, statements.RUN, (ref,))
    if not found and len(ref) >= rules.SHORTEST_PART:
        begin = _runs(connection, statements.BEGINS_WITH, (ref, f"{ref}\U0010ffff"))
        end = _runs(connection, statements.ENDS_WITH, (len(ref), ref))
        found = list({run.id: run for run in begin + end}.values())
    if len(found) != 1:
        parts = [run.id for run in found]
        found = _runs(connection, statements.NAMED, (ref,))
        if not found:
            names = [] if parts else [row[0] for row in connection.execute(statements.NAMES)]
            raise rules.make_not_found(ref, parts, names)
    return found[0]


def _insert(connection: SqlConnection, insert: Insert, rows: Sequence[Row]) -> None:
    try:
        for statement, values in insert.split(rows):
            connection.execute(statement, values)
    except UnicodeEncodeError:
        for statement, values in insert.split(make_storable(rows)):
            connection.execute(statement, values)


def _move(connection: SqlConnection, rows: Sequence[Row]) -> int:
    """Advance runs from one version to the next; return the number of runs at that version."""
    try:
        return connection.executemany(statements.MOVE_RUN, rows).rowcount
    except UnicodeEncodeError:
        return connection.executemany(statements.MOVE_RUN, make_storable(rows)).rowcount


def _keep(connection: SqlConnection, root_id: str, made: Batch) -> None:
    _insert(connection, statements.INSERT_EVENT, made.facts)
    tangled = made.out_of_order
    if made.births:
        _insert(connection, statements.GROW_RUN, made.births)
        strays = {row[0] for row in connection.execute(statements.STRAYS)}
        if strays:
            tangled = tangled | strays.intersection(row[0] for row in made.births)
    if made.moves and _move(connection, made.moves) < len(made.moves):
        tangled = tangled | made.moved
    if tangled:
        _rebuild_runs(connection, root_id, tangled)


def _rebuild_runs(connection: SqlConnection, root_id: str, run_ids: Iterable[str]) -> None:
    """Rebuild runs from all their events: some came twice, or out of order."""
    histories: dict[str, list[Event]] = {run_id: [] for run_id in run_ids}
    query = statements.select_histories(root_id, list(histories))
    for row in connection.execute(*query).fetchall():
        event = read_event(row[1:])
        histories[event.run_id].append(event)
    for run_id, history in histories.items():
        run = rules.refold(history)
        if run is None:
            connection.execute(statements.INSERT_STRAY, (run_id,))
        else:
            _insert(connection, statements.REPAIR_RUN, [RUNS.make_row(run)])
            connection.execute(statements.DELETE_STRAY, (run_id,))


def _record(connection: SqlConnection, event: Event, *, keep_lease: bool = True) -> Run:
    run = _find(connection, event.run_id)
    if run is None:
        raise RunNotFound(event.run_id)
    if _is_kept(connection, event):
        return run
    assert isinstance(event.payload, StateChange)
    after = rules.apply_change(run, event.payload)
    if not keep_lease:
        after = evolve(after, lease=None)
    if not run.is_root and not after.state.is_final():
        rules.check_root_open(_find(connection, run.root_id))
    _insert(connection, statements.INSERT_EVENT, [make_event_row(event)])
    _insert(connection, statements.WRITE_RUN, [RUNS.make_row(after)])
    if after.is_root and after.state.is_final():
        unfinished = _runs(connection, statements.UNFINISHED, (after.id,))
        _keep(connection, after.id, make_batch(rules.make_closing_events(after, unfinished)))
    return after


def _end_lost(connection: SqlConnection, seen: Run, now: float, *, known_dead: bool) -> Run | None:
    """End a run whose process has died, unless it has continued since it was read."""
    root = _find(connection, seen.id)
    if root is None or root.version != seen.version or root.lease != seen.lease:
        return None
    if not known_dead and not rules.is_lapsed(root, now):
        return None  # renewed in the meantime
    last = connection.execute(statements.LAST_FACT, (root.id,)).fetchall()[0][0]
    event = rules.make_loss_event(root, now, known_dead=known_dead, last_fact=last)
    return _record(connection, event, keep_lease=False)
