"""A field that is added to runs is in their encoding, their rows and their changes as well."""

from __future__ import annotations

import pickle
import sqlite3
from contextlib import closing
from dataclasses import fields

import pytest

from flowstone.errors import RecordInvalid
from flowstone.records.codec import RecordCodec
from flowstone.records.encoding import FORMS, RUN_CODEC, dumps, loads
from flowstone.records.ids import new_id
from flowstone.records.record import fact
from flowstone.records.runs import Lease, Origin, Run, StateChange
from flowstone.records.states import COMPLETED, RUNNING, State
from flowstone.stores.sql.run_table import RunTable
from flowstone.stores.sql.schema import migrate
from flowstone.stores.sqlite.dialect import SQLITE


@fact
class DueRun(Run):
    """A run with one field more."""

    due: tuple[str, ...] = ()


RUN = DueRun(
    id=new_id(),
    kind="flow",
    name="calm-otter",
    unit="etl",
    root_id="r",
    parent_id=None,
    created=1.0,
    tags=("a", "b"),
    parameters={"n": 1},
    lease=Lease("t", "h/1/p", 9.0),
    state=State(RUNNING, at=2.0),
    attempt=1,
    started=2.0,
    due=("monday", "friday"),
)


def test_it_is_encoded() -> None:
    codec = RecordCodec(DueRun, FORMS)
    assert codec.decode(loads(dumps(codec.encode(RUN)))) == RUN


def test_it_stays_through_a_change() -> None:
    ended = RUN.apply(StateChange(2, State(COMPLETED, at=3.0), 1))
    assert isinstance(ended, DueRun)
    assert (ended.due, ended.version, ended.ended) == (RUN.due, 2, 3.0)


def test_it_has_a_column() -> None:
    table = RunTable(DueRun)
    marks = ", ".join("?" * len(table.columns))
    names = ", ".join(table.columns)
    with closing(sqlite3.connect(":memory:")) as connection:
        migrate(connection, 0, SQLITE)
        connection.execute("ALTER TABLE runs ADD COLUMN due TEXT")
        connection.execute(f"INSERT INTO runs ({names}) VALUES ({marks})", table.make_row(RUN))
        row = connection.execute(f"SELECT {names} FROM runs").fetchone()
    assert table.read_run(row) == RUN


def test_every_field_of_a_run_has_its_columns_in_the_schema() -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        migrate(connection, 0, SQLITE)
        found = {row[1] for row in connection.execute("PRAGMA table_info(runs)")}
    assert found == set(RunTable().columns)


def test_a_run_is_born_with_every_field_of_its_origin() -> None:
    origin = RUN.origin(RUN.lease)
    born = origin.make_run(State(RUNNING, at=2.0), 1)
    assert born.origin(RUN.lease) == origin
    assert {f.name for f in fields(Origin)} < {f.name for f in fields(Run)}


def test_unknown_keys_are_ignored_and_missing_ones_have_their_defaults() -> None:
    body = RUN_CODEC.encode(RUN)
    newer = RUN_CODEC.decode({**body, "deployment_id": "d"})
    assert newer == RUN_CODEC.decode(body)
    older = RUN_CODEC.decode({key: body[key] for key in list(body)[:6]})
    assert (older.tags, older.lease, older.version) == ((), None, 1)


def test_what_has_no_default_is_asked_for_by_name() -> None:
    body = RUN_CODEC.encode(RUN)
    del body["unit"]
    with pytest.raises(RecordInvalid, match=r"a Run can't be decoded: .*'unit'"):
        RUN_CODEC.decode(body)


def test_a_run_that_the_first_versions_pickled_by_place_is_read() -> None:
    run = RUN_CODEC.decode(RUN_CODEC.encode(RUN))
    older = Run.__new__(Run)
    older.__setstate__([getattr(run, name) for name in FIRST])
    assert older == run
    assert pickle.loads(pickle.dumps(RUN)) == RUN


FIRST = [
    "id", "kind", "name", "unit", "root_id", "parent_id", "state", "version", "attempt", "created",
    "started", "ended", "tags", "unit_version", "parameters", "inputs", "lease", "recipe",
]  # fmt: skip
