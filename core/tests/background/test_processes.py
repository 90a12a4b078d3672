"""Task workers as programs: they are killed, and told to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import ExitStack, closing
from functools import partial
from random import Random
from time import monotonic, sleep
from typing import TYPE_CHECKING

import pytest

from flowstone.bootstrap import open_services
from flowstone.context.current import use_services
from flowstone.deployments.presence import find_served_tasks
from flowstone.records.runs import RunQuery
from flowstone.records.states import COMPLETED
from flowstone.settings import Settings
from flowstone_testing.programs import Home

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from flowstone.context.current import Services

    Start = Callable[..., subprocess.Popen[str]]

pytestmark = pytest.mark.slow

TASKS = """
import time
from pathlib import Path
from flowstone import task

@task(name="wait")
def wait_for(began: str, marker: str) -> str:
    Path(began).touch()
    while not Path(marker).exists():
        time.sleep(0.01)
    return Path(marker).read_text()

if __name__ == "__main__":
    wait_for.serve(limit=2)
"""
SENDING = """
import sys
from program import wait_for

print(wait_for.delay(*sys.argv[1:]).result(timeout=100))
"""


def wait_until(condition: Callable[[], object]) -> None:
    until = monotonic() + 100
    while not condition():
        assert monotonic() < until, "it did not happen"
        sleep(0.02)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path, os.environ)


@pytest.fixture
def start(home: Home) -> Iterator[Start]:
    """Give what starts programs; those that are left at the end are killed."""
    with ExitStack() as stack:

        def start(*command: object) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [sys.executable, *map(str, command)],
                env=home.environ,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            stack.callback(process.communicate)
            stack.callback(process.kill)
            return process

        yield start


@pytest.fixture
def kept(home: Home) -> Iterator[Services]:
    """Give services on the store that the programs have."""
    with use_services(open_services(Settings(home=home.path))) as current, closing(current):
        yield current


def test_a_worker_that_is_killed_is_followed_by_another(
    tmp_path: Path, start: Start, kept: Services
) -> None:
    """Sent by one program, begun by a worker that is killed, done by one that is told to stop."""
    program = tmp_path / "program.py"
    program.write_text(TASKS)
    (tmp_path / "sending.py").write_text(SENDING)
    began, marker = tmp_path / "began", tmp_path / "marker"

    sender = start(tmp_path / "sending.py", began, marker)
    first = start(program)
    wait_until(began.exists)
    first.kill()
    first.communicate()
    began.unlink()
    second = start(program)
    wait_until(began.exists)
    second.send_signal(signal.SIGTERM)
    wait_until(lambda: "SIGTERM" in (second.stderr or sys.stderr).readline())
    assert find_served_tasks() == {"program.wait_for"}
    marker.write_text("came back")
    assert sender.communicate(timeout=100)[0] == "came back\n"
    second.communicate(timeout=100)
    assert (sender.returncode, second.returncode) == (0, 0)
    (run,) = kept.runs.runs(RunQuery())
    assert (run.state.type, run.attempt) == (COMPLETED, 2)
    kinds = [event.kind.removeprefix("TaskRun") for _, event in kept.runs.events(run_id=run.id)]
    states = [kind for kind in kinds if kind != "LogWritten"]
    assert states == [
        "Scheduled",
        "Submitted",
        "Started",
        "Crashed",
        "Scheduled",
        "Submitted",
        "Started",
        "Completed",
    ]
    assert find_served_tasks() == set()


COUNTING = """
import time
from pathlib import Path
from flowstone import task

@task
def count(n: int, folder: str) -> int:
    time.sleep(0.05)
    with Path(folder, str(n)).open("a") as file:
        file.write("x")
    return n

if __name__ == "__main__":
    count.serve(limit=3)
"""
SENDING_MANY = """
import sys
from program import count

futures = [count.delay(n, sys.argv[1]) for n in range(60)]
print(sum(future.result(timeout=200) for future in futures))
"""


def has_gone_on(sender: subprocess.Popen[str], folder: Path, count: int) -> bool:
    return sender.poll() is not None or len(list(folder.iterdir())) >= count


@pytest.mark.check
def test_workers_that_are_killed_at_random_lose_nothing(
    tmp_path: Path, start: Start, kept: Services
) -> None:
    """Each call is done at least once, and its state says so; no slot and no call is left."""
    random = Random(7)
    program, folder = tmp_path / "program.py", tmp_path / "counted"
    program.write_text(COUNTING)
    (tmp_path / "sending.py").write_text(SENDING_MANY)
    folder.mkdir()

    sender = start(tmp_path / "sending.py", folder)
    workers = [start(program) for _ in range(3)]
    until = monotonic() + 200
    killed = 0
    while sender.poll() is None:
        assert monotonic() < until, "it did not end"
        before = len(list(folder.iterdir()))
        wait_until(partial(has_gone_on, sender, folder, min(60, before + 6)))
        if killed < 8:
            number = random.randrange(3)
            workers[number].kill()
            workers[number].communicate()
            workers[number] = start(program)
            killed += 1
    assert sender.communicate()[0] == f"{sum(range(60))}\n"
    for worker in workers:
        worker.send_signal(signal.SIGTERM)
        worker.communicate(timeout=100)
    assert killed >= 5
    runs = kept.runs.runs(RunQuery())
    assert {run.state.type for run in runs} == {COMPLETED}
    assert len(runs) == len(list(folder.iterdir())) == 60
    assert kept.documents.find("background-call:", prefix=True) == []
    assert kept.slots.list_slots() == []


def test_a_task_that_was_typed_is_not_sent(home: Home) -> None:
    typed = "from flowstone import task\ntask(name='typed')(lambda: None).delay()"
    done = home.execute([sys.executable, "-c", typed])
    assert "task 'typed': it was typed at a prompt, or passed with -c" in done.err
