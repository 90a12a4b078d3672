"""Placeholders become the driver's, and what stands in quotes or comments stays as it is."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowstone.blocks.databases.placeholders import PlaceholderMismatch, Style, bind_placeholders

TEXT = st.text(alphabet="ab:?%$ \n\\[(\u00e4'\"-/*", max_size=8)


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def named(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


#: Parts of a statement in which nothing is a placeholder.
DEAD = st.one_of(
    TEXT.map(quoted),
    TEXT.map(named),
    TEXT.map(lambda text: "--" + text.replace("\n", "") + "\n"),
    TEXT.map(lambda text: "/*" + text.replace("*", "").replace("/", "") + "*/"),
    TEXT.map(lambda text: "$q$" + text.replace("$", "") + "$q$"),
    st.sampled_from(["a::b", "1::int", "a[1:2]", "x:y"]),
)


@given(st.lists(st.tuples(DEAD, st.booleans()), max_size=6), st.booleans())
def test_only_placeholders_change(parts: list[tuple[str, bool]], by_name: bool) -> None:
    statement = dollars = percents = ""
    values: list[int] = []
    for dead, live in parts:
        statement, dollars = f"{statement} {dead} ", f"{dollars} {dead} "
        percents = f"{percents} {dead.replace('%', '%%')} "
        if live:
            values.append(len(values))
            statement += f":p{values[-1]}" if by_name else "?"
            dollars += f"${len(values)}"
            percents += "%s"
    parameters: Any = {f"p{value}": value for value in values} if by_name else values
    assert bind_placeholders(statement, parameters, "dollar") == (dollars, values)
    assert bind_placeholders(statement, parameters, "format") == (percents, values)
    assert bind_placeholders(statement, None, "format") == (statement, [])


@given(TEXT, TEXT, st.text(max_size=20), st.text(max_size=20))
def test_sqlite_reads_what_was_meant(one: str, two: str, three: str, four: str) -> None:
    dead = two.replace("*", "").replace("/", "")
    statement = f"SELECT {quoted(one)}, :a /*{dead}*/ AS {named('x' + two)}, :b, :a"
    try:
        text, values = bind_placeholders(statement, {"a": three, "b": four}, "qmark")
        with closing(sqlite3.connect(":memory:")) as connection:
            row = connection.execute(text, values).fetchone()
    except UnicodeEncodeError:
        return  # half a surrogate pair
    assert row == (one, three, four, three)


@pytest.mark.parametrize(
    ("style", "expected", "values"),
    [
        ("qmark", "SELECT ?, ?, ? % 2", [1, 2, 1]),
        ("format", "SELECT %s, %s, %s %% 2", [1, 2, 1]),
        ("numeric", "SELECT :1, :2, :1 % 2", [1, 2]),
        ("dollar", "SELECT $1, $2, $1 % 2", [1, 2]),
    ],
)
def test_styles(style: Style, expected: str, values: list[int]) -> None:
    statement = "SELECT :a, :b, :a % 2"
    assert bind_placeholders(statement, {"a": 1, "b": 2, "c": 3}, style) == (expected, values)


def test_two_question_marks_are_one() -> None:
    assert bind_placeholders("SELECT data ?? 'a', ?", [1], "dollar") == (
        "SELECT data ? 'a', $1",
        [1],
    )


@pytest.mark.parametrize(
    ("statement", "parameters", "problem", "position"),
    [
        ("SELECT ?, ?", [1], "it has 2 placeholders, but 1 values are passed", None),
        ("SELECT 1", (1, 2), "it has 0 placeholders, but 2 values are passed", None),
        ("SELECT :a, :b", {"a": 1}, "no value is passed for :b", 11),
        ("SELECT ?", {"a": 1}, "it has a '?', and its parameters are a mapping", 7),
        ("SELECT ?", "x", "its parameters are a str, and not a sequence or a mapping", None),
        ("SELECT ?", {1, 2}, "its parameters are a set, and not a sequence or a mapping", None),
    ],
)
def test_what_does_not_fit(
    statement: str, parameters: Any, problem: str, position: int | None
) -> None:
    with pytest.raises(PlaceholderMismatch) as caught:
        bind_placeholders(statement, parameters, "qmark")
    assert (caught.value.problem, caught.value.position) == (problem, position)
