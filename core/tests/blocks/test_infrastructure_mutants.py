"""InfrastructureSuite bites: an infrastructure with one fault fails the test named for it."""

from __future__ import annotations

import pytest

# Loaded before pytester takes its snapshot of modules, so that there is one of each.
from flowstone.infrastructure import ProcessInfrastructure
from flowstone_testing.conformance.infrastructure import InfrastructureSuite

from .test_mutants import body, named, run

pytestmark = [pytest.mark.slow, pytest.mark.check]  # of the kit, which few changes touch

pytest_plugins = ["pytester"]
__all__ = ["ProcessInfrastructure"]

SOURCE = """
import os, signal, subprocess, pytest
from flowstone.blocks.jobs import JobStatus, Report
from flowstone.blocks.jobs.processes import name_process, read_process_name
from flowstone.errors import *
from flowstone.infrastructure import *
from flowstone.infrastructure.process import ProcessProvider
from flowstone_testing import InfrastructureSuite
from flowstone_testing.groups import is_group_alive
from pydantic import BaseModel, ConfigDict, Field

started = []

class Recorded(ProcessProvider):
    def start(self):
        try:
            return super().start()
        finally:
            if self._process is not None: started.append(self._process)

class Provider(Recorded):
{provider}

class Mutant(ProcessInfrastructure):
    def make_provider(self, job):
        made = super().make_provider(job)
        made.__class__ = Provider
        return made
    def attach(self, variables):
        made = super().attach(variables)
        made.__class__ = Provider
        return made
{infrastructure}

class TestMutant(InfrastructureSuite):
    patience = 4.0 if {is_mutant} else 60.0

    @pytest.fixture
    def infrastructure(self): return Mutant()
    @pytest.fixture
    def alive(self): return is_group_alive

    @pytest.fixture(autouse=True)
    def end_processes(self):
        yield
        while started:
            process = started.pop()
            if process.poll() is None: os.killpg(process.pid, signal.SIGKILL)
            process.wait()
"""

#: Faults of the provider.
PROVIDERS = {
    "none": ("", ""),
    "another program": (
        """
        def start(self):
            self._command = ("true",)
            return super().start()
        """,
        "test_a_job_executes_its_run test_a_command_takes_the_place_of_the_usual_one",
    ),
    "no environment": (
        """
        def start(self):
            self._env = {}
            return super().start()
        """,
        "test_a_job_has_its_environment",
    ),
    "a failure taken for success": (
        """
        def report(self, handle):
            report = super().report(handle)
            return Report(JobStatus.COMPLETED) if report.status.ended else report
        """,
        """test_a_job_that_fails_says_why test_two_jobs_are_told_apart
        test_a_job_that_is_cancelled_may_clean_up""",
    ),
    "a failure without a reason": (
        """
        def report(self, handle):
            return Report(super().report(handle).status)
        """,
        "test_a_job_that_fails_says_why",
    ),
    "a start that waits": (
        """
        def start(self):
            handle = super().start()
            try: self._process.wait(3)
            except subprocess.TimeoutExpired: self.kill(handle)
            self._process.wait()
            return handle
        """,
        "test_a_job_is_started_and_not_waited_for",
    ),
    "a cancel that kills": (
        "def cancel(self, handle): self.kill(handle)",
        "test_a_job_that_is_cancelled_may_clean_up",
    ),
    "a kill that asks": (
        "def kill(self, handle): self.cancel(handle)",
        "test_a_job_that_does_not_listen_is_killed",
    ),
    "an end that may be asked for once": (
        """
        def cancel(self, handle):
            if self.report(handle).status.ended: raise JobLost("here", "it is gone", "Look.")
            super().cancel(handle)
        """,
        "test_what_has_ended_may_be_ended_again",
    ),
    "a job of one worker": (
        """
        def report(self, handle):
            if self._process is None: return Report(JobStatus.COMPLETED)
            return super().report(handle)
        """,
        "test_another_worker_finds_a_job_by_its_handle",
    ),
    "what is not known runs": (
        """
        def report(self, handle):
            if self._process is None: return Report(JobStatus.RUNNING)
            return super().report(handle)
        """,
        "test_a_handle_of_no_job_is_none_that_runs",
    ),
    "a start that fails in silence": (
        """
        def start(self):
            try: return super().start()
            except JobError: pass
            self._command = ("true",)
            return super().start()
        """,
        "test_a_program_that_is_not_there_is_told",
    ),
}
#: Faults of the infrastructure.
OTHERS = {
    "variables of another kind": (
        """
        class variables(JobVariables):
            model_config = ConfigDict(extra="allow")
            stream_output: bool = Field(True, description="x")
            working_dir: str | None = Field(None, description="x")
        def make_provider(self, job):
            return Provider(job.command or ("true",), job.env)
        def attach(self, variables): return Provider()
        """,
        "test_variables_are_checked",
    ),
}


@pytest.mark.parametrize("fault", [*PROVIDERS, *OTHERS])
def test_a_fault_is_found(pytester: pytest.Pytester, fault: str) -> None:
    text, tests = {**PROVIDERS, **OTHERS}[fault]
    provider, infrastructure = ("", text) if fault in OTHERS else (text, "")
    source = SOURCE.format(
        provider=body(provider), infrastructure=body(infrastructure), is_mutant=bool(tests)
    )
    run(pytester, source, tests)


def test_each_standard_test_has_a_mutant() -> None:
    standard = {name for name in dir(InfrastructureSuite) if name.startswith("test_")}
    assert named(*(tests for _, tests in {**PROVIDERS, **OTHERS}.values())) == standard
