"""The table of options is that of the signatures: names, types, defaults, words."""

from __future__ import annotations

from flowstone.calls.option_types import FlowOptions, TaskOptions

from .options import PAGE, TABLE, render_table


def test_the_table_is_as_the_options_are() -> None:
    [table] = TABLE.findall(PAGE.read_text("utf-8"))
    assert table == render_table(), "run `make docs`"


def test_every_option_of_both_signatures_has_a_row() -> None:
    names = {line.split("`")[1] for line in render_table().splitlines()[2:]}
    assert names == FlowOptions.__annotations__.keys() | TaskOptions.__annotations__.keys()
