"""The SQL that reads and writes runs and events; every part is a constant of this file."""
# ruff: noqa: S608 - what is put together here are column names, never values

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowstone.records.encoding import dumps
from flowstone.records.events import (
    ARTIFACT_SAVED,
    EXTERNAL_WORK_ENDED,
    EXTERNAL_WORK_STARTED,
    MEASURED,
)
from flowstone.stores.sql.inserts import Insert
from flowstone.stores.sql.run_table import LEASE_COLUMNS, RUNS, STATE_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowstone.records.runs import RunQuery
    from flowstone.stores.sql.dialect import Dialect

_EVENT_COLUMNS = ("id", "root_id", "run_id", "kind", "at", "form", "version", "attempt", "payload")


def _take(columns: Sequence[str]) -> str:
    return ", ".join(f"{column} = excluded.{column}" for column in columns)


def _put_run(columns: Sequence[str], condition: str = "") -> Insert:
    return Insert(
        "runs", RUNS.columns, f"ON CONFLICT (id) DO UPDATE SET {_take(columns)}{condition}"
    )


INSERT_EVENT = Insert("events", _EVENT_COLUMNS, "ON CONFLICT DO NOTHING")
#: Only advances: a run at a later version is not changed.
GROW_RUN = _put_run(STATE_COLUMNS, " WHERE excluded.version > runs.version")
REPAIR_RUN = _put_run(STATE_COLUMNS, " WHERE excluded.version >= runs.version")
WRITE_RUN = _put_run(STATE_COLUMNS + LEASE_COLUMNS)
#: Advances from one version to the next; `make_update_row` returns its parameters.
MOVE_RUN = (
    "UPDATE runs SET state_type = ?, state_name = ?, state_message = ?, state_at = ?, version = ?, "
    "attempt = ?, started = coalesce(started, ?), ended = ? WHERE id = ? AND version = ?"
)
RENEW_RUN = "UPDATE runs SET lease_until = ? WHERE id = ? AND lease_token = ? AND ended IS NULL"

IS_KEPT = "SELECT 1 FROM events WHERE root_id = ? AND id = ?"
NEWEST = "SELECT coalesce(max(seq), 0) FROM events"
LAST_FACT = "SELECT max(at) FROM events WHERE root_id = ?"

_READ_RUN = f"SELECT {', '.join(RUNS.columns)} FROM runs"
RUN = f"{_READ_RUN} WHERE id = ?"
UNFINISHED = f"{_READ_RUN} WHERE root_id = ? AND ended IS NULL ORDER BY id"
LEASED = f"{_READ_RUN} WHERE ended IS NULL AND parent_id IS NULL AND lease_token IS NOT NULL"
BEGINS_WITH = f"{_READ_RUN} WHERE id >= ? AND id < ? LIMIT 9"
ENDS_WITH = f"{_READ_RUN} WHERE substr(id, length(id) - ? + 1) = ? LIMIT 9"
NAMED = f"{_READ_RUN} WHERE name = ? ORDER BY id DESC LIMIT 1"
#: Names of listed runs, for suggestions; names of a run's thousands of tasks would not help.
NAMES = "SELECT name FROM runs WHERE kind = 'flow' OR parent_id IS NULL ORDER BY id DESC LIMIT 1000"

#: Includes the attributes that its run was created with, if it is a creation (form 0).
_READ_EVENT = (
    f"SELECT e.seq, {', '.join(f'e.{column}' for column in _EVENT_COLUMNS)}, "
    f"{', '.join(f'r.{column}' for column in RUNS.columns)} "
    "FROM events e LEFT JOIN runs r ON e.form = 0 AND r.id = e.run_id"
)


class LeaseStatements:
    """The statements of a heartbeat.

    Attributes:
        runs: reads the holders of runs, by a JSON array of their ids.
        moved: reads current runs, by a JSON array of their ids.
        slots: reads the ends of leases of slots, by a JSON array of their tokens.
    """

    def __init__(self, dialect: Dialect) -> None:
        named = f"IN ({dialect.select_texts()})"
        self.runs = (
            "SELECT id, version, lease_token, lease_until, ended IS NOT NULL FROM runs "
            f"WHERE id {named}"
        )
        self.moved = f"{_READ_RUN} WHERE id {named}"
        self.slots = f"SELECT token, min(until) FROM slots WHERE token {named} GROUP BY token"


def count_task_runs(dialect: Dialect) -> str:
    """Return the statement that counts task runs of trees, by a JSON array of the roots' ids."""
    return (
        "SELECT parent_id, "
        "CASE state_name WHEN 'Skipped' THEN 'SKIPPED' ELSE state_type END AS state, count(*) "
        f"FROM runs WHERE root_id IN ({dialect.select_texts()}) "
        "AND kind = 'task' AND parent_id IS NOT NULL GROUP BY parent_id, state"
    )


#: The form of the row that replaces the newest event after its deletion. Without it, SQLite would
#: reuse that event's cursor for the next one, and readers that continue from there would miss it.
PLACEHOLDER = 9

