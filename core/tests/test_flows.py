from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from flowstone import Flow, State, flow, get_run_logger, tags, task
from flowstone.blocks import Secret
from flowstone.cache_policies import NO_CACHE
from flowstone.context.current import Services
from flowstone.errors import (
    ConfigurationError,
    MissingContextError,
    ParameterBindError,
    ParameterTypeError,
    RunTimeout,
)
from flowstone.records.runs import Run, RunQuery
from flowstone.states import Completed, Failed
from flowstone.task_runners import ThreadPoolTaskRunner

pytestmark = pytest.mark.usefixtures("services")


def only_run(services: Services) -> Run:
    [run] = services.runs.runs(RunQuery(listed=True))
    return run


def test_a_call_is_a_recorded_run(services: Services) -> None:
    @flow
    def add_up(a: int, b: int = 2) -> int:
        return a + b

    assert add_up(1) == 3
    run = only_run(services)
    assert (run.kind, run.unit, run.state.name, run.attempt) == ("flow", "add-up", "Completed", 1)
    assert run.parameters == {"a": 1, "b": 2}
    assert run.started is not None
    assert run.ended is not None
    assert run.started <= run.ended
    assert "-" in run.name


def test_a_flow_keeps_its_function_and_description() -> None:
    @flow(name="Sums", version="7")
    def add(a: int) -> int:
        """Add nothing."""
        return a

    assert isinstance(add, Flow)
    assert (add.name, add.version, add.description) == ("Sums", "7", "Add nothing.")
    assert vars(add)["__name__"] == "add"
    assert add.fn(3) == 3


def test_the_version_is_made_of_the_file() -> None:
    @flow
    def one() -> None: ...

    @flow
    def two() -> None: ...

    assert one.version == two.version is not None


def test_an_error_reaches_the_caller_with_its_own_traceback(services: Services) -> None:
    @flow
    def fails() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no") as caught:
        fails()
    names = [entry.frame.code.path for entry in caught.traceback]
    assert Path(names[-1]) == Path(__file__)
    assert not any("/engine/" in str(name) for name in names), names
    assert only_run(services).state.message == "ValueError: no"


def test_return_state_gives_the_end_instead() -> None:
    @flow
    def fails() -> None:
        raise ValueError("no")

    state = fails(return_state=True)
    assert isinstance(state, State)
    assert state.is_failed()
    with pytest.raises(ValueError, match="no"):
        state.result()


def test_parameters_are_coerced_and_checked_before_the_start(services: Services) -> None:
    class Order(BaseModel):
        count: int

    @flow
    def sell(order: Order, price: float = 1.0, *rest: int, **more: int) -> Any:
        return order.count * price, rest, more

    assert sell({"count": "2"}, "1.5", "3", x="4") == (3.0, (3,), {"x": 4})  # type: ignore[call-overload]
    with pytest.raises(ParameterTypeError) as caught:
        sell({"count": "many"}, "dear")  # type: ignore[call-overload]
    assert set(caught.value.problems) == {"order", "price"}
    assert "many" not in str(caught.value)
    assert len(services.runs.runs(RunQuery())) == 1


def test_validation_can_be_turned_off() -> None:
    @flow(validate_parameters=False)
    def same(a: int) -> int:
        return a

    assert same("x") == "x"  # type: ignore[call-overload]


def test_arguments_that_do_not_bind_are_named() -> None:
    @flow
    def one(a: int) -> int:
        return a

    with pytest.raises(ParameterBindError, match="missing a required argument: 'a'"):
        one()  # type: ignore[call-overload]
    with pytest.raises(ParameterBindError, match=r"one\(a: 'int'\)"):
        one(1, b=2)  # type: ignore[call-overload]


def test_flows_nest(services: Services) -> None:
    @task
    def inner() -> int:
        return 1

    @flow
    def child() -> int:
        return inner() + inner()

    @flow
    def parent() -> int:
        return child() + child()

    assert parent() == 4
    runs = services.runs.runs(RunQuery())
    root = next(run for run in runs if run.parent_id is None)
    children = [run for run in runs if run.parent_id == root.id]
    assert [run.unit for run in children] == ["child", "child"]
    tasks = [run for run in runs if run.kind == "task"]
    assert {run.parent_id for run in tasks} == {run.id for run in children}
    assert {run.root_id for run in runs} == {root.id}
    assert all(run.state.is_completed() for run in runs)


def test_async_flows_and_tasks(services: Services) -> None:
    @task
    async def double(x: int) -> int:
        await asyncio.sleep(0)
        return x * 2

    @task
    def plain(x: int) -> int:
        return x + 1

    @flow
    async def gather(n: int) -> int:
        values = await asyncio.gather(*(double(number) for number in range(n)))
        return sum(values) + plain(1)

    assert asyncio.run(gather(4)) == 14
    runs = services.runs.runs(RunQuery())
    assert [run.state.name for run in runs] == ["Completed"] * 6


def test_an_async_flow_that_is_cancelled_is_cancelled(services: Services) -> None:
    begun = asyncio.Event()

    @flow
    async def waits() -> None:
        begun.set()
        await asyncio.Event().wait()

    async def main() -> None:
        running = asyncio.ensure_future(waits())
        await begun.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(main())
    assert only_run(services).state.name == "Cancelled"


