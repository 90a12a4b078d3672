"""JobSuite bites: a provider with one fault fails the test that is named for it."""

from __future__ import annotations

import pytest

# Loaded before pytester takes its snapshot of modules, so that there is one of each.
from flowstone.blocks import ShellOperation
from flowstone_testing.conformance.job import JobSuite

from .test_mutants import body, named, run

pytestmark = [pytest.mark.slow, pytest.mark.check]  # of the kit, which few changes touch

pytest_plugins = ["pytester"]
__all__ = ["ShellOperation"]

SOURCE = """
import os, secrets, signal, time, pytest
from contextlib import suppress
from pathlib import Path
from flowstone.blocks import JobRun, JobStatus, Report, ShellOperation
from flowstone.blocks.jobs.shell import Handle, ShellProvider
from flowstone.errors import *
from flowstone_testing.conformance.job import JobSuite

def group_alive(handle):
    return members(handle.split("/")[1]) > 0

def members(group):
    count = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            facts = path.read_text().rpartition(")")[2].split()
            count += facts[2] == group and facts[0] not in "ZX"
    return count

class Provider(ShellProvider):
    pass
{provider}

class Mutant(ShellOperation):
    def make_provider(self): return Provider(self, self._started)
{job}

class TestMutant(JobSuite):
    wanted = lines = ["one", "two", "three"]

    @pytest.fixture
    def good(self): return Mutant(commands=["echo one", "echo two", "echo three"])
    @pytest.fixture
    def bad(self):
        secret = "canary-" + secrets.token_hex(12)
        return Mutant(commands=["exit 3"], secret_env={{"TOKEN": secret}})
    @pytest.fixture
    def long(self): return Mutant(commands=["sleep 8 & sleep 8"])
    @pytest.fixture
    def alive(self): return group_alive
"""

FAULTS = {
    "none": ("", ""),
    "a handle that nobody keeps": (
        "def _record(self, handle): pass",
        """test_the_handle_is_kept_before_anybody_waits
        test_a_run_tells_the_jobs_that_it_has_triggered""",
    ),
    "a handle that is kept when somebody waits": (
        """
        def _record(self, handle): self._started.append("late " + handle)
        def make_provider(self):
            job = self
            class Late(ShellProvider):
                def report(self, handle):
                    if "late " + handle in job._started:
                        job._started.remove("late " + handle)
                        ShellOperation._record(job, handle)
                    return super().report(handle)
            return Late(self, self._started)
        """,
        "test_the_handle_is_kept_before_anybody_waits",
    ),
    "a child that is left": (
        """
        def cancel(self, handle):
            group = handle.split("/")[1]
            while members(group) == 1: time.sleep(0.01)  # until there is a child to leave
            os.kill(int(group), signal.SIGKILL)
        """,
        """test_a_cancelled_job_is_gone test_another_process_may_attach
        test_leaving_its_block_cancels test_a_cancelled_coroutine_takes_its_job_along
        test_a_stopped_run_takes_its_job_along""",
    ),
    "a look that waits": (
        """
        def report(self, handle):
            while not (report := super().report(handle)).status.ended: time.sleep(0.01)
            return report
        """,
        "test_waiting_has_an_end",
    ),
    "a failure taken for success": (
        """
        def report(self, handle):
            report = super().report(handle)
            failed = report.status is JobStatus.FAILED
            return Report(JobStatus.COMPLETED) if failed else report
        """,
        "test_a_bad_job_is_an_error test_an_error_shows_no_secret",
    ),
    "a failure that shows all": (
        """
        @property
        def where(self):
            return repr([value.get_secret_value() for value in self._job.secret_env.values()])
        """,
        "test_an_error_shows_no_secret",
    ),
    "the last line is lost": (
        """
        def _logger(self):
            say = super()._logger()
            return lambda line: line == "three" or say(line)
        """,
        "test_its_lines_are_in_the_log_of_the_run",
    ),
    "lines that come twice": (
        "streams = False",
        "test_its_lines_are_in_the_log_of_the_run",
    ),
    "all lines, each time": (
        "def read_logs(self, handle, seen): return super().read_logs(handle, 0)",
        "test_its_lines_can_be_asked_for",
    ),
    "no lines": ("def read_logs(self, handle, seen): return []", "test_its_lines_can_be_asked_for"),
    "no result": (
        "def read_result(self, handle): return None",
        """test_a_good_job_gives_its_result test_what_has_ended_can_not_be_cancelled
        test_the_async_twins_do_the_same""",
    ),
    "a cancel that rewrites history": (
        """
        def trigger(self):
            class Other(JobRun):
                def cancel(self):
                    super().cancel()
                    self._last = Report(JobStatus.CANCELLED)
            run = super().trigger()
            return Other(run._provider, run.handle)
        """,
        """test_what_has_ended_can_not_be_cancelled
        test_what_is_common_comes_from_the_interface""",
    ),
    "a run that asks for more": (
        """
        def trigger(self, level):
            return super().trigger()
        """,
        "test_what_is_common_comes_from_the_interface",
    ),
    "a wait that lets go": (
        """
        def trigger(self):
            class Other(JobRun):
                def __exit__(self, *_): pass
                def wait(self, timeout_seconds=None):
                    while not self.status().ended: time.sleep(0.01)
                async def await_for_completion(self, timeout_seconds=None):
                    import asyncio
                    while not self.status().ended: await asyncio.sleep(0.01)
            run = super().trigger()
            return Other(run._provider, run.handle)
        """,
        """test_a_stopped_run_takes_its_job_along test_leaving_its_block_cancels
        test_a_cancelled_coroutine_takes_its_job_along""",
    ),
    "a handle of this process only": (
        """
        def report(self, handle):
            if not isinstance(handle, Handle): raise JobLost("here", "not mine", "Ask another.")
            return super().report(handle)
        """,
        "test_another_process_may_attach",
    ),
    "what is not known is done": (
        """
        def report(self, handle):
            try: return super().report(handle)
            except JobLost: return Report(JobStatus.COMPLETED)
        """,
        "test_an_unknown_job_is_lost",
    ),
    "one job at a time": (
        """
        def start(self):
            return self._started[0] if self._started else super().start()
        """,
        "test_several_run_beside_each_other",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(pytester: pytest.Pytester, fault: str) -> None:
    text, tests = FAULTS[fault]
    is_job = any(name in text for name in ("trigger", "_record"))
    provider, job = ("", text) if is_job else (text, "")
    run(pytester, SOURCE.format(provider=body(provider), job=body(job)), tests)


def test_each_standard_test_has_a_mutant() -> None:
    standard = {name for name in dir(JobSuite) if name.startswith("test_")}
    assert named(*(tests for _, tests in FAULTS.values())) == standard
