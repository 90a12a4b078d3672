"""Tracebacks for people: their own frames, with ours folded."""

from __future__ import annotations

import asyncio

import pytest

from flowstone import flow, task
from flowstone.errors import ConfigurationError
from flowstone.logging.tracebacks import format_traceback, has_foreign_frame
from flowstone.settings import read_settings

pytestmark = pytest.mark.usefixtures("flowstone_services")


@task
def load() -> int:
    try:
        return int("many")
    except ValueError as error:
        raise KeyError("rows") from error


@flow
def inner() -> int:
    return load()


@flow
def outer() -> int:
    return inner()


@flow
def unheard() -> None:
    load.submit()


@flow
async def later() -> None:
    raise ExceptionGroup("two", [OSError("disk"), ValueError("net")])


def frames(text: str) -> list[str]:
    """Return the names of the functions, and what is folded."""
    lines = (line.strip() for line in text.splitlines())
    return [line.rpartition(" in ")[2] for line in lines if line.startswith(("File", "…"))]


def test_only_frames_of_the_program_are_shown() -> None:
    text = format_traceback(outer(return_state=True).data)
    fold = "… 3 frames of Flowstone"
    assert frames(text) == ["load", "outer", fold, "inner", fold, "load"]
    assert text.count("direct cause") == 1
    assert text.endswith("KeyError: 'rows'")
    assert "driver.py" not in text


def test_a_failure_that_nobody_asked_for_shows_where_it_was() -> None:
    text = format_traceback(unheard(return_state=True).data)
    assert frames(text)[-1] == "load"


def test_groups_are_shown_whole() -> None:
    text = format_traceback(asyncio.run(later(return_state=True)).data)
    assert [each.strip(" |") for each in frames(text)] == []
    assert "in later" in text
    assert "OSError: disk" in text
    assert "ValueError: net" in text
    assert "lifecycle.py" not in text


def test_an_error_of_flowstone_alone_is_shown_whole() -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_settings({"FLOWSTONE_STORE": "oracle"})
    error = caught.value.with_traceback(caught.tb.tb_next)
    assert not has_foreign_frame(error)
    assert "in read_settings" in format_traceback(error)
    assert "… " not in format_traceback(error)
