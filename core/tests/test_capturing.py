"""What code in a run writes to standard output is logged, where a setting says so."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from flowstone import flow, task
from flowstone.context import current
from flowstone.context.current import Services
from flowstone.records.events import LogLine
from flowstone.records.redaction import MASK, register
from flowstone.task_runners import ProcessPoolTaskRunner


@pytest.fixture
def capturing(services: Services) -> Iterator[Services]:
    capturing = replace(services, settings=replace(services.settings, capture_stdout=True))
    with current.use_services(capturing):
        yield capturing


def lines(services: Services) -> list[tuple[str, str]]:
    services.journal.flush()
    found = []
    for run_id, payload in [(e.run_id, e.payload) for _, e in services.runs.events()]:
        if isinstance(payload, LogLine) and payload.logger == "flowstone.stdout":
            found.append((services.runs.run(run_id).unit, payload.message))
    return found


def test_lines_belong_to_the_run_that_wrote_them(
    capturing: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    @task
    def inner() -> None:
        sys.stdout.write("of the task\nhalf of ")

    @flow
    def outer() -> None:
        print("printed", 1)
        sys.stdout.write("of the flow, ")
        inner()
        sys.stdout.writelines(["in parts\n", "10%\r20%\r100%\r\n", "no end"])

    before = sys.stdout
    outer()
    assert sys.stdout is before
    print("outside")
    assert capsys.readouterr().out == "outside\n"
    assert lines(capturing) == [
        ("outer", "printed 1"),
        ("inner", "of the task"),
        ("inner", "half of "),
        ("outer", "of the flow, in parts"),
        ("outer", "100%"),
        ("outer", "no end"),
    ]


def test_it_is_off_where_nobody_asks(
    services: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    @flow
    def f() -> None:
        print("seen")

    f()
    assert capsys.readouterr().out == "seen\n"
    assert lines(services) == []


def test_a_run_may_be_left_out(capturing: Services, capsys: pytest.CaptureFixture[str]) -> None:
    @task(log_prints=False)
    def shown() -> None:
        print("shown")

    @flow
    def f() -> None:
        print("kept")
        shown()

    f()
    assert capsys.readouterr().out == "shown\n"
    assert lines(capturing) == [("f", "kept")]


def test_threads_and_coroutines_keep_their_lines_apart(
    capturing: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    both = threading.Barrier(2)

    @task
    def threaded(name: str) -> None:
        for number in range(20):
            sys.stdout.write(f"{name} ")
            both.wait(300)
            sys.stdout.write(f"{number}\n")

    @task
    async def awaited(name: str) -> None:
        for number in range(20):
            sys.stdout.write(f"{name} ")
            await asyncio.sleep(0)
            sys.stdout.write(f"{number}\n")

    @flow
    async def f() -> None:
        other = threading.Thread(target=print, args=("not in the run",))
        other.start()
        other.join()
        for future in threaded.map(["a", "b"]):
            await future
        await asyncio.gather(awaited("c"), awaited("d"))

    asyncio.run(f())
    assert capsys.readouterr().out == "not in the run\n"
    said = [line for _, line in lines(capturing)]
    assert sorted(said) == sorted(f"{name} {n}" for name in "abcd" for n in range(20))


def test_a_logger_on_standard_output_is_not_captured_again(
    capturing: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    @flow
    def f() -> None:
        handler = logging.StreamHandler(sys.stdout)
        logging.getLogger().addHandler(handler)
        try:
            print("once")
        finally:
            logging.getLogger().removeHandler(handler)

    f()
    assert lines(capturing) == [("f", "once")]
    assert capsys.readouterr().out == "once\n"


def test_a_handler_that_prints_is_not_captured(
    capturing: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    class Prints(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            print("handled", record.getMessage())

    handler = Prints()

    @flow
    def f() -> None:
        print("once")

    logger = logging.getLogger("flowstone.stdout")
    logger.addHandler(handler)
    try:
        f()
    finally:
        logger.removeHandler(handler)
    assert lines(capturing) == [("f", "once")]
    assert capsys.readouterr().out == "handled once\n"


def test_the_rest_of_a_line_comes_before_the_end(capturing: Services) -> None:
    @flow
    def f() -> None:
        sys.stdout.write("and then")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        f()
    capturing.journal.flush()
    kinds = [event.kind for _, event in capturing.runs.events()]
    assert lines(capturing) == [("f", "and then")]
    assert kinds.index("LogWritten", 2) < kinds.index("FlowRunFailed")


def test_a_line_without_an_end_is_cut(capturing: Services) -> None:
    @flow
    def f() -> None:
        for _ in range(3):
            sys.stdout.write("x" * 40_000)

    f()
    assert [len(line) for _, line in lines(capturing)] == [80_000, 40_000]


def test_what_yields_is_captured_while_it_runs(
    capturing: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    @flow
    def f() -> Iterator[int]:
        print("one")
        yield 1
        sys.stdout.write("two")

    for _ in f():
        print("outside")
    assert lines(capturing) == [("f", "one"), ("f", "two")]
    assert capsys.readouterr().out == "outside\n"


def test_in_other_processes_too(capturing: Services) -> None:
    @task
    def far(number: int) -> None:
        sys.stdout.write(f"far {number}")

    @flow(task_runner=ProcessPoolTaskRunner(max_workers=1))
    def f() -> Any:
        return far.map([1, 2]).result()

    f()
    assert sorted(lines(capturing)) == [("far", "far 1"), ("far", "far 2")]


def test_a_secret_is_masked(capturing: Services) -> None:
    @flow
    def f() -> None:
        print(f"the key is {key} and")
        sys.stdout.write("in parts: ")
        sys.stdout.write(key)

    key = "first-canary-line\nsecond-canary-line"
    register(key)
    f()
    assert lines(capturing) == [("f", f"the key is {MASK} and"), ("f", f"in parts: {MASK}")]
