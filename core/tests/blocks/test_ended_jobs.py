"""EndedJobs: what a process remembers of jobs whose service forgets them."""

from __future__ import annotations

from flowstone.blocks import JobStatus, Report
from flowstone.blocks.jobs import EndedJob, EndedJobs


def test_the_first_report_and_its_lines_stay() -> None:
    ended, report = EndedJobs(), Report(JobStatus.FAILED, "exit code 3")
    assert ended.find("a") is None
    ended.add("a", report, ["one", "two"])
    ended.add("a", Report(JobStatus.COMPLETED))
    assert ended.find("a") == EndedJob(report, ("one", "two"))


def test_those_that_ended_first_are_forgotten_first() -> None:
    ended = EndedJobs(most=2)
    for handle in ("a", "b", "c"):
        ended.add(handle, Report(JobStatus.COMPLETED))
    assert ended.find("a") is None
    assert ended.find("b")
    assert ended.find("c")
