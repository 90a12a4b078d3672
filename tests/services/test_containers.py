"""Containers: their output, their exit codes, their ends."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest
from tests.services.containers import Containers, keep_containers

if TYPE_CHECKING:
    from collections.abc import Iterator

SLEEP = "import time; print('begun', flush=True); time.sleep(600)"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"


@pytest.fixture
def containers() -> Iterator[Containers]:
    with keep_containers() as found:
        yield found


def wait_for_line(containers: Containers) -> None:
    """A container that has written something has begun, and has set its signals."""
    container = containers.all[-1]
    with container._changed:
        assert container._changed.wait_for(lambda: container._lines, 30)


def test_its_lines_and_its_exit_code_are_those_of_the_process(containers: Containers) -> None:
    code = "import os, sys; print(os.environ['A']); print('bad', file=sys.stderr); sys.exit(3)"
    container = containers.start([sys.executable, "-c", code], {"A": "one"})
    assert container.wait(30)
    assert container.exit_code == 3
    assert sorted((line.stream, line.text) for line in container.lines) == [
        ("stderr", "bad"),
        ("stdout", "one"),
    ]
    assert container.ended_at is not None
    assert container.started_at <= container.lines[0].at <= container.ended_at
    assert container.seconds > 0
    assert not container.was_stopped


def test_the_environment_of_the_tests_is_not_in_it(
    containers: Containers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONLY_OF_THE_TESTS", "1")
    container = containers.start(["/usr/bin/env"])
    assert container.wait(30)
    assert "ONLY_OF_THE_TESTS" not in container.text


def test_one_that_is_asked_to_end_does(containers: Containers) -> None:
    container = containers.start([sys.executable, "-c", SLEEP])
    assert containers.wait_for_running() is container
    container.stop()
    assert container.wait(30)
    assert container.exit_code == 128 + 15
    assert container.was_stopped


def test_one_that_does_not_listen_is_killed(containers: Containers) -> None:
    container = containers.start([sys.executable, "-c", DEAF])
    wait_for_line(containers)
    container.stop(0.2)
    assert container.wait(30)
    assert container.exit_code == 128 + 9


def test_its_time_has_an_end(containers: Containers) -> None:
    container = containers.start([sys.executable, "-c", SLEEP], timeout_seconds=0.5)
    assert container.wait(30)
    assert (container.timed_out, container.exit_code) == (True, 128 + 9)


def test_what_it_has_started_ends_with_it(containers: Containers) -> None:
    code = "import subprocess; print(subprocess.Popen(['sleep', '600']).pid)"
    container = containers.start([sys.executable, "-c", code])
    assert container.wait(30)
    with pytest.raises(ProcessLookupError):
        while True:  # a killed process of nobody's is there until init has seen it
            os.kill(int(container.text), 0)


def test_what_still_runs_ends_with_the_fake() -> None:
    with keep_containers() as containers:
        container = containers.start([sys.executable, "-c", SLEEP])
    assert (container.is_running, container.exit_code) == (False, 128 + 9)


def test_an_unknown_program_is_an_error(containers: Containers) -> None:
    with pytest.raises(FileNotFoundError):
        containers.start(["flowstone-has-no-such-program"])
