"""Logged lines arrive once and in order, however the program ends."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Facts, Place

COUNT = 500


def _numbers(facts: Facts) -> list[int]:
    lines = facts.lines(facts.root("lines"))
    return [int(line.removeprefix("line ")) for line in lines if line.startswith("line ")]


def _all_arrived(facts: Facts) -> None:
    assert _numbers(facts) == list(range(COUNT))


@pytest.mark.parametrize("how", [(), ("written",)], ids=["printed", "written"])
@pytest.mark.parametrize(("ending", "code"), [("return", 0), ("raise", 1), ("exit", 4)])
def test_all_lines_arrive(place: Place, ending: str, code: int, how: tuple[str, ...]) -> None:
    ended = place.run("lines.py", ending, *how)
    assert ended.code == code, ended.err
    place.read(_all_arrived)


@pytest.mark.parametrize("how", [(), ("written",)], ids=["printed", "written"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_all_lines_arrive_when_it_is_stopped(
    place: Place, number: signal.Signals, how: tuple[str, ...]
) -> None:
    program = place.start("lines.py", "wait", *how)
    program.wait_for("ready")
    program.stop(number)
    place.read(_all_arrived)


@pytest.mark.parametrize("long", [100, 900])
def test_a_kill_loses_a_second_of_lines_at_the_most(place: Place, long: int) -> None:
    program = place.start("lines.py", "chatter")
    said: list[tuple[int, float]] = []
    while len(said) < long:
        number, at = program.wait_for("said").split()
        said.append((int(number), float(at)))
    killed = time.time()
    program.stop(signal.SIGKILL)

    def look(facts: Facts) -> None:
        numbers = _numbers(facts)
        assert numbers == list(range(len(numbers)))
        old = [number for number, at in said if at < killed - 1.0]
        assert len(numbers) > max([COUNT - 1, *old])

    place.read(look)
