"""Task workers as programs: they are killed, and told to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
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
    from collections.abc import Callable
    from pathlib import Path

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


def test_a_worker_that_is_killed_is_followed_by_another(tmp_path: Path) -> None:
    """Sent by one program, begun by a worker that is killed, done by one that is told to stop."""
    home = Home(tmp_path, os.environ)
    program = tmp_path / "program.py"
    program.write_text(TASKS)
    (tmp_path / "sending.py").write_text(SENDING)
    began, marker = tmp_path / "began", tmp_path / "marker"

    def start(*command: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *map(str, command)],
            env=home.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    with ExitStack() as stack, use_services(open_services(Settings(home=home.path))) as kept:
        stack.callback(kept.close)
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
