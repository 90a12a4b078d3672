"""Flows by the name of where they stand."""

from __future__ import annotations

import statistics
import sys
from typing import TYPE_CHECKING

import pytest

from flowstone.calls.entrypoints import load_flow_from_entrypoint
from flowstone.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Write = Callable[[str, str], Path]

ONE = "from flowstone import flow\n@flow\ndef {name}(): return {name!r}\n"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    def write(name: str, code: str) -> Path:
        path = tmp_path / name
        path.write_text(code)
        return path

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield write
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_a_file_with_one_flow_needs_no_name(write: Write) -> None:
    path = write("single_flow.py", ONE.format(name="only"))
    assert load_flow_from_entrypoint(str(path)).name == "only"
    assert load_flow_from_entrypoint("single_flow.py").name == "only"
    assert load_flow_from_entrypoint("single_flow").name == "only"


def test_flows_that_it_imports_do_not_count(write: Write) -> None:
    write("inner_flow.py", ONE.format(name="inner"))
    write("outer_flow.py", f"from inner_flow import inner\n{ONE.format(name='outer')}same = outer")
    write("facade_flow.py", "from inner_flow import inner\n")
    assert load_flow_from_entrypoint("outer_flow.py").name == "outer"
    assert load_flow_from_entrypoint("facade_flow.py").name == "inner"


def test_several_flows_are_named(write: Write) -> None:
    write("two_flows.py", ONE.format(name="one") + ONE.format(name="two"))
    with pytest.raises(ConfigurationError) as caught:
        load_flow_from_entrypoint("two_flows.py")
    assert str(caught.value) == (
        "entrypoint 'two_flows.py': it has 2 flows: 'one', 'two'. "
        "Name one of them, such as two_flows.py:one"
    )
    assert load_flow_from_entrypoint("two_flows.py:two").name == "two"


def test_a_file_without_a_flow_is_told(write: Write) -> None:
    write("no_flows.py", "x = 1")
    with pytest.raises(ConfigurationError, match=r"it has no flow\. Put @flow on"):
        load_flow_from_entrypoint("no_flows.py")


def test_a_file_with_the_name_of_a_standard_module_does_not_hide_that(write: Write) -> None:
    before = sys.modules.pop("statistics")
    try:
        write("statistics.py", ONE.format(name="mean"))
        assert load_flow_from_entrypoint("statistics.py:mean").name == "mean"
        assert sys.modules["statistics"].__file__ == statistics.__file__
    finally:
        sys.modules["statistics"] = before
