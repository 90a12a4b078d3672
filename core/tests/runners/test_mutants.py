"""The suite bites: each of these broken runners fails the test that is there for it."""

from __future__ import annotations

import asyncio
import inspect
from contextvars import Context
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from flowstone.context import current
from flowstone.task_runners.threads import ThreadPool
from flowstone_testing.conformance import RunnerSuite

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from flowstone.records.runs import Run
    from flowstone.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.check]  # of the kit, which few changes touch


class Here:
    """A caller that makes each call here and now; nothing is wrong with it but the time limit."""

    def call(
        self,
        fn: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        runs: tuple[Run, Run],
        seconds: float | None,
    ) -> Any:
        value = fn(*args, **kwargs)
        return asyncio.run(value) if inspect.iscoroutine(value) else value

    def interrupt(self, thread: int) -> None:
        pass


IgnoresTheTimeLimit = Here


class LosesTheValue(Here):
    def call(self, *call: Any) -> Any:
        super().call(*call)


class SwallowsErrors(Here):
    def call(self, *call: Any) -> Any:
        try:
            return super().call(*call)
        except Exception as error:
            return error


class RewordsErrors(Here):
    def call(self, *call: Any) -> Any:
        try:
            return super().call(*call)
        except Exception as error:
            raise RuntimeError(str(error)) from None


class CallsTwice(Here):
    def call(self, *call: Any) -> Any:
        super().call(*call)
        return super().call(*call)


class ForgetsTheRun(Here):
    def call(self, *call: Any) -> Any:
        return Context().run(super().call, *call)


class LosesThePrints(Here):
    def call(self, fn: Any, args: Any, kwargs: Any, runs: Any, seconds: Any) -> Any:
        return super().call(fn.args[0] if hasattr(fn, "args") else fn, args, kwargs, runs, seconds)


class GivesOthersNoParent(Here):
    def call(self, *call: Any) -> Any:
        token = current.scope.set(None)
        try:
            return super().call(*call)
        finally:
            current.scope.reset(token)


class LeavesCoroutinesAlone(Here):
    def call(self, fn: Any, args: Any, kwargs: Any, runs: Any, seconds: Any) -> Any:
        value = fn(*args, **kwargs)
        if inspect.iscoroutine(value):
            value.close()
        return value


class OneAtATime(ThreadPool):
    def __init__(self, _: int) -> None:
        super().__init__(1)


class TakesTheCallsArgumentsAway(Here):
    def call(self, fn: Any, args: Any, kwargs: Any, runs: Any, seconds: Any) -> Any:
        return super().call(fn, args[:1] * len(args), {}, runs, seconds)


@dataclass(frozen=True)
class Mutant:
    kind: type[Here | ThreadPool]

    def open(self, settings: Settings) -> ThreadPool:
        if issubclass(self.kind, ThreadPool):
            return self.kind(4)
        pool = ThreadPool(4)
        pool.caller = self.kind()
        return pool


MUTANTS: dict[type[Here | ThreadPool], str] = {
    LosesTheValue: "test_values_come_back_in_order",
    TakesTheCallsArgumentsAway: "test_futures_are_arguments",
    SwallowsErrors: "test_a_failure_that_nobody_asked_for_fails_the_flow",
    RewordsErrors: "test_an_error_arrives_as_it_was",
    CallsTwice: "test_each_call_is_made_once",
    ForgetsTheRun: "test_a_flow_in_a_task_is_recorded",
    GivesOthersNoParent: "test_tasks_in_tasks_are_recorded",
    LosesThePrints: "test_logs_and_prints_belong_to_the_run",
    LeavesCoroutinesAlone: "test_async_tasks_run",
    IgnoresTheTimeLimit: "test_a_task_times_out",
    OneAtATime: "test_two_run_at_once",
}


def run(name: str, task_runner: Any, folder: Path) -> None:
    test = getattr(RunnerSuite, name)
    facts = {"task_runner": task_runner, "tmp_path": folder}
    known = inspect.signature(test).parameters
    test(RunnerSuite(), **{key: value for key, value in facts.items() if key in known})


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_broken_runner_is_found_out(mutant: type[Here], tmp_path: Path) -> None:
    with pytest.raises((Exception, pytest.fail.Exception)):
        run(MUTANTS[mutant], Mutant(mutant), tmp_path)


@pytest.mark.parametrize("name", [name for name in dir(RunnerSuite) if name.startswith("test")])
def test_the_reference_fails_nothing(name: str, tmp_path: Path) -> None:
    for kind in (ThreadPool, Here):
        folder = tmp_path / kind.__name__
        folder.mkdir()
        if (kind, name) != (Here, "test_a_task_times_out"):
            run(name, Mutant(kind), folder)
