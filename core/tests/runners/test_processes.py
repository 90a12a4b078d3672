from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from flowstone import flow, get_run_logger, tags, task
from flowstone.cache_policies import FLOW_PARAMETERS
from flowstone.context import current
from flowstone.errors import (
    CancelledRun,
    ConfigurationError,
    FailedRun,
    NotSendable,
    ProcessDied,
    RemoteTraceback,
    RunTimeout,
)
from flowstone.records import redaction
from flowstone.records.events import LOG_WRITTEN
from flowstone.records.runs import RunQuery
from flowstone.runtime import task_run
from flowstone.task_runners import ProcessPoolTaskRunner

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowstone.context.current import Services
    from flowstone.records.runs import Run

pytestmark = pytest.mark.usefixtures("services")

ONE = ProcessPoolTaskRunner(max_workers=1)


@task
def where() -> int:
    return os.getpid()


def runs(services: Services) -> dict[str, Run]:
    return {run.name: run for run in services.runs.runs(RunQuery())}


def until(holds: Callable[[], Any], seconds: float = 300.0) -> Any:
    end = time.monotonic() + seconds
    while not (value := holds()):
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)
    return value


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")  # one that has ended, and that nobody has waited for, is gone
    return not (stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z")


def test_one_process_serves_call_after_call_and_ends_with_the_flow() -> None:
    @flow(task_runner=ONE)
    def f() -> set[int]:
        return {where.submit().result() for _ in range(5)}

    [pid] = f()
    assert pid != os.getpid()
    assert not is_alive(pid)


# ---------------------------------------------------------------- a child that dies


@pytest.mark.parametrize(
    ("ending", "told"),
    [
        (lambda: os._exit(3), "its process ended (exit code 3)"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "was killed by signal 9 (exit code -9)"),
    ],
)
def test_a_child_that_dies_crashes_its_run_and_another_goes_on(
    services: Services, ending: Callable[[], None], told: str
) -> None:
    @task
    def dies() -> None:
        get_run_logger().info("the last words")
        ending()

    @flow(task_runner=ONE)
    def f() -> bool:
        before = where.submit().result()
        future = dies.submit()
        with pytest.raises(ProcessDied, match="crashed"):
            future.result()
        assert future.state.is_crashed()
        assert told in str(future.state.message)
        return where.submit().result() != before

    assert f()
    run = runs(services)["dies-0"]
    [(_, line), *_] = services.runs.events(run_id=run.id, kinds=[LOG_WRITTEN])
    assert "the last words" in str(line.payload)


def test_a_flow_that_a_crash_ends_has_failed() -> None:
    @task
    def dies() -> None:
        os._exit(3)

    @flow(task_runner=ONE)
    def f() -> None:
        dies.submit().result()

    state = f(return_state=True)
    assert state.is_failed()
    assert "'dies-0' crashed" in str(state.message)


def test_a_crashed_run_is_retried(tmp_path: Path) -> None:
    @task(retries=1)
    def dies_once() -> int:
        if not (tmp_path / "died").exists():
            (tmp_path / "died").touch()
            os._exit(1)
        return 7

    @flow(task_runner=ONE)
    def f() -> int:
        return dies_once.submit().result()

    assert f() == 7


# ---------------------------------------------------------------- a child that is killed


@task
def blocks(folder: Path) -> None:
    (folder / "pid").write_text(str(os.getpid()))
    threading.Event().wait(60)


def pid_in(folder: Path) -> int:
    path = folder / "pid"
    return int(until(lambda: path.exists() and path.read_text()))


def test_a_timeout_kills_what_blocks(tmp_path: Path) -> None:
    @flow(task_runner=ONE)
    def f() -> bool:
        where.submit().result()
        future = blocks.with_options(timeout_seconds=0.3).submit(tmp_path)
        with pytest.raises(RunTimeout, match="Its process was killed"):
            future.result()
        assert future.state.name == "TimedOut"
        assert not is_alive(pid_in(tmp_path))
        return where.submit().result() > 0

    assert f()


def test_a_cancel_kills_what_runs(services: Services, tmp_path: Path) -> None:
    @flow(task_runner=ProcessPoolTaskRunner(max_workers=2))
    def f() -> bool:
        future = blocks.submit(tmp_path)
        pid = pid_in(tmp_path)
        assert future.cancel()
        with pytest.raises(CancelledRun, match="cancelled while it ran"):
            future.result(timeout=300)
        assert not is_alive(pid)
        assert not future.cancel()
        return where.submit().result() > 0

    assert f()
    assert runs(services)["blocks-0"].state.name == "Cancelled"


def test_an_interrupt_kills_what_runs(services: Services, tmp_path: Path) -> None:
    pids: list[int] = []

    @flow(task_runner=ONE)
    def f() -> None:
        blocks.submit(tmp_path)
        pids.append(pid_in(tmp_path))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        f()
    assert {run.state.name for run in runs(services).values()} == {"Cancelled"}
    assert not is_alive(pids[0])


PARENT = """
import os, sys, threading
from pathlib import Path
from flowstone import flow, task
from flowstone.runtime import task_run
from flowstone.task_runners import ProcessPoolTaskRunner

class Local:  # of __main__: it goes by value, and there is no guard around the call below
    def __init__(self, x): self.x = x

@task
def value(local):
    return Local(local.x + 1)

@task
def blocks(folder):
    (folder / "pid").write_text(str(os.getpid()))
    threading.Event().wait(60)

@flow(task_runner=ProcessPoolTaskRunner(max_workers=2))
def f():
    folder = Path(sys.argv[1])
    assert isinstance(value.submit(Local(1)).result(), Local)
    (folder / "value").write_text(str(value.submit(Local(1)).result().x))
    blocks.submit(folder).wait()

f()
"""


def test_no_child_outlives_a_parent_that_is_killed(tmp_path: Path) -> None:
    env = {"FLOWSTONE_STORE": "memory"}
    script = tmp_path / "script.py"
    script.write_text(PARENT)
    with subprocess.Popen([sys.executable, str(script), str(tmp_path)], env=env) as parent:
        pid = pid_in(tmp_path)
        parent.kill()
    until(lambda: not is_alive(pid))
    assert (tmp_path / "value").read_text() == "2"


# ---------------------------------------------------------------- what comes home


def test_the_traceback_comes_home() -> None:
    @task
    def fails() -> None:
        try:
            int("x")
        except ValueError as error:
            raise KeyError("deep") from error

    @flow(task_runner=ONE)
    def f() -> None:
        fails.submit().result()

    with pytest.raises(KeyError, match="deep") as caught:
        f()
    assert isinstance(caught.value.__cause__, ValueError)
    cause = caught.value.__cause__.__cause__  # below the error's own causes
    assert isinstance(cause, RemoteTraceback)
    assert "invalid literal" in str(cause)
    assert 'raise KeyError("deep") from error' in str(cause)


def test_an_error_that_can_not_travel_is_told_in_words() -> None:
    @task
    def fails() -> None:
        raise type("Odd", (Exception,), {"lock": threading.Lock()})("only one")

    @flow(task_runner=ONE)
    def f() -> None:
        fails.submit().result()

    with pytest.raises(FailedRun, match="Odd: only one"):
        f()


def test_what_can_not_travel_is_said() -> None:
    @task
    def gives() -> Any:
        return threading.Lock()

    @task
    def takes(_: Any) -> None: ...

    @flow(task_runner=ONE)
    def f() -> None:
        with pytest.raises(NotSendable, match=r"the result of 'gives-0' can't be sent"):
            gives.submit().result()
        with pytest.raises(NotSendable, match=r"'takes-0', or one of its arguments, can't be sent"):
            takes.submit(threading.Lock()).result()
        takes.submit(1).result()

    f()


def test_log_records_come_home_whole(caplog: pytest.LogCaptureFixture) -> None:
    @task
    def says() -> None:
        get_run_logger().warning("heed %s", "this", extra={"amount": 3, "odd": threading.Lock()})

    @flow(task_runner=ONE)
    def f() -> None:
        says.submit().result()

    f()
    [record] = [r for r in caplog.records if "heed" in r.getMessage()]
    found: Any = record
    assert (record.getMessage(), found.run_name, found.amount) == ("heed this", "says-0", 3)
    assert record.process != os.getpid()


def test_a_secret_that_a_child_comes_to_know_is_masked(services: Services) -> None:
    @task
    def leaks() -> None:
        value = "".join(["hunt", "er2-", str(6 * 7)])
        redaction.register(value)
        get_run_logger().info("it is %s", value)
        raise ValueError(value)

    @flow(task_runner=ONE)
    def f() -> None:
        leaks.submit().wait()

    assert f(return_state=True).is_failed()
    told = [str(event.payload) for _, event in services.runs.events()]
    assert "it is ********" in str(told)
    assert "hunter2" not in str(told)


# ---------------------------------------------------------------- what a child is told


def start(path: str, number: int) -> None:
    with Path(path).open("a") as file:
        file.write(f"{number} {os.getpid()}\n")


def test_an_initializer_runs_once_in_each_process(tmp_path: Path) -> None:
    path = tmp_path / "started"

    @flow(task_runner=ProcessPoolTaskRunner(1, initializer=start, initargs=(str(path), 5)))
    def f() -> set[int]:
        return {where.submit().result() for _ in range(3)}

    [pid] = f()
    assert path.read_text() == f"5 {pid}\n"


def test_an_initializer_that_fails_fails_the_tasks() -> None:
    def broken() -> None:
        raise LookupError("no database")

    @flow(task_runner=ProcessPoolTaskRunner(1, initializer=broken))
    def f() -> None:
        for _ in range(2):
            with pytest.raises(LookupError, match="no database"):
                where.submit().result()

    f()


def test_each_call_has_a_context_of_its_own() -> None:
    @task
    def sets() -> set[str]:
        before = set(current.tags.get())
        current.tags.set(frozenset({"left"}))
        return before

    @flow(task_runner=ONE)
    def f() -> list[set[str]]:
        return [sets.submit().result() for _ in range(2)]

    assert f() == [set(), set()]


STRINGS_OF_THE_PROGRAM = """
from enum import Enum
from flowstone import flow, tags, task
from flowstone.task_runners import ProcessPoolTaskRunner

class Colour(str, Enum):
    RED = "red"

@task(tags=[Colour.RED])
def add(a, b): return a + b

@flow(task_runner=ProcessPoolTaskRunner(max_workers=1))
def f():
    with tags(Colour.RED):
        return add.submit(1, 2).result()

if __name__ == "__main__":
    print(f())
"""


def test_tags_may_be_of_a_class_of_the_program(tmp_path: Path) -> None:
    file = tmp_path / "program.py"
    file.write_text(STRINGS_OF_THE_PROGRAM, "utf-8")
    environment = {**os.environ, "FLOWSTONE_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, file], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == "3\n"


def test_tags_around_the_call_hold_for_tasks_inside_it(services: Services) -> None:
    @task
    def inner() -> None: ...

    @task
    def outer() -> None:
        inner()

    @flow(task_runner=ONE)
    def f() -> None:
        with tags("red"):
            outer.submit().result()

    f()
    assert runs(services)["inner-0"].tags == ("red",)


def test_a_task_in_a_child_is_cached_by_the_flows_parameters(services: Services) -> None:
    @task(cache_policy=FLOW_PARAMETERS)
    def inner() -> int:
        return os.getpid()

    @task
    def outer() -> int:
        return inner()

    @flow(task_runner=ONE, validate_parameters=False)
    def f(x: Any) -> int:
        return outer.submit().result()

    assert f(1) == f(1)
    assert f(2) != f(1)
    f(threading.Lock())  # it can't be sent, so nothing may be cached by it
    states = [run.state for run in services.runs.runs(RunQuery(unit="inner"))]
    assert sum(state.name == "Cached" for state in states) == 2


def test_an_initializer_that_can_not_be_sent_is_said() -> None:
    lock = threading.Lock()

    @flow(task_runner=ProcessPoolTaskRunner(1, initializer=lambda: lock.acquire()))
    def f() -> None:
        where.submit()

    with pytest.raises(NotSendable, match="the initializer"):
        f()


def test_what_a_task_submits_and_nobody_asks_for_fails_it() -> None:
    @task
    def inner() -> None:
        raise ValueError("inside")

    @task
    def outer() -> None:
        inner.submit()

    @flow(task_runner=ONE)
    def f() -> str:
        future = outer.submit()
        future.wait()
        return str(future.state.message)

    assert "ValueError: inside; its result was never requested" in f()


def test_large_values_travel() -> None:
    @task
    def back(value: bytes) -> bytes:
        return value

    @flow(task_runner=ONE)
    def f() -> int:
        return len(back.submit(bytes(20_000_000)).result())

    assert f() == 20_000_000


def test_many_lives_share_few_processes() -> None:
    @task
    def double(x: int) -> int:
        return x * 2

    @flow(task_runner=ProcessPoolTaskRunner(max_workers=2))
    def g() -> Any:
        return double.map(iter(range(300)), max_in_flight=20).result()

    assert g() == [x * 2 for x in range(300)]


def test_options_are_checked() -> None:
    with pytest.raises(ConfigurationError, match="ProcessPoolTaskRunner: max_workers=0"):
        ProcessPoolTaskRunner(max_workers=0)


def test_a_task_knows_its_attempt_in_its_process(tmp_path: Path) -> None:
    path = tmp_path / "attempts"

    @task(retries=2)
    def flaky() -> None:
        with path.open("a") as file:
            file.write(f"{task_run.run_count} {task_run.state and task_run.state.name}\n")
        if task_run.run_count < 3:
            raise ValueError("not yet")

    @flow(task_runner=ONE)
    def around() -> None:
        flaky.submit().result()

    around()
    assert path.read_text().splitlines() == ["1 Running", "2 Retrying", "3 Retrying"]