_RECORDS = frozenset({EXTERNAL_WORK_STARTED, EXTERNAL_WORK_ENDED, MEASURED})
#: Up to this number of events, a scan is faster than the index of their tree.
FEW = 10_000

#: Wildcards in a query of runs by their flow's or task's name.
_WILDCARDS = frozenset("*?")

STRAYS = "SELECT run_id FROM strays"
INSERT_STRAY = "INSERT INTO strays (run_id) VALUES (?) ON CONFLICT DO NOTHING"
DELETE_STRAY = "DELETE FROM strays WHERE run_id = ?"


def select_runs(dialect: Dialect, query: RunQuery) -> tuple[str, list[object]]:
    """Return the statement and its parameters for a query of runs."""
    terms: list[str] = []
    values: list[Any] = []
    if query.ids is not None:
        terms.append(f"id IN ({dialect.select_texts()})")
        values.append(dumps(list(query.ids)))
    if query.root_id is not None:
        terms.append("root_id = ?")
        values.append(query.root_id)
    if query.roots:
        # The first half must equal the index's condition.
        terms.append("(kind = 'flow' OR parent_id IS NULL) AND parent_id IS NULL")
    if query.listed:
        terms.append("(kind = 'flow' OR parent_id IS NULL)")
    if query.unit is not None:
        is_pattern = not _WILDCARDS.isdisjoint(query.unit)
        terms.append(dialect.matches.format("unit") if is_pattern else "unit = ?")
        values.append(dialect.make_pattern(query.unit) if is_pattern else query.unit)
    if query.states:
        marks = ", ".join("?" * len(query.states))
        terms.append(f"(state_type IN ({marks}) OR state_name IN ({marks}))")
        values += [*query.states, *query.states]
    if query.deployments:
        terms.append(f"deployment IN ({', '.join('?' * len(query.deployments))})")
        values += query.deployments
    if query.scheduled_until is not None:
        # The second half must equal the index's condition.
        terms.append("scheduled_time <= ? AND ended IS NULL")
        values.append(query.scheduled_until)
    for tag in query.tags:
        terms.append(f"? IN ({dialect.select_texts('tags')})")
        values.append(tag)
    bounds = (
        ("created >= ?", query.created_since),
        ("created < ?", query.created_until),
        ("ended < ?", query.ended_until),
        ("id < ?" if query.newest_first else "id > ?", query.after),
    )
    for term, bound in bounds:
        if bound is not None:
            terms.append(term)
            values.append(bound)
    order = "DESC" if query.newest_first else "ASC"
    return f"{_READ_RUN}{_render_where(terms)} ORDER BY id {order} LIMIT ?", [
        *values,
        render_limit(query.limit),
    ]


def select_events(
    dialect: Dialect,
    after: int,
    newest: int,
    *,
    root_id: str | None,
    run_id: str | None,
    kinds: Sequence[str],
    limit: int | None,
) -> tuple[str, list[object]]:
    """Return the statement and its parameters for reading events, up to the newest."""
    terms = ["e.seq > ?", f"e.form <> {PLACEHOLDER}"]
    values: list[Any] = [after]
    # Following a run reads the few newest events, which should not be searched for among all the
    # events of the tree.
    root = dialect.unindexed.format("e.root_id") if newest - after < FEW else "e.root_id"
    if root_id is not None:
        terms.append(f"{root} = ?")
        values.append(root_id)
    if run_id is not None:
        # The index of the tree finds the events of a run; there is no index of runs.
        terms.append(f"e.run_id = ? AND {root} = (SELECT root_id FROM runs WHERE id = ?)")
        values += [run_id, run_id]
    if set(kinds) == {ARTIFACT_SAVED}:
        terms.append("e.form = 3")  # as in the index's condition
        kinds = ()
    elif kinds and _RECORDS.issuperset(kinds):
        terms.append("e.form = 4")  # to use their index
    if kinds:
        terms.append(f"e.kind IN ({', '.join('?' * len(kinds))})")
        values += kinds
    return f"{_READ_EVENT}{_render_where(terms)} ORDER BY e.seq LIMIT ?", [
        *values,
        render_limit(limit),
    ]


def select_histories(root_id: str, run_ids: Sequence[str]) -> tuple[str, list[str]]:
    """Return the statement and its parameters for the histories of runs of a tree."""
    marks = ", ".join("?" * len(run_ids))
    where = f"WHERE e.root_id = ? AND e.form < 2 AND e.run_id IN ({marks})"
    return f"{_READ_EVENT} {where} ORDER BY e.seq", [root_id, *run_ids]


def _render_where(terms: Sequence[str]) -> str:
    return f" WHERE {' AND '.join(terms)}" if terms else ""


#: The largest number that SQL databases accept.
_MOST = 2**63 - 1


def render_limit(limit: int | None) -> int:
    """Return the parameter of `LIMIT`; None is for all rows."""
    return _MOST if limit is None else min(limit, _MOST)
