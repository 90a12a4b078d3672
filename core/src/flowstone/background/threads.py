"""Threads that execute background runs in the process that serves their tasks."""

from __future__ import annotations

import threading
from inspect import iscoroutine
from typing import TYPE_CHECKING, cast

from flowstone.blocks.jobs.provider import JobProvider, JobStatus, Report
from flowstone.calls.kept_calls import KeptCall, find_calls, forget_call
from flowstone.context.current import services
from flowstone.deployments.executor import record_state
from flowstone.engine.recorder import Takeover, make_lease
from flowstone.engine.thread_errors import raise_in_thread
from flowstone.errors import Conflict, TerminationSignal
from flowstone.infrastructure.base import Infrastructure, JobVariables, RunJob
from flowstone.logging.run_logger import get_logger
from flowstone.records.events import make_handover_event
from flowstone.records.runs import is_waiting
from flowstone.records.states import CRASHED, Failed, Pending

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flowstone.background.answering import AnsweringTask
    from flowstone.records.runs import Run
    from flowstone.records.states import State

_logger = get_logger("background")


class ThreadInfrastructure(Infrastructure):
    """Executes background runs in threads of this process.

    Args:
        tasks: the served tasks, by key.
        on_end: called in a run's thread when the run has ended.
    """

    def __init__(self, tasks: Mapping[str, AnsweringTask], on_end: Callable[[], None]) -> None:
        self._tasks, self._on_end = tasks, on_end
        self._threads: dict[str, threading.Thread] = {}

    def make_provider(self, job: RunJob) -> JobProvider:
        """Return the provider that executes a run in a thread."""
        return _RunThread(job.run_id, self._threads, self._tasks, self._on_end)

    def attach(self, _variables: JobVariables) -> JobProvider:
        """Return the provider for threads of this process; those of others have ended with them."""
        return _RunThread("", self._threads, self._tasks, self._on_end)


class _RunThread(JobProvider):
    """The thread of a run, as a job; its handle is the run's id.

    Args:
        run_id: the id of the run.
        threads: the threads of this process, by handle.
        tasks: the served tasks, by key.
        on_end: called when the run has ended.
    """

    def __init__(
        self,
        run_id: str,
        threads: dict[str, threading.Thread],
        tasks: Mapping[str, AnsweringTask],
        on_end: Callable[[], None],
    ) -> None:
        self._run_id, self._threads, self._tasks, self._on_end = run_id, threads, tasks, on_end

    @property
    def where(self) -> str:
        return "a thread of this process"

    def start(self) -> str:
        # A daemon: one that can't be stopped does not keep the process alive.
        thread = threading.Thread(target=self._run, name=f"run {self._run_id}", daemon=True)
        self._threads[self._run_id] = thread
        thread.start()
        return self._run_id

    def report(self, handle: str) -> Report:
        thread = self._threads.get(handle)
        if thread is not None and thread.is_alive():
            return Report(JobStatus.RUNNING)
        self._threads.pop(handle, None)
        return Report(JobStatus.COMPLETED)

    def cancel(self, handle: str) -> None:
        thread = self._threads.get(handle)
        if thread is not None and thread.ident is not None and thread.is_alive():
            raise_in_thread(thread.ident, TerminationSignal)

    def kill(self, handle: str) -> None:
        """Stop waiting for it: it ends with the process, and the run is executed again."""
        self._threads.pop(handle, None)

    def _run(self) -> None:
        try:
            call = find_calls([self._run_id]).get(self._run_id)
            if call is not None:
                execute_call(call, self._tasks[call.key])
        except TerminationSignal:
            _logger.warning("run %s was stopped before it began", self._run_id)
        except Exception:
            _logger.exception("run %s could not be executed", self._run_id)
        finally:
            self._on_end()


def execute_call(call: KeptCall, task: AnsweringTask) -> None:
    """Execute a scheduled call; mark it as done, unless it has crashed."""
    run = services().runs.run(call.run_id)
    try:
        arguments = call.open_arguments()
    except Exception as error:
        problem = f"its arguments can't be read here: {type(error).__name__}: {error}"
        _logger.warning("run %s: %s", run.name, problem, exc_info=True)
        record_state(run, Failed(problem))
        forget_call(call)
        return
    end = None
    while end is None and is_waiting(run):
        takeover = Takeover(run, make_handover_event(run, Pending(), make_lease(services())))
        try:
            end = _run_to_end(task.run_again(takeover, *arguments))
        except Conflict as conflict:
            # Another process may just have changed the reason why it waits.
            run = cast("Run", conflict.actual)
        except BaseException as error:
            if isinstance(error, Exception):
                raise
            break  # it is recorded; what ends a run does not end the worker
    run = services().runs.run(call.run_id)
    if not run.state.is_final() or run.state.type is CRASHED:
        return
    if end is not None and isinstance(end.data, BaseException):
        task.keep_error(run.id, end.data)
    forget_call(call)


def _run_to_end(ended: object) -> State:
    if iscoroutine(ended):
        # Takes 40 ms to import, and most programs don't need it.
        import asyncio

        ended = asyncio.run(ended)
    return cast("State", ended)