def test_flow_retries(services: Services) -> None:
    attempts = []

    @flow(retries=2)
    def flaky() -> int:
        attempts.append(1)
        if len(attempts) < 3:
            raise ValueError("again")
        return len(attempts)

    assert flaky() == 3
    assert only_run(services).attempt == 3
    kinds = [event.kind for _, event in services.runs.events() if event.kind != "LogWritten"]
    assert kinds == [
        "FlowRunStarted", "FlowRunScheduled", "FlowRunStarted", "FlowRunScheduled",
        "FlowRunStarted", "FlowRunCompleted",
    ]  # fmt: skip


def test_a_sync_flow_times_out_on_the_main_thread(services: Services) -> None:
    import time

    @flow(timeout_seconds=0.05)
    def slow() -> None:
        time.sleep(30)

    with pytest.raises(RunTimeout):
        slow()
    assert only_run(services).state.name == "TimedOut"


def test_an_inner_timeout_leaves_the_outer_one() -> None:
    import time

    @task(timeout_seconds=0.05)
    def inner() -> None:
        time.sleep(30)

    @flow(timeout_seconds=30)
    def outer() -> str:
        assert inner(return_state=True).name == "TimedOut"
        return "went on"

    @flow(timeout_seconds=0.05)
    def impatient() -> None:
        patient()

    @task(timeout_seconds=30)
    def patient() -> None:
        time.sleep(30)

    assert outer() == "went on"
    assert impatient(return_state=True).name == "TimedOut"


def test_an_async_flow_times_out() -> None:
    @flow(timeout_seconds=0.05)
    async def slow() -> None:
        await asyncio.Event().wait()

    with pytest.raises(RunTimeout):
        asyncio.run(slow())


def test_a_timeout_error_of_the_function_is_its_own() -> None:
    @flow(timeout_seconds=30)
    async def fails() -> None:
        raise TimeoutError("mine")

    with pytest.raises(TimeoutError, match="mine"):
        asyncio.run(fails())


def test_run_names_come_from_templates_and_functions(services: Services) -> None:
    @flow(flow_run_name="load-{day}-of-{n}")
    def load(day: str, n: int = 3) -> None: ...

    @flow(flow_run_name=lambda parameters: f"x{parameters['n']}")
    def other(n: int) -> None: ...

    load("monday")
    other(5)
    assert [run.name for run in services.runs.runs(RunQuery())] == ["load-monday-of-3", "x5"]
    with pytest.raises(ConfigurationError, match="The parameters are: day, n"):
        load.with_options(flow_run_name="{month}")("monday")


def test_no_secret_becomes_the_name_of_a_run(services: Services) -> None:
    secret = Secret(value="n4me-of-a-secret").get()

    @flow(flow_run_name="load-{key}")
    def load(key: str) -> None: ...

    @flow(flow_run_name=lambda parameters: f"x{parameters['key']}")
    def other(key: str) -> None: ...

    load(secret)
    other(secret)
    assert [run.name for run in services.runs.runs(RunQuery())] == ["load-********", "x********"]


def test_no_secret_becomes_a_tag(services: Services) -> None:
    secret = Secret(value="t4g-of-a-secret").get()

    @task(tags=[f"own-{secret}", "plain"])
    def tagged() -> None: ...

    @flow
    def outer() -> None:
        tagged()

    with tags(f"for-{secret}"):
        outer()
    found = [run.tags for run in services.runs.runs(RunQuery())]
    assert found == [("for-********",), ("for-********", "own-********", "plain")]


def test_tags_are_those_around_the_call(services: Services) -> None:
    @task(tags=["own"])
    def tagged() -> None: ...

    @flow
    def outer() -> None:
        with tags("inner"):
            tagged()

    with tags("outer", "b"):
        outer()
    assert [run.tags for run in services.runs.runs(RunQuery())] == [
        ("b", "outer"),
        ("b", "inner", "outer", "own"),
    ]


def test_hooks_see_the_flow_the_run_and_the_state() -> None:
    seen: list[tuple[Any, ...]] = []

    @flow(on_running=[lambda *args: seen.append(args)])
    def fine() -> int:
        return 1

    @fine.on_completion
    def done(*args: Any) -> None:
        seen.append(args)

    async def failed(flow: Any, run: Any, state: Any) -> None:
        await asyncio.sleep(0)
        seen.append((flow, run, state))

    @flow(on_failure=[failed])
    def bad() -> None:
        raise ValueError

    fine()
    bad(return_state=True)
    assert [(args[0].name, args[2].name) for args in seen] == [
        ("fine", "Running"), ("fine", "Completed"), ("bad", "Failed"),
    ]  # fmt: skip
    assert seen[1][1].state.name == "Completed"


def test_with_options_makes_another_flow() -> None:
    @flow(retries=1)
    def f() -> None: ...

    other = f.with_options(name="other", retries=2)
    assert (f.name, f.spec.retries, other.name, other.spec.retries) == ("f", 1, "other", 2)


