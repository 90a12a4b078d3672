"""InfrastructureSuite: the standard tests of everything that executes runs of work pools."""

from __future__ import annotations

import secrets
from contextlib import closing
from time import monotonic, sleep
from typing import TYPE_CHECKING, ClassVar

import pytest
from pydantic import ValidationError

from flowstone.blocks.jobs import JobStatus
from flowstone.bootstrap import open_services
from flowstone.context.current import use_services
from flowstone.deployments import Deployment, run_deployment
from flowstone.deployments.documents import save_deployment
from flowstone.errors import JobError, JobLost
from flowstone.infrastructure import Infrastructure, JobVariables, RunJob
from flowstone.records.states import StateType
from flowstone.settings import Settings
from flowstone_testing.conformance.suite import Suite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from flowstone.blocks.jobs import JobProvider, Report
    from flowstone.context.current import Services
    from flowstone.records.runs import Run

FLOW = """
import os
from pathlib import Path
from flowstone import flow

@flow
def write(place: str, name: str = "CANARY") -> None:
    Path(place).write_text(os.environ.get(name, ""))
"""


class InfrastructureSuite(Suite):
    """Join with two fixtures: `infrastructure`, and `alive`, which inspects the jobs.

    The jobs must be able to access files of this machine. `alive` takes a handle and returns
    whether that job runs, without using the provider.

    Attributes:
        variables: the job variables that each job needs, by name.
        shell: the command that runs a script: the program and its arguments before the script.
        patience: maximum duration of a job, in seconds.
    """

    kind = "infrastructure"

    variables: ClassVar[Mapping[str, object]] = {}
    shell: ClassVar[tuple[str, ...]] = ("/bin/sh", "-c")
    patience: ClassVar[float] = 60.0

    @pytest.fixture
    def infrastructure(self) -> Infrastructure:
        raise NotImplementedError("give the suite a fixture `infrastructure`")

    @pytest.fixture
    def alive(self) -> Callable[[str], bool]:
        raise NotImplementedError("give the suite a fixture `alive`")

    @pytest.fixture(autouse=True)
    def services(self, tmp_path: Path) -> Iterator[Services]:
        """Provide services on a store that the jobs use, too."""
        current = open_services(Settings(home=tmp_path / "flowstone-home"))
        with use_services(current), closing(current):
            yield current

    @pytest.fixture
    def run(self, tmp_path: Path) -> Run:
        """Provide a pending run: its flow writes the variable CANARY to the file ``written``."""
        (tmp_path / "suite_flow.py").write_text(FLOW)
        entrypoint = f"{tmp_path / 'suite_flow.py'}:write"
        save_deployment(Deployment("suite", "write", entrypoint))
        place = str(tmp_path / "written")
        return run_deployment("write/suite", {"place": place}, timeout=0)

    # ------------------------------------------------------------ execution

    def test_a_job_executes_its_run(
        self, infrastructure: Infrastructure, run: Run, services: Services, tmp_path: Path
    ) -> None:
        """Look at `make_provider`: the job executes ``flowstone run execute RUN_ID``.

        Args:
            infrastructure: the infrastructure.
            run: the run to execute.
            services: the services that the job uses, too.
            tmp_path: the directory of its output.
        """
        provider = self._make_provider(infrastructure, run)
        assert self._await_end(provider, provider.start()).status is JobStatus.COMPLETED
        assert services.runs.run(run.id).state.type is StateType.COMPLETED
        assert (tmp_path / "written").exists()

    def test_a_job_has_its_environment(
        self, infrastructure: Infrastructure, run: Run, tmp_path: Path
    ) -> None:
        """Look at `env` of the job: it is added to the worker's variables.

        Args:
            infrastructure: the infrastructure.
            run: the run to execute.
            tmp_path: the directory of its output.
        """
        canary = f"ü '\" $x\n{secrets.token_hex(8)}"
        provider = self._make_provider(infrastructure, run, env={"CANARY": canary})
        self._await_end(provider, provider.start())
        assert (tmp_path / "written").read_text() == canary

    def test_a_command_takes_the_place_of_the_usual_one(
        self, infrastructure: Infrastructure, run: Run, services: Services, tmp_path: Path
    ) -> None:
        """Look at `command` of the job.

        Args:
            infrastructure: the infrastructure.
            run: the run to execute.
            services: the services that the job uses, too.
            tmp_path: the directory of its output.
        """
        script = f'printf "$0" > "{tmp_path}/written"'
        provider = self._make_provider(infrastructure, run, script)
        assert self._await_end(provider, provider.start()).status is JobStatus.COMPLETED
        assert (tmp_path / "written").read_text() == run.id
        assert services.runs.run(run.id).state.type is StateType.SCHEDULED

    def test_a_job_that_fails_says_why(self, infrastructure: Infrastructure, run: Run) -> None:
        """Look at `report`: a job that failed is FAILED, with the reason."""
        provider = self._make_provider(infrastructure, run, "exit 3")
        report = self._await_end(provider, provider.start())
        assert report.status is JobStatus.FAILED
        assert "3" in report.problem

    def test_two_jobs_are_told_apart(self, infrastructure: Infrastructure, run: Run) -> None:
        """Look at the handles: each job has its own."""
        good, bad = (self._make_provider(infrastructure, run, f"exit {n}") for n in (0, 1))
        handles = good.start(), bad.start()
        assert handles[0] != handles[1]
        assert self._await_end(bad, handles[1]).status is JobStatus.FAILED
        assert self._await_end(good, handles[0]).status is JobStatus.COMPLETED

    # ------------------------------------------------------------ cancelling

    def test_a_job_is_started_and_not_waited_for(
        self, infrastructure: Infrastructure, run: Run, alive: Callable[[str], bool]
    ) -> None:
        """Look at `start` and `report`: both send one request and don't wait.

        Args:
            infrastructure: the infrastructure.
            run: the run to execute.
            alive: returns whether a job runs.
        """
        provider = self._make_provider(infrastructure, run, "sleep 600")
        handle = provider.start()
        try:
            assert not provider.report(handle).status.ended
            assert alive(handle)
        finally:
            provider.kill(handle)
        self._await_end(provider, handle)

    def test_a_job_that_is_cancelled_may_clean_up(
        self,
        infrastructure: Infrastructure,
        run: Run,
        alive: Callable[[str], bool],
        tmp_path: Path,
    ) -> None:
        """Look at `cancel`: it asks the job and its child processes to end, as SIGTERM does.

        Args:
            infrastructure: the infrastructure.
            run: the run to execute.
            alive: returns whether a job runs.
            tmp_path: the directory of its output.
        """
        began, ended = tmp_path / "began", tmp_path / "ended"
        # Started once its child has: a signal may get lost between a fork and its `exec`.
        child = f"sh -c 'echo > {began}; exec sleep 600'"
        script = f'trap "echo > {ended}; exit 1" TERM; {child} & wait'
        provider = self._make_provider(infrastructure, run, script)
        handle = provider.start()
        self._wait(began.exists)
        provider.cancel(handle)
        assert self._await_end(provider, handle).status is not JobStatus.COMPLETED
        assert ended.exists()
        self._wait(lambda: not alive(handle))

    def test_a_job_that_does_not_listen_is_killed(
        self,
        infrastructure: Infrastructure,
        run: Run,
        alive: Callable[[str], bool],
        tmp_path: Path,
    ) -> None:
        """Look at `kill`: no process of the job may be left.

        Args:
            infrastructure: the infrastructure.
            run: the run to execute.
            alive: returns whether a job runs.
            tmp_path: the directory of its output.
        """
        began = tmp_path / "began"
        script = f'trap "" TERM; echo > "{began}"; while :; do sleep 0.1; done'
        provider = self._make_provider(infrastructure, run, script)
        handle = provider.start()
        self._wait(began.exists)
        provider.kill(handle)
        assert self._await_end(provider, handle).status is not JobStatus.COMPLETED
        self._wait(lambda: not alive(handle))

    def test_what_has_ended_may_be_ended_again(
        self, infrastructure: Infrastructure, run: Run
    ) -> None:
        """Look at `cancel` and `kill`: for a job that has ended, they must do nothing."""
        provider = self._make_provider(infrastructure, run, "exit 0")
        handle = provider.start()
        self._await_end(provider, handle)
        provider.cancel(handle)
        provider.kill(handle)
        assert provider.report(handle).status is JobStatus.COMPLETED

    # ------------------------------------------------------------ other workers

    def test_another_worker_finds_a_job_by_its_handle(
        self, infrastructure: Infrastructure, run: Run, alive: Callable[[str], bool]
    ) -> None:
        """Look at `attach`: the handle alone must be enough to report on the job and end it.

        Args:
            infrastructure: the infrastructure.
            run: the run to execute.
            alive: returns whether a job runs.
        """
        first = self._make_provider(infrastructure, run, "sleep 600")
        handle = first.start()
        other = infrastructure.attach(self._make_variables(infrastructure))
        try:
            assert not other.report(handle).status.ended
        finally:
            other.kill(handle)
        self._await_end(first, handle)  # the one that started it notices, too
        self._wait(lambda: not alive(handle))
        # A service may report it to another worker a moment later.
        self._wait(lambda: self._has_ended(other, handle))

    def test_a_handle_of_no_job_is_none_that_runs(self, infrastructure: Infrastructure) -> None:
        """Look at `report`: a job that can't be found has ended, or is lost."""
        provider = infrastructure.attach(self._make_variables(infrastructure))
        assert self._has_ended(provider, "no/1/job")

    # ------------------------------------------------------------ job variables

    def test_variables_are_checked(self, infrastructure: Infrastructure) -> None:
        """Look at `variables`: a subclass of `JobVariables` refuses misspelled ones."""
        kind = infrastructure.variables
        assert issubclass(kind, JobVariables)
        with pytest.raises(ValidationError, match="extra_forbidden"):
            kind.model_validate({**self.variables, "no_such_variable": 1})
        properties = kind.model_json_schema()["properties"]
        assert {"name", "env", "labels", "command"} <= properties.keys()
        assert not [name for name, part in properties.items() if not part.get("description")]

    def test_a_program_that_is_not_there_is_told(
        self, infrastructure: Infrastructure, run: Run
    ) -> None:
        """Look at `start` and `report`: a job that can't run is a `JobError` or FAILED."""
        name = f"/no/such/program-{secrets.token_hex(4)}"
        job = self._make_job(infrastructure, run)._replace(command=(name, run.id))
        provider = infrastructure.make_provider(job)
        problem = ""
        try:
            report = self._await_end(provider, provider.start())
        except JobError as error:
            problem = str(error)
        else:
            problem = name if report.status is JobStatus.FAILED else ""
        assert name in problem

    # ------------------------------------------------------------ shared by the tests

    def _make_variables(self, infrastructure: Infrastructure) -> JobVariables:
        return infrastructure.variables.model_validate(self.variables)

    def _make_job(
        self,
        infrastructure: Infrastructure,
        run: Run,
        script: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> RunJob:
        command = None if script is None else (*self.shell, script, run.id)
        labels = {"flowstone/run": run.id}
        variables = self._make_variables(infrastructure)
        return RunJob(run.id, run.name, command, env or {}, labels, variables)

    def _make_provider(
        self,
        infrastructure: Infrastructure,
        run: Run,
        script: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> JobProvider:
        return infrastructure.make_provider(self._make_job(infrastructure, run, script, env))

    def _await_end(self, provider: JobProvider, handle: str) -> Report:
        self._wait(lambda: provider.report(handle).status.ended)
        return provider.report(handle)

    def _has_ended(self, provider: JobProvider, handle: str) -> bool:
        try:
            return provider.report(handle).status.ended
        except JobLost:
            return True

    def _wait(self, condition: Callable[[], object]) -> None:
        until = monotonic() + self.patience
        while not condition():
            assert monotonic() < until, "timed out: see `patience`"
            sleep(0.02)
