"""What a provider may add to its jobs: a page to look at, a time limit, methods, another block."""

from __future__ import annotations

import asyncio

import pytest

from flowstone import flow, task
from flowstone.blocks import Job, JobProvider, JobRun, JobStatus, Report
from flowstone.context.current import services
from flowstone.errors import JobCancelled, JobFailed, JobTimeout, Unreachable
from flowstone.flow_runs import cleanup_flow_run
from flowstone.records.events import ExternalHandle
from flowstone.records.runs import RunQuery
from flowstone.testing import flowstone_test_harness

PAGE = "https://example.org/runs/1"


class LaundryRun(JobRun):
    """A load, which can say how warm it is."""

    def measure(self) -> int:
        return 40


class Laundry(Job):
    """A job that others may cancel, too."""

    status: JobStatus = JobStatus.RUNNING
    timeout_seconds: float | None = None
    owner: str | None = None

    def make_provider(self) -> JobProvider:
        return Machine(self)

    def make_run(
        self, provider: JobProvider, handle: str, external: ExternalHandle | None = None
    ) -> LaundryRun:
        return LaundryRun(provider, handle, external)

    def name_in_handles(self) -> str:
        return self.owner or super().name_in_handles()


class Machine(JobProvider):
    where = "laundry"

    def __init__(self, laundry: Laundry) -> None:
        self._laundry, self.timeout_seconds = laundry, laundry.timeout_seconds

    def start(self) -> str:
        return "1"

    def report(self, handle: str) -> Report:
        return Report(self._laundry.status, url=PAGE)

    def cancel(self, handle: str) -> None:
        self._laundry.status = JobStatus.CANCELLED


def test_the_page_of_a_job_is_in_its_errors() -> None:
    for status, kind in ((JobStatus.FAILED, JobFailed), (JobStatus.CANCELLED, JobCancelled)):
        with pytest.raises(kind, match=PAGE):
            Laundry(status=status).run()


def test_a_job_has_a_time_limit_of_its_own() -> None:
    run = Laundry(timeout_seconds=0.01).trigger()
    for wait in (run.wait, run.result):
        with pytest.raises(JobTimeout, match=PAGE):
            wait()
    with pytest.raises(JobTimeout, match="within 0 s"):
        run.wait(timeout_seconds=0)


def test_the_last_look_is_after_the_time_limit() -> None:
    looks = 0

    class Slow(Machine):
        def report(self, handle: str) -> Report:
            nonlocal looks
            looks += 1
            return Report(JobStatus.RUNNING if looks == 1 else JobStatus.COMPLETED)

    JobRun(Slow(Laundry()), "1").wait(timeout_seconds=0)
    assert looks == 2


def test_who_waits_bears_an_outage() -> None:
    class Remote(Machine):
        outage_seconds = 60.0
        left = 3

        def report(self, handle: str) -> Report:
            self.left -= 1
            if self.left:
                raise Unreachable(self.where, "no answer", "Try again later.")
            return Report(JobStatus.COMPLETED)

    class Gone(Remote):
        outage_seconds = 0.0

    JobRun(Remote(Laundry()), "1").wait()
    asyncio.run(JobRun(Remote(Laundry()), "1").await_for_completion())
    with pytest.raises(Unreachable):
        JobRun(Gone(Laundry()), "1").wait()


def test_a_run_has_methods_of_its_own() -> None:
    laundry = Laundry(status=JobStatus.COMPLETED)
    for run in (laundry.trigger(), laundry.attach("1")):
        assert isinstance(run, LaundryRun)
        assert run.measure() == 40


def test_another_block_may_reach_what_a_job_started() -> None:
    @flow
    def start() -> str:
        return Laundry(owner="laundry/kept").trigger().handle

    with flowstone_test_harness():
        kept = Laundry(status=JobStatus.COMPLETED)
        kept.save("kept")
        assert start() == "1"
        (run,) = services().runs.runs(RunQuery())
        assert Laundry(owner="laundry/kept").triggered_in(run.id) == ["1"]
        assert kept.triggered_in(run.id) == ["1"]
        (found,) = cleanup_flow_run(run.id)
    assert found.error is None
    assert found.work.handle.block == "laundry/kept"


def test_who_attaches_to_a_job_of_the_same_flow_records_its_end() -> None:
    @task
    def begin() -> str:
        return Laundry(status=JobStatus.COMPLETED).trigger().handle

    @flow
    def follow() -> None:
        Laundry(status=JobStatus.COMPLETED).attach(begin()).wait()

    with flowstone_test_harness():
        follow()
        (run,) = [run for run in services().runs.runs(RunQuery()) if run.kind == "flow"]
        assert cleanup_flow_run(run.id) == []
