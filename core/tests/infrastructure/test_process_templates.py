"""Processes that are copies of a template: as if they had been started, only sooner."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import pytest

from flowstone.blocks.jobs import JobStatus, Report
from flowstone.blocks.jobs.processes import read_start_time
from flowstone.context.current import services
from flowstone.deployments import Deployment, run_deployment
from flowstone.deployments.documents import save_deployment
from flowstone.infrastructure import ProcessInfrastructure
from flowstone.infrastructure.process import ProcessProvider
from flowstone.infrastructure.process_templates import CAN_COPY, ProcessTemplate
from flowstone.records.states import StateType
from flowstone.settings import make_child_environ
from flowstone_testing import InfrastructureSuite
from flowstone_testing.groups import is_group_alive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from flowstone.infrastructure import Infrastructure

pytestmark = pytest.mark.skipif(not CAN_COPY, reason="only Linux has what templates need")

FLOWSTONE = (sys.executable, "-m", "flowstone")


def wait_until(condition: Callable[[], object]) -> None:
    until = monotonic() + 60
    while not condition():
        assert monotonic() < until, "it did not happen"
        sleep(0.01)


@pytest.fixture(scope="module")
def prepared() -> ProcessInfrastructure:
    infrastructure = ProcessInfrastructure()
    assert infrastructure.prepare()
    wait_until(lambda: infrastructure.is_prepared)
    return infrastructure


class TestCopies(InfrastructureSuite):
    @pytest.fixture
    def infrastructure(self, prepared: ProcessInfrastructure) -> Infrastructure:
        return prepared

    @pytest.fixture
    def alive(self) -> Callable[[str], bool]:
        return is_group_alive


@pytest.fixture
def template(home: Path) -> Iterator[ProcessTemplate]:
    made = ProcessTemplate(make_child_environ(services().settings))
    wait_until(lambda: made.is_ready)
    yield made
    made.close()


LOOK = """
import json, os, sys
from pathlib import Path
from flowstone import flow

@flow
def look(place: str) -> None:
    facts = {
        "parent": os.getppid(),
        "leads": os.getpgid(0) == os.getpid(),
        "folder": os.getcwd(),
        "path": sys.path[0],
        "input": os.readlink("/proc/self/fd/0"),
        "env": dict(os.environ),
    }
    Path(place).write_text(json.dumps(facts))
    if "STAY" in os.environ:
        os.read(os.open(os.environ["STAY"], os.O_RDONLY), 1)
    sys.exit(int(os.environ.get("CODE", "0")))
"""


class Look:
    """A run that tells how it is executed."""

    def __init__(self, folder: Path, template: ProcessTemplate | None) -> None:
        self._place = folder / "facts.json"
        (folder / "look.py").write_text(LOOK)
        save_deployment(Deployment("x", "look", f"{folder / 'look.py'}:look"))
        self.run = run_deployment("look/x", {"place": str(self._place)}, timeout=0)
        self._template = template

    def start(self, folder: Path | None = None, **env: str) -> tuple[ProcessProvider, str]:
        command = (*FLOWSTONE, "run", "execute", self.run.id)
        provider = ProcessProvider(command, env, folder, False, self._template)
        return provider, provider.start()

    def read(self) -> dict[str, Any]:
        wait_until(lambda: self._place.exists() and self._place.read_text())
        facts: dict[str, Any] = json.loads(self._place.read_text())
        return facts


@pytest.fixture
def look(tmp_path: Path, template: ProcessTemplate) -> Look:
    return Look(tmp_path, template)


def await_end(provider: ProcessProvider, handle: str) -> Report:
    wait_until(lambda: provider.report(handle).status.ended)
    return provider.report(handle)


def test_a_copy_is_as_if_it_had_been_started(
    look: Look, template: ProcessTemplate, tmp_path: Path
) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    provider, handle = look.start(folder, COLOUR="grün")
    facts = look.read()
    assert facts["parent"] == template.pid
    assert facts["leads"]
    assert facts["input"] == "/dev/null"
    assert facts["folder"] == str(folder)
    assert facts["path"] in {str(folder), str(tmp_path)}  # that of the flow's file may come first
    assert facts["env"]["COLOUR"] == "grün"
    assert facts["env"]["PATH"] == os.environ["PATH"]
    await_end(provider, handle)


@pytest.mark.parametrize("code", ["0", "7"])
def test_how_a_copy_ended_is_known(look: Look, code: str) -> None:
    provider, handle = look.start(CODE=code)
    report = await_end(provider, handle)
    # Leaving the process crashes the run, which the command tells by its own code.
    assert report == Report(JobStatus.FAILED, "its process ended with exit code 3")
    assert services().runs.run(look.run.id).state.type is StateType.CRASHED


def test_a_variable_that_python_reads_at_its_start_takes_a_new_process(look: Look) -> None:
    provider, handle = look.start(PYTHONDONTWRITEBYTECODE="1", TZ="Asia/Tokyo")
    assert look.read()["parent"] == os.getpid()
    await_end(provider, handle)


def test_what_was_copied_outlives_its_template(
    look: Look, template: ProcessTemplate, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "stay")
    provider, handle = look.start(STAY=str(tmp_path / "stay"))
    look.read()
    os.kill(template.pid, signal.SIGKILL)
    wait_until(lambda: template.has_ended)
    assert provider.report(handle).status is JobStatus.RUNNING
    provider.kill(handle)
    assert await_end(provider, handle).status is JobStatus.COMPLETED  # how, nobody knows


def test_where_the_template_was_killed_a_new_process_is_started(
    look: Look, template: ProcessTemplate
) -> None:
    os.kill(template.pid, signal.SIGKILL)
    provider, handle = look.start()
    assert look.read()["parent"] == os.getpid()
    await_end(provider, handle)


def test_a_template_ends_with_its_worker() -> None:
    code = (
        "import os; from flowstone.infrastructure.process_templates import ProcessTemplate as T;"
        "t = T(os.environ); print(t.pid, flush=True); input()"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe) as worker:
        assert worker.stdout is not None
        pid = int(worker.stdout.readline())
        started = read_start_time(pid)
        assert started
        worker.kill()
    wait_until(lambda: read_start_time(pid) != started)
