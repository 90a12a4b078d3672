"""Flows, as people write them: their options, their members, and how their runs end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.parity.conftest import lines, runs, states

from flowstone.errors import ConfigurationError, ParameterBindError, ParameterTypeError

if TYPE_CHECKING:
    from tests.parity.conftest import HastyClock, Program, Script


def test_a_bare_decorator(program: Program) -> None:
    made = program('''
        from prefect import flow

        @flow
        def daily_report(day: int = 1) -> str:
            """Sums up a day."""
            return f"day {day}"

        first = daily_report()
        second = daily_report(day=2)
    ''')
    assert (made.first, made.second) == ("day 1", "day 2")
    flow = made.daily_report
    assert (flow.name, flow.description, flow.isasync) == ("daily-report", "Sums up a day.", False)
    assert len(flow.version) == 8
    assert flow.fn(3) == "day 3"
    assert [run.parameters for run in runs("daily-report")] == [{"day": 1}, {"day": 2}]
    assert runs("daily-report")[0].unit_version == flow.version


def test_names_and_descriptions(program: Program) -> None:
    made = program("""
        import datetime as dt
        from prefect import flow
        from prefect.runtime import flow_run

        @flow(name="My Flow", description="What it is for", version="v1",
              flow_run_name="{name}-on-{date:%A}")
        def named(name: str, date: dt.date) -> None: ...

        def made_up() -> str:
            return f"{flow_run.flow_name} of {flow_run.parameters['name']}"

        @flow(flow_run_name=made_up)
        def called(name: str) -> None: ...

        named("ann", dt.date(2026, 11, 22))
        called("bob")
    """)
    assert (made.named.name, made.named.description, made.named.version) == (
        "My Flow", "What it is for", "v1",
    )  # fmt: skip
    assert [run.name for run in runs("My Flow")] == ["ann-on-Sunday"]
    assert [run.name for run in runs("called")] == ["called of bob"]


@pytest.mark.parametrize("char", "/%&<>")
def test_banned_characters(program: Program, char: str) -> None:
    with pytest.raises(ConfigurationError, match="name of flow"):
        program(f"""
            from prefect import flow

            @flow(name="a{char}b")
            def f() -> None: ...
        """)


def test_retries_with_delays(program: Program, clock: HastyClock) -> None:
    program("""
        from prefect import flow

        attempts = []

        @flow(retries=2, retry_delay_seconds=5)
        def unsteady():
            attempts.append(1)
            if len(attempts) < 3:
                raise ConnectionError("again")
            return "done"

        assert unsteady() == "done"
    """)
    assert clock.slept == [5.0, 5.0]
    assert [run.attempt for run in runs("unsteady")] == [3]


def test_delays_of_flows_may_be_lists_too(program: Program, clock: HastyClock) -> None:
    """Better on purpose: known for tasks only."""
    program("""
        from prefect import flow
        from prefect.tasks import exponential_backoff

        def fail():
            raise ConnectionError("again")

        flow(fail, ).with_options(retries=2, retry_delay_seconds=[1, 7])(return_state=True)
        flow(retries=2, retry_delay_seconds=exponential_backoff(10))(fail)(return_state=True)
    """)
    assert clock.slept == [1.0, 7.0, 10.0, 20.0]


def test_task_runners_as_classes_and_instances(program: Program) -> None:
    program("""
        import threading
        from prefect import flow, task
        from prefect.task_runners import ConcurrentTaskRunner, ThreadPoolTaskRunner

        @task
        def where() -> str:
            return threading.current_thread().name

        @flow(task_runner=ThreadPoolTaskRunner(max_workers=1))
        def one_thread():
            return {future.result() for future in [where.submit() for _ in range(5)]}

        @flow(task_runner=ConcurrentTaskRunner)
        def by_class():
            return where.submit().result()

        # A thread that waits may as well work: the flow's own thread takes its share.
        assert len(one_thread() - {threading.main_thread().name}) <= 1
        assert by_class() != threading.main_thread().name
    """)


def test_timeouts(program: Program) -> None:
    program("""
        import asyncio
        import time
        from prefect import flow

        @flow(timeout_seconds=0.05)
        def slow():
            while True:
                time.sleep(0.005)

        @flow(timeout_seconds=0.05)
        async def slow_too():
            await asyncio.sleep(60)

        for state in (slow(return_state=True), asyncio.run(slow_too(return_state=True))):
            assert state.is_failed()
            assert state.name == "TimedOut"
        try:
            slow()
        except TimeoutError as error:
            caught = error
        assert caught
    """)
    assert states("slow") == ["TimedOut"] * 2


def test_parameters_are_validated(program: Program) -> None:
    made = program("""
        from prefect import flow
        from pydantic import BaseModel

        class Order(BaseModel):
            number: int
            items: list[str] = []

        @flow
        def ship(order: Order, weight: float = 1): return order, weight

        @flow(validate_parameters=False)
        def as_it_is(weight: float): return weight

        order, weight = ship({"number": "7"}, weight="2.5")
    """)
    assert made.order == made.Order(number=7)
    assert made.weight == 2.5
    assert made.as_it_is("2.5") == "2.5"
    with pytest.raises(ParameterTypeError, match="weight"):
        made.ship(made.order, weight="heavy")
    with pytest.raises(TypeError):
        made.ship(made.order, weight="heavy")
    with pytest.raises(ParameterBindError):
        made.ship(made.order, colour="red")
    assert len(runs("ship")) == 1  # one that can't be called has no run
    assert made.ship.validate_parameters({"order": {"number": 1}}) == {
        "order": made.Order(number=1), "weight": 1,
    }  # fmt: skip
    assert made.ship.serialize_parameters({"order": made.order}) == {
        "order": {"number": 7, "items": []}
    }


def test_results_are_persisted(program: Program) -> None:
    made = program("""
        from pathlib import Path
        from prefect import flow
        from prefect.serializers import JSONSerializer

        @flow(persist_result=True, result_storage=Path("results"), result_serializer="json")
        def by_name(): return {"a": 1}

        @flow(result_storage=Path("results"), result_serializer=JSONSerializer())
        def by_object(): return {"b": 2}

        by_name(); by_object()
        kept = sorted(path.read_bytes().splitlines()[-1] for path in Path("results").iterdir())
    """)
    assert made.kept == [b'{"a":1}', b'{"b":2}']


def test_prints_are_logged(program: Program, capsys: pytest.CaptureFixture[str]) -> None:
    program("""
        from prefect import flow, task

        @task
        def inner(): print("from the task")

        @task(log_prints=False)
        def aside(): print("aside")

        @flow(log_prints=True)
        def loud():
            print("from", "the flow")
            inner()
            aside()

        @flow
        def quiet(): print("printed")

        loud()
        quiet()
    """)
    assert lines() == ["from the flow", "from the task"]
    assert capsys.readouterr().out == "aside\nprinted\n"


def test_hooks_as_options_and_decorators(program: Program) -> None:
    made = program("""
        from prefect import flow

        seen = []

        def note(flow, flow_run, state):
            seen.append((flow.name, flow_run.name, state.type.value, state.name))

        def broken(flow, flow_run, state):
            raise RuntimeError("a hook must not break a flow")

        @flow(flow_run_name="good", on_running=[note], on_completion=[broken, note])
        def good(): ...

        @flow(flow_run_name="bad")
        def bad(): raise ValueError("no")

        @bad.on_failure
        def tell(flow, flow_run, state):
            seen.append(("told", state.message))

        @bad.on_completion
        @bad.on_cancellation
        @bad.on_crashed
        @bad.on_running
        def other(flow, flow_run, state): seen.append(state.name)

        good()
        bad(return_state=True)
    """)
    assert made.seen == [
        ("good", "good", "RUNNING", "Running"),
        ("good", "good", "COMPLETED", "Completed"),
        "Running",
        ("told", "ValueError: no"),
    ]
    assert any("'broken' raised" in line for line in lines())


def test_what_hooks_ask_of_a_run(program: Program) -> None:
    made = program("""
        import datetime as dt
        from prefect import flow, tags, task
        from prefect.states import StateType

        seen = {}

        def note(unit, run, state):
            seen[unit.name] = (run.state_name, run.state_type is StateType.COMPLETED,
                               run.run_count, sorted(run.tags), run.parameters)
            assert run.start_time <= run.end_time <= dt.datetime.now(dt.timezone.utc)

        def begun(unit, run, state):
            assert run.start_time and run.end_time is None

        @task(on_completion=[note], on_running=[begun])
        def t(): ...

        @flow(on_completion=[note], on_running=[begun])
        def f(x): t()

        with tags("a"):
            state = f(1, return_state=True)
    """)
    assert made.seen == {
        "t": ("Completed", True, 1, ["a"], None),
        "f": ("Completed", True, 1, ["a"], {"x": 1}),
    }
    assert not any("raised" in line for line in lines())


def test_hooks_of_other_kinds(program: Program) -> None:
    made = program("""
        import asyncio
        from functools import partial
        from prefect import flow
        from prefect.states import Completed

        seen = []

        def notify(flow, flow_run, state, channel):
            seen.append((channel, flow_run.parameters, state.message))

        async def later(flow, flow_run, state):
            await asyncio.sleep(0)
            seen.append("later")

        class Alarm:
            def __call__(self, flow, flow_run, state): seen.append("alarm")

        hooks = [partial(notify, channel="#data"), later, Alarm()]

        @flow(on_completion=hooks)
        def f(x): return Completed(message="well")

        @flow(on_completion=hooks)
        async def g(x): return Completed(message="well")

        f(1)
        asyncio.run(g(2))
    """)
    assert made.seen == [
        ("#data", {"x": 1}, "well"), "later", "alarm",
        ("#data", {"x": 2}, "well"), "later", "alarm",
    ]  # fmt: skip


def test_methods(program: Program) -> None:
    made = program("""
        from prefect import flow

        class Shop:
            rate = 2

            def __init__(self, stock): self.stock = stock

            @flow
            def count(self, more: int) -> int: return self.stock + more

            @classmethod
            @flow
            def price(cls, base: int) -> int: return cls.rate * base

            @staticmethod
            @flow
            def hello(name: str) -> str: return f"hello {name}"

            @flow
            @classmethod
            def inside_out(cls) -> str: return cls.__name__

        shop = Shop(5)
        values = [shop.count(1), Shop.price("4"), shop.hello("ann"), Shop.inside_out()]
    """)
    assert made.values == [6, 8, "hello ann", "Shop"]
    assert runs("count")[0].parameters == {"more": 1}


def test_flows_inside_flows(program: Program) -> None:
    program("""
        import asyncio
        from prefect import flow, tags, task

        @task
        def double(x): return 2 * x

        @flow(name="Child")
        def child(x: int): return double(x)

        @flow(name="Parent")
        def parent(x: int):
            with tags("nested"):
                return child(child(x))

        @flow
        async def achild(x: int): return double(x)

        @flow
        async def aparent():
            return await asyncio.gather(achild(1), achild(2))

        assert parent(1) == 4
        assert asyncio.run(aparent()) == [2, 4]
    """)
    (parent,) = runs("Parent")
    assert [run.parent_id for run in runs("Child")] == [parent.id] * 2
    assert [run.tags for run in runs("Child")] == [("nested",)] * 2
    assert parent.tags == ()


def test_options_are_changed(program: Program) -> None:
    made = program("""
        from prefect import flow
        from prefect.task_runners import ThreadPoolTaskRunner

        @flow(name="First", retries=2)
        def f(): return 1

        g = f.with_options(name="Second", log_prints=True, timeout_seconds=60,
                           task_runner=ThreadPoolTaskRunner(max_workers=3))
        value = g()
    """)
    assert (made.f.name, made.g.name, made.value) == ("First", "Second", 1)
    assert made.g.spec.retries == 2
    assert made.g.task_runner.max_workers == 3
    assert made.f.task_runner.max_workers is None


def test_pictures(program: Program) -> None:
    made = program("""
        from prefect import flow, task

        ran = []

        @task(viz_return_value=[4])
        def numbers(): ran.append(1)

        @task
        def add(numbers, more): ran.append(2)

        @flow(name="Viz Flow")
        def viz_flow():
            for number in numbers():
                if number > 3:
                    last = add(number, 1)
            return add.submit(last, 2)

        viz_flow.visualize()
        text = viz_flow.generate_mermaid_graph()
    """)
    assert made.ran == []
    assert all(name in made.text for name in ("numbers", "add-0", "add-1", "-->"))
    assert runs("Viz Flow") == []


# ---------------------------------------------------------------- how a run ends


def test_an_exception_fails_the_run(program: Program) -> None:
    made = program("""
        from prefect import flow

        @flow
        def bad(): raise ValueError("this flow immediately fails")

        state = bad(return_state=True)
    """)
    assert made.state.is_failed()
    assert made.state.message == "ValueError: this flow immediately fails"
    assert isinstance(made.state.result(raise_on_failure=False), ValueError)
    with pytest.raises(ValueError, match="immediately"):
        made.bad()


def test_returned_states_and_futures_decide(program: Program) -> None:
    made = program("""
        from prefect import flow, task
        from prefect.states import Completed, Failed

        @task
        def good(): return "fine"

        @task
        def bad(): raise ValueError("no")

        @flow
        def skips(): return Completed(message="nothing to do", name="Skipped")

        @flow
        def says_no(): return Failed(message="not today")

        @flow
        def mixed():
            return good.submit(), bad.submit()

        @flow
        def of_states():
            return [good(return_state=True), bad(return_state=True)]

        @flow
        def of_one(): return good.submit()

        ends = [f(return_state=True) for f in (skips, says_no, mixed, of_states, of_one)]
    """)
    assert [(end.type.value, end.name) for end in made.ends] == [
        ("COMPLETED", "Skipped"),
        ("FAILED", "Failed"),
        ("FAILED", "Failed"),
        ("FAILED", "Failed"),
        ("COMPLETED", "Completed"),
    ]
    assert made.ends[0].message == "nothing to do"
    assert made.ends[1].message == "not today"
    assert made.of_one() == "fine"


def test_a_failure_that_was_handled_does_not_count(program: Program) -> None:
    program("""
        from prefect import flow, task

        @task
        def bad(): raise ValueError("no")

        @flow
        def handled():
            try:
                bad()
            except ValueError:
                pass
            future = bad.submit()
            future.wait()
            if future.state.is_failed():
                return "plan B"

        assert handled() == "plan B"
    """)
    assert states("handled") == ["Completed"]


def test_a_failure_that_nobody_saw_fails_the_flow(program: Program) -> None:
    """Better on purpose: elsewhere such a flow is told to have completed."""
    made = program("""
        from prefect import flow, task

        @task
        def bad(): raise ValueError("lost")

        @flow
        def careless():
            bad.submit()
            return "all is well"

        state = careless(return_state=True)
    """)
    assert made.state.is_failed()
    assert "bad-0" in made.state.message


def test_async_flows(program: Program) -> None:
    made = program("""
        import asyncio
        from prefect import flow, task

        @task
        async def fetch(x):
            await asyncio.sleep(0)
            return x * 10

        @task
        def add(values): return sum(values)

        @flow
        async def gathered():
            values = await asyncio.gather(*(fetch(x) for x in range(4)))
            return add(values)

        @flow
        async def submitted():
            futures = fetch.map(range(4))
            return add(futures)
    """)
    assert asyncio.run(made.gathered()) == 60
    assert asyncio.run(made.submitted()) == 60
    assert made.gathered.isasync


def test_defaults_come_from_the_environment(script: Script) -> None:
    done = script(
        """
        from prefect import flow

        tries = []

        @flow
        def f():
            print("try", len(tries))
            tries.append(1)
            if len(tries) < 3:
                raise ValueError("again")

        f()
        """,
        FLOWSTONE_FLOWS_DEFAULT_RETRIES="2",
        FLOWSTONE_LOGGING_LOG_PRINTS="true",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert [f"try {number}" in done.stderr for number in range(4)] == [True, True, True, False]


@pytest.mark.parametrize("name", ["return_state", "wait_for"])
@pytest.mark.parametrize("kind", ["flow", "task"])
def test_reserved_arguments(program: Program, kind: str, name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"parameter '{name}' has a name"):
        program(f"""
            from prefect import {kind}

            @{kind}
            def f(x, *, {name}=None): ...
        """)