def test_an_option_that_is_none_is_unset() -> None:
    def tell(*_: object) -> None: ...

    runner = ThreadPoolTaskRunner(max_workers=3)

    @flow(
        name="F",
        retries=1,
        log_prints=True,
        on_failure=[tell],
        on_completion=[tell],
        task_runner=runner,
        timeout_seconds=5,
        description="known",
    )
    def f() -> None: ...

    other = f.with_options(
        retries=None,
        log_prints=None,
        on_failure=None,
        task_runner=None,
        name=None,
        description=None,
    )
    assert (other.spec.retries, other.spec.log_prints) == (None, None)
    assert [state.value for state in other.spec.hooks] == ["COMPLETED"]
    assert other.task_runner == ThreadPoolTaskRunner()
    assert (other.name, other.spec.description, other.spec.timeout_seconds) == ("F", "known", 5)
    assert (f.spec.retries, f.task_runner, len(f.spec.hooks)) == (1, runner, 2)


def test_a_task_option_that_is_none_is_unset() -> None:
    def find_key(*_: object) -> str:
        return "key"

    @task(cache_key_fn=find_key, tags=["a"], persist_result=True, task_run_name="run-{x}")
    def t(x: int) -> int:
        return x

    bare = t.with_options(cache_key_fn=None, tags=None, persist_result=None, task_run_name=None)
    assert (bare.spec.cache_policy, bare.spec.persist_result, bare.spec.run_name) == (None,) * 3
    assert bare.spec.tags == frozenset()
    kept = t.with_options(cache_policy=NO_CACHE, cache_key_fn=None)
    assert kept.spec.cache_policy is NO_CACHE
    assert t.with_options(cache_policy=None, cache_key_fn=find_key).spec.cache_policy is not None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"retries": -1}, "option retries of flow 'f': -1 is not a count"),
        ({"log_prints": "no"}, "option log_prints of flow 'f': 'no' is neither True nor False"),
        ({"flow_run_name": 5}, "option flow_run_name of flow 'f': 5 is not a string"),
        ({"result_serializer": 5}, "option result_serializer of flow 'f': 5 is not a serializer"),
        ({"task_runner": 5}, "option task_runner: 5 is not a task runner"),
        ({"timeout_seconds": 0}, "0 leaves no time"),
        ({"retry_delay_seconds": "soon"}, "'soon' is not a duration"),
        ({"name": "a/b"}, "'a/b' is not a name"),
        ({"retry": 3}, "there is no option 'retry'. Did you mean 'retries'"),
        ({"on_failure": [3]}, "contains no functions"),
    ],
)
def test_a_bad_option_is_named(options: dict[str, Any], message: str) -> None:
    def f() -> None: ...

    with pytest.raises(ConfigurationError) as caught:
        flow(**options)(f)
    assert message in str(caught.value)


def test_a_class_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="is not a function"):
        flow(dict)


def test_methods_classmethods_and_staticmethods() -> None:
    class Shop:
        rate = 2

        @flow
        def total(self, x: int) -> int:
            return self.rate * x

        @flow
        @classmethod
        def rated(cls, x: int) -> int:
            return cls.rate + x

        @classmethod
        @flow
        def other(cls, x: int) -> int:
            return cls.rate - x

        @flow
        @staticmethod
        def same(x: int) -> int:
            return x

    shop: Any = Shop()
    assert (shop.total(3), shop.rated(3), shop.other(1), shop.same(4)) == (6, 5, 1, 4)
    assert Shop.same(4) == 4


def test_a_returned_state_decides() -> None:
    @flow
    def bad() -> State:
        return Failed("not today")

    @flow
    def good() -> State:
        return Completed(message="fine", data=5)

    assert bad(return_state=True).message == "not today"
    assert good(return_state=True).message == "fine"
    assert good() == 5  # type: ignore[comparison-overlap]


def test_a_logger_needs_a_run() -> None:
    with pytest.raises(MissingContextError):
        get_run_logger()


def test_logs_and_prints_are_kept_with_their_run(services: Services) -> None:
    @task
    def speaks() -> None:
        print("from the task", 1, sep="-")
        get_run_logger().warning("careful: %s", "hot")

    @flow(log_prints=True)
    def talks() -> None:
        print("hello", "you")
        speaks()
        try:
            raise ValueError("inside")
        except ValueError:
            get_run_logger().exception("caught")

    talks()
    print("not logged")
    runs = {run.id: run.unit for run in services.runs.runs(RunQuery())}
    lines = [
        (runs[event.run_id], event.payload.level, event.payload.message.splitlines()[0])  # type: ignore[union-attr]
        for _, event in services.runs.events(kinds=["LogWritten"])
    ]
    assert lines[1:-1] == [
        ("talks", 20, "hello you"),
        ("speaks", 20, "from the task-1"),
        ("speaks", 30, "careful: hot"),
        ("talks", 40, "caught"),
    ]
    traced = [event for _, event in services.runs.events(kinds=["LogWritten"])][-2]
    assert "ValueError: inside" in traced.payload.message  # type: ignore[union-attr]
