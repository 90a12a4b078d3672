"""JobSuite: the standard tests of all jobs that run elsewhere."""

from __future__ import annotations

import asyncio
from contextlib import closing, suppress
from inspect import signature
from traceback import format_exception
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from flowstone import flow, task
from flowstone.blocks import Job, JobRun, JobStatus
from flowstone.context.current import services as current_services
from flowstone.context.current import use_services
from flowstone.errors import JobCancelled, JobFailed, JobLost, JobTimeout, RunTimeout
from flowstone.records.events import ExternalHandle, LogLine
from flowstone.secrets.walk import secret_texts
from flowstone.testing.memory import memory_services
from flowstone_testing.conformance.suite import Suite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from flowstone.context.current import Services

#: The public methods that come from the interface, and those of its runs.
COMMON = ("trigger", "atrigger", "run", "arun", "attach", "triggered_in")
RUN_METHODS = (
    *("status", "logs", "wait", "wait_for_completion", "await_for_completion", "cancel"),
    *("acancel", "result", "aresult", "fetch_result", "afetch_result", "__exit__", "__aexit__"),
)


class JobSuite(Suite):
    """Join with four fixtures: the jobs `good`, `bad` and `long`, and `alive`, which inspects them.

    `good` writes `lines` and returns `wanted`; `bad` fails; `long` runs until it is cancelled.
    `alive` takes a handle and returns whether that job runs, without using the block: by the
    service's own client, or the system's process table.
    """

    kind = "block"
    interface = Job

    #: The result of `good`, and the lines that it writes, in order.
    wanted: ClassVar[Any] = None
    lines: ClassVar[Sequence[str]] = ()

    @pytest.fixture
    def good(self) -> Job:
        raise NotImplementedError("give the suite a fixture `good`")

    @pytest.fixture
    def bad(self) -> Job:
        raise NotImplementedError("give the suite a fixture `bad`")

    @pytest.fixture
    def long(self) -> Job:
        raise NotImplementedError("give the suite a fixture `long`")

    @pytest.fixture
    def alive(self) -> Callable[[str], bool]:
        raise NotImplementedError("give the suite a fixture `alive`")

    @pytest.fixture(autouse=True)
    def services(self, tmp_path: Path) -> Iterator[Services]:
        current = memory_services(tmp_path / "flowstone-home")
        with use_services(current), closing(current):
            yield current

    # ------------------------------------------------------------ results

    def test_a_good_job_gives_its_result(self, good: Job) -> None:
        """Look at `report`, which returns COMPLETED, and at `read_result`."""
        run = good.trigger()
        assert run.wait() is None  # type: ignore[func-returns-value]
        assert run.status() is JobStatus.COMPLETED
        assert run.result() == self.wanted
        assert run.fetch_result() == self.wanted
        assert good.run() == self.wanted

    def test_a_bad_job_is_an_error(self, bad: Job) -> None:
        """Look at `report`: a job that failed is FAILED, with the reason."""
        run = bad.trigger()
        for ask in (run.wait, run.wait_for_completion, run.result):
            with pytest.raises(JobFailed) as caught:
                ask()
            assert caught.value.handle == run.handle
        assert run.status() is JobStatus.FAILED

    def test_an_error_shows_no_secret(self, bad: Job) -> None:
        """Look at `where`, and at the problem that `report` returns."""
        with pytest.raises(JobFailed) as caught:
            bad.run()
        told = "".join(format_exception(caught.value)) + repr(caught.value.__dict__)
        assert not [text for text in secret_texts(bad) if text and text in told]

    def test_waiting_has_an_end(self, long: Job, alive: Callable[[str], bool]) -> None:
        """Look at `start` and `report`: both send one request and don't wait."""
        with long.trigger() as run:
            with pytest.raises(JobTimeout):
                run.wait(0.3)
            with pytest.raises(JobTimeout):
                run.result(timeout_seconds=0)
            assert not run.status().ended
            assert alive(run.handle)

    # ------------------------------------------------------------ cancelling

    def test_a_cancelled_job_is_gone(self, long: Job, alive: Callable[[str], bool]) -> None:
        """Look at `cancel`: does it reach everything that the job has started?"""
        run = long.trigger()
        assert alive(run.handle)
        run.cancel()
        assert not alive(run.handle)
        assert run.status() is JobStatus.CANCELLED
        with pytest.raises(JobCancelled):
            run.result()
        run.cancel()  # no error the second time

    def test_what_has_ended_can_not_be_cancelled(self, good: Job) -> None:
        """Look at `cancel` and `report`: a job that has completed stays COMPLETED."""
        run = good.trigger()
        run.wait()
        run.cancel()
        assert run.status() is JobStatus.COMPLETED
        assert run.result() == self.wanted

    def test_leaving_its_block_cancels(self, long: Job, alive: Callable[[str], bool]) -> None:
        """Look for a `JobRun` that the provider overrides: leave this to the interface."""
        with suppress(KeyError), long.trigger() as run:
            raise KeyError
        assert not alive(run.handle)

    @pytest.mark.parametrize("where", ["flow", "async flow", "thread"])
    def test_a_stopped_run_takes_its_job_along(
        self, long: Job, alive: Callable[[str], bool], where: str
    ) -> None:
        """Look at `report`: it must not block for long, or swallow a `BaseException`.

        Args:
            long: a job that runs until it is cancelled.
            alive: returns whether a job runs.
            where: how the job is run.
        """
        handles: list[str] = []

        def follow() -> None:
            run = long.trigger()
            handles.append(run.handle)
            run.wait()

        async def afollow() -> None:
            run = await long.atrigger()
            handles.append(run.handle)
            await run.await_for_completion()

        def submit() -> None:
            task(timeout_seconds=0.7)(follow).submit().result()

        limited = flow(timeout_seconds=0.7)
        calls: dict[str, Callable[[], object]] = {
            "flow": limited(follow),
            "thread": flow(submit),
            "async flow": lambda: asyncio.run(limited(afollow)()),
        }
        with pytest.raises(RunTimeout):
            calls[where]()
        assert len(handles) == 1
        assert not alive(handles[0])

    # ------------------------------------------------------------ handles

    def test_the_handle_is_kept_before_anybody_waits(self, long: Job, services: Services) -> None:
        """Look for a `trigger` that the provider defines: it must come from the interface."""

        @flow
        def start() -> tuple[str, list[str]]:
            with long.trigger() as run:
                kept = [event.payload for _, event in services.runs.events()]
            return run.handle, [each.id for each in kept if isinstance(each, ExternalHandle)]

        handle, kept = start()
        assert kept == [handle]

    def test_a_run_tells_the_jobs_that_it_has_triggered(
        self, good: Job, services: Services
    ) -> None:
        """Look at the block's slug and name: they identify the job's block."""

        @task
        def one() -> str:
            run = good.trigger()
            run.wait()
            return str(run.handle)

        @flow
        def several() -> list[str]:
            return [one(), one.submit().result()]

        handles = several()
        (run,) = (event.run_id for _, event in services.runs.events() if event.kind == _ENDED)
        assert good.triggered_in(run) == handles

    def test_another_process_may_attach(self, long: Job, alive: Callable[[str], bool]) -> None:
        """Look at the handle: it must contain everything needed to find the job again."""
        run = long.trigger()
        try:
            long.save("long")
            found = type(long).load("long").attach(str(run.handle))
            assert found.status() is run.status()
            found.cancel()
            assert not alive(run.handle)
        finally:
            run.cancel()

    def test_an_unknown_job_is_lost(self, good: Job) -> None:
        """Look at `report`: a job that the service does not know raises `JobLost`."""
        with pytest.raises(JobLost):
            good.attach("flowstone-has-no-such-job")

    # ------------------------------------------------------------ logs

    def test_its_lines_are_in_the_log_of_the_run(self, good: Job) -> None:
        """Look at `read_logs`: the last lines come after the job's end, and none comes twice."""

        @flow
        def follow() -> None:
            good.run()

        follow()
        assert _find_logged(self.lines) == list(self.lines)

    def test_its_lines_can_be_asked_for(self, good: Job) -> None:
        """Look at `read_logs`: it skips the number of lines passed to it, and by default none."""
        run = good.trigger()
        run.wait()
        lines = run.logs()
        assert [line for line in lines if line in self.lines] == list(self.lines)
        for seen in range(len(lines) + 1):
            assert good.make_provider().read_logs(run.handle, seen) == lines[seen:]

    # ------------------------------------------------------------ usage

    def test_the_async_twins_do_the_same(
        self, good: Job, bad: Job, long: Job, alive: Callable[[str], bool]
    ) -> None:
        """Look for an async version that the provider defines: they must come from the interface.

        Args:
            good: a job that completes.
            bad: a job that fails.
            long: a job that runs until it is cancelled.
            alive: returns whether a job runs.
        """

        async def use() -> None:
            assert await good.arun() == self.wanted
            run = await good.atrigger()
            await run.await_for_completion()
            assert await run.afetch_result() == self.wanted
            with pytest.raises(JobFailed):
                await bad.arun()
            async with await long.atrigger() as run:
                with pytest.raises(JobTimeout):
                    await run.aresult(timeout_seconds=0.2)
            assert not alive(run.handle)

        asyncio.run(use())

    def test_a_cancelled_coroutine_takes_its_job_along(
        self, long: Job, alive: Callable[[str], bool]
    ) -> None:
        """Look at `report` and `cancel`: they are called in a thread and must not block it."""

        async def use() -> str:
            run = await long.atrigger()
            waiting = asyncio.create_task(run.await_for_completion())
            turns = 0
            for _ in range(20):
                await asyncio.sleep(0.01)
                turns += 1
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert turns == 20
            return run.handle

        assert not alive(asyncio.run(use()))

    def test_several_run_beside_each_other(self, good: Job) -> None:
        """Look for a job that is stored in the block: there may be many at a time."""
        runs = [good.trigger() for _ in range(4)]
        assert len({run.handle for run in runs}) == 4
        assert [run.result() for run in runs] == [self.wanted] * 4

    def test_what_is_common_comes_from_the_interface(self, good: Job, long: Job) -> None:
        """Write `make_provider`, and `make_run` for more methods; leave the public ones alone.

        One may be overridden only to take more parameters, which are optional.
        """
        changed = [name for name in COMMON if not _is_kept(type(good), Job, name)]
        with long.trigger() as run:
            changed += [name for name in RUN_METHODS if not _is_kept(type(run), JobRun, name)]
        assert not changed


_ENDED = "FlowRunCompleted"


def _find_logged(wanted: Sequence[str]) -> list[str]:
    """Return the wanted lines that the store has."""
    services = current_services()
    services.journal.flush()
    kept = (event.payload for _, event in services.runs.events())
    return [line.message for line in kept if isinstance(line, LogLine) and line.message in wanted]


def _is_kept(kind: type, interface: type, name: str) -> bool:
    """Return whether a method is the interface's, or takes all its parameters and more."""
    own, common = getattr(kind, name), getattr(interface, name)
    if own is common:
        return True
    mine, theirs = (list(signature(each).parameters.values()) for each in (own, common))
    more = mine[len(theirs) :]
    same = [each.name for each in mine[: len(theirs)]] == [each.name for each in theirs]
    return same and bool(more) and all(each.default is not each.empty for each in more)
