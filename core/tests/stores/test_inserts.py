"""Rows are inserted by as few statements as will do, and no None is bound for nothing."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowstone.records.events import make_birth_event, make_change_event
from flowstone.records.ids import new_id
from flowstone.records.runs import Run
from flowstone.records.states import COMPLETED, RUNNING, State
from flowstone.stores.sql.batch import make_batch
from flowstone.stores.sql.inserts import SIZES, Insert
from flowstone.stores.sql.statements import GROW_RUN, INSERT_EVENT

INSERT = Insert("rows", ("id", "a", "b", "c"), "ON CONFLICT DO NOTHING")
cells = st.one_of(st.none(), st.text(max_size=2), st.integers(0, 9), st.floats(0, 1))


@given(st.lists(st.tuples(cells, cells, cells), max_size=80))
def test_what_is_inserted_is_there(values: list[tuple[object, ...]]) -> None:
    rows = [(number, *cells) for number, cells in enumerate(values)]
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, a, b, c)")
        for statement, parameters in INSERT.split(rows):
            connection.execute(statement, parameters)
        assert connection.execute("SELECT id, a, b, c FROM rows ORDER BY id").fetchall() == rows


@pytest.mark.parametrize(("count", "statements"), [(0, 0), (1, 1), (4, 1), (7, 4), (341, 5)])
def test_many_rows_take_few_statements(count: int, statements: int) -> None:
    made = list(
        INSERT.split(
            [(number, f"a{number}", f"b{number}", 0.5 * number) for number in range(count)]
        )
    )
    assert len(made) == statements
    assert sum(len(parameters) for _, parameters in made) == 4 * count


def test_what_all_rows_share_is_bound_once() -> None:
    rows = [(number, "a", "b" if number % 2 else "c", None) for number in range(SIZES[-2])]
    ((statement, parameters),) = INSERT.split(rows)
    assert "(a, id, b)" in statement
    assert parameters == ["a", *(each for number, _, b, _ in rows for each in (number, b))]


def test_a_column_that_is_null_in_all_rows_is_not_bound() -> None:
    rows = [(number, None, "b" if number else None, None) for number in range(SIZES[-2])]
    ((statement, parameters),) = INSERT.split(rows)
    assert "(id, b)" in statement
    assert parameters == [each for number, _, b, _ in rows for each in (number, b)]


def test_of_task_runs_that_nothing_is_special_about_no_null_is_bound() -> None:
    events = []
    for _ in range(SIZES[-2]):
        run = Run(
            id=new_id(), kind="task", name="t-0", unit="t", root_id="r", parent_id="r",
            created=1.0, state=State(RUNNING, at=1.0), attempt=1, started=1.0,
        )  # fmt: skip
        events += [make_birth_event(run), make_change_event(run, State(COMPLETED, at=2.0), 1)]
    made = make_batch(events)
    bound = [*GROW_RUN.split(made.births), *INSERT_EVENT.split(made.facts)]
    assert None not in [value for _, values in bound for value in values]
