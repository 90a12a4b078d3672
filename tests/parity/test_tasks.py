"""Tasks, as people write them: their options, retries, hooks, and where they may be called."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.parity.conftest import lines, runs, states

from flowstone.errors import ConfigurationError, MappingLengthMismatch, MappingMissingIterable

if TYPE_CHECKING:
    from tests.parity.conftest import HastyClock, Program, Script


def test_a_task_runs_in_a_flow_and_by_itself(program: Program) -> None:
    made = program('''
        from prefect import flow, task

        @task(name="Add", description="Sums up", tags=["math"], version="v2")
        def add(a, b=1):
            """The docstring."""
            return a + b

        @flow
        def f(): return add(1)

        alone, inside, bare = add(5, b=5), f(), add.fn(2)
    ''')
    assert (made.alone, made.inside, made.bare) == (10, 2, 3)
    assert (made.add.name, made.add.description) == ("Add", "Sums up")
    alone, inside = runs("Add")
    assert (alone.tags, alone.unit_version) == (("math",), "v2")
    assert alone.parent_id is None
    assert inside.parent_id == runs("f")[0].id


def test_tasks_nest(program: Program) -> None:
    program("""
        from prefect import flow, task

        @task
        def leaf(x): return x + 1

        @task
        def branch(x): return leaf(leaf(x))

        @task
        def tree(x):
            first, second = branch.submit(x), leaf.submit(x)
            return first.result() + second.result()

        @flow
        def forest(): return tree(1)

        assert forest() == 5
    """)
    assert len(runs("leaf")) == 3


def test_names_of_runs(program: Program) -> None:
    program("""
        import datetime as dt
        from prefect import flow, task
        from prefect.runtime import flow_run, task_run

        @task(task_run_name="load-{table}-{day:%d}")
        def templated(table, day): ...

        def from_runtime(): return f"{flow_run.flow_name}/{task_run.parameters['table']}"

        @task(task_run_name=from_runtime)
        def called(table): ...

        def from_parameters(parameters: dict) -> str: return "-".join(sorted(parameters))

        @task(task_run_name=from_parameters)
        def given(x, y=2): ...

        @flow
        def f():
            templated("users", dt.date(2026, 1, 7))
            called("users")
            given(1)

        f()
    """)
    names = [run.name for unit in ("templated", "called", "given") for run in runs(unit)]
    assert names == ["load-users-07", "f/users", "x-y"]


@pytest.mark.parametrize(
    ("delay", "slept"),
    [
        ("3", [3.0, 3.0, 3.0]),
        ("[1, 10]", [1.0, 10.0, 10.0]),
        ("exponential_backoff(backoff_factor=10)", [10.0, 20.0, 40.0]),
        ("lambda retries: [n * 0.5 for n in range(retries)]", [0.0, 0.5, 1.0]),
    ],
)
def test_delays(program: Program, clock: HastyClock, delay: str, slept: list[float]) -> None:
    made = program(f"""
        from prefect import task
        from prefect.tasks import exponential_backoff

        @task(retries=3, retry_delay_seconds={delay})
        def never():
            raise ConnectionError("down")

        state = never(return_state=True)
    """)
    assert made.state.is_failed()
    assert clock.slept == slept
    assert [run.attempt for run in runs("never")] == [4]


def test_jitter_is_applied(program: Program, clock: HastyClock) -> None:
    """Better on purpose: elsewhere there was a version that never applied it."""
    program("""
        from prefect import task

        @task(retries=20, retry_delay_seconds=10, retry_jitter_factor=0.5)
        def never():
            raise ConnectionError("down")

        never(return_state=True)
    """)
    assert len(set(clock.slept)) > 1
    assert all(10 <= seconds <= 15 for seconds in clock.slept)


def test_conditions_of_retries(program: Program, clock: HastyClock) -> None:
    made = program("""
        import asyncio
        from prefect import flow, task

        class HTTPError(Exception):
            def __init__(self, code):
                super().__init__(f"code {code}")
                self.code = code

        asked = []

        def worth_it(task, task_run, state) -> bool:
            asked.append((task.name, task_run.name, state.name))
            try:
                state.result()
            except HTTPError as error:
                return error.code not in {401, 404}
            except ConnectionError:
                return False
            return True

        async def worth_it_too(task, task_run, state): return worth_it(task, task_run, state)

        @task(retries=1, retry_condition_fn=worth_it)
        def call(error): raise error

        @task(retries=1, retry_condition_fn=worth_it_too)
        async def acall(error): raise error

        @flow
        def f():
            call(HTTPError(404), return_state=True)
            call(HTTPError(503), return_state=True)
            call(ConnectionError(), return_state=True)

        f(return_state=True)
        asyncio.run(acall(HTTPError(503), return_state=True))
    """)
    assert [run.attempt for run in runs("call")] == [1, 2, 1]
    assert [run.attempt for run in runs("acall")] == [2]
    assert made.asked[0] == ("call", "call-0", "Failed")


def test_timeouts(program: Program) -> None:
    made = program("""
        import asyncio
        import time
        from prefect import flow, task

        @task(timeout_seconds=0.05, retries=1)
        def slow():
            while True:
                time.sleep(0.005)

        @task(timeout_seconds=0.05)
        async def aslow(): await asyncio.sleep(60)

        @flow
        def f(): return slow.submit(return_state=True)

        end, aend = slow(return_state=True), asyncio.run(aslow(return_state=True))
        submitted = f(return_state=True)
    """)
    assert (made.end.name, made.aend.name) == ("TimedOut", "TimedOut")
    assert made.submitted.is_failed()
    assert [run.attempt for run in runs("slow")] == [2, 2]


def test_hooks(program: Program) -> None:
    made = program("""
        from prefect import flow, task
        from prefect.transactions import transaction

        seen = []

        def note(task, task_run, state): seen.append((task.name, state.name))

        @task(on_running=[note], on_completion=[note], on_failure=[note])
        def work(good):
            if not good:
                raise ValueError

        @work.on_failure
        def alarm(task, task_run, state): seen.append("alarm")

        @work.on_commit
        def kept(txn): seen.append("kept")

        @work.on_rollback
        def undone(txn): seen.append("undone")

        @flow
        def f():
            work(True)
            work(False, return_state=True)
            with transaction():
                work(True)
                raise KeyError

        f(return_state=True)
    """)
    assert made.seen == [
        ("work", "Running"), "kept", ("work", "Completed"),
        ("work", "Running"), ("work", "Failed"), "alarm",
        ("work", "Running"), ("work", "Completed"), "undone",
    ]  # fmt: skip


def test_options_are_changed(program: Program) -> None:
    made = program("""
        from datetime import timedelta
        from prefect import task
        from prefect.cache_policies import INPUTS

        @task(name="First", retries=2, tags={"a"})
        def f(x): return x

        g = f.with_options(name="Second", cache_policy=INPUTS, persist_result=True,
                           cache_expiration=timedelta(minutes=1), tags=["b"], retries=0)
        values = [g(1), g(1), f(1)]
    """)
    assert (made.f.name, made.g.name, made.f.tags, made.g.tags) == (
        "First", "Second", {"a"}, {"b"},
    )  # fmt: skip
    assert states("Second") == ["Completed", "Cached"]
    assert made.g.spec.retries == 0


def test_tags_of_the_block_around(program: Program) -> None:
    program("""
        from prefect import flow, tags, task

        @task(tags=["own"])
        def t(): ...

        @flow
        def f():
            with tags("a", "b"):
                t()
                with tags("c"):
                    t.submit().wait()
            t()

        f()
    """)
    assert [run.tags for run in runs("t")] == [("a", "b", "own"), ("a", "b", "c", "own"), ("own",)]


# ---------------------------------------------------------------- submit and map


def test_submit_and_dependencies(program: Program) -> None:
    program("""
        from prefect import flow, task

        order = []

        @task
        def extract(name):
            order.append(name)
            return [1, 2]

        @task
        def total(parts): return sum(map(sum, parts))

        @flow
        def f():
            first = extract.submit("first")
            second = extract.submit("second", wait_for=[first])
            state = extract.submit("third", wait_for=[second], return_state=True)
            assert state.is_completed()
            return total.submit([first, second, first]).result()

        assert f() == 9
        assert order == ["first", "second", "third"]
    """)
    first, second, *_ = runs("extract")
    assert second.inputs == (first.id,)
    assert set(runs("total")[0].inputs) == {first.id, second.id}


def test_a_task_whose_upstream_failed_does_not_start(program: Program) -> None:
    made = program("""
        from prefect import allow_failure, flow, task

        @task
        def bad(): raise ValueError("no")

        @task
        def then(x): return repr(x)

        @flow
        def stops(): return then.submit(bad.submit())

        @flow
        def goes_on(): return then.submit(allow_failure(bad.submit()))

        state, value = stops(return_state=True), goes_on()
    """)
    assert made.state.is_failed()
    assert made.value == "ValueError('no')"
    assert len(runs("then")) == 2


def test_map(program: Program) -> None:
    made = program("""
        from prefect import flow, task, unmapped
        from prefect.futures import wait

        @task
        def add(x, y, z=0): return x + y + z

        @task
        def show(x): return str(x)

        @flow
        def f():
            both = add.map([1, 2, 3], [10, 20, 30])
            constant = add.map([1, 2], unmapped(5), z=unmapped([]) and 7)
            text = add.map(["a", "b"], "c", z="d")
            chained = show.map(both)
            futures = add.map(range(3), 1, wait_for=[both[0]])
            wait(futures)
            states = add.map((n for n in range(2)), 0, return_state=True)
            return [both.result(), [c.result() for c in constant], text.result(),
                    chained.result(), futures.result(), [s.name for s in states]]

        values = f()
    """)
    assert made.values == [
        [11, 22, 33], [13, 14], ["acd", "bcd"], ["11", "22", "33"], [1, 2, 3], ["Completed"] * 2,
    ]  # fmt: skip
    with pytest.raises(MappingLengthMismatch):
        made.add.map([1, 2], [1, 2, 3])
    with pytest.raises(MappingMissingIterable):
        made.add.map(1, 2)


def test_map_of_async_tasks(program: Program) -> None:
    made = program("""
        import asyncio
        from prefect import flow, task, unmapped

        @task
        async def scale(x, by):
            await asyncio.sleep(0)
            return x * by

        @flow
        async def f():
            futures = scale.map([1, 2, 3], unmapped(2))
            return [await future for future in futures]

        @flow
        def g(): return scale.map([1, 2], by=unmapped(3)).result()
    """)
    assert asyncio.run(made.f()) == [2, 4, 6]
    assert made.g() == [3, 6]


def test_quoted_arguments_are_not_looked_into(program: Program) -> None:
    program("""
        from prefect import flow, quote, task

        @task
        def one(): return 1

        @task
        def kind(x): return type(x[0]).__name__

        @flow
        def f():
            futures = [one.submit()]
            return kind(futures), kind(quote(futures))

        assert f()[0] == "int"
        assert f()[1] != "int"
    """)


# ---------------------------------------------------------------- the rest


def test_unknown_options_are_named(program: Program) -> None:
    """Better on purpose: the error says which option was meant."""
    with pytest.raises(ConfigurationError, match="Did you mean 'retries'"):
        program("""
            from prefect import task

            @task(retry=3)
            def t(): ...
        """)


def test_defaults_come_from_the_environment(script: Script) -> None:
    done = script(
        """
        from prefect import task

        tries = []

        @task
        def t():
            tries.append(1)
            if len(tries) < 3:
                raise ValueError("again")
            return "done"

        print(t(), len(tries))
        """,
        FLOWSTONE_TASKS_DEFAULT_RETRIES="2",
        FLOWSTONE_TASKS_DEFAULT_RETRY_DELAY_SECONDS="0.01",
    )
    assert done.stdout == "done 3\n", done.stderr


def test_prints_and_loggers(program: Program) -> None:
    program("""
        from prefect import flow, get_run_logger, task

        @task(log_prints=True)
        def t(name):
            print("hello", name)
            get_run_logger().info("looked at %s", name)

        @flow
        def f():
            get_run_logger().warning("careful")
            t("ann")

        f()
    """)
    assert lines() == ["careful", "hello ann", "looked at ann"]


def test_async_hooks_of_sync_tasks_on_a_loop(program: Program) -> None:
    made = program("""
        import asyncio
        from prefect import flow, task

        seen = []

        async def told(task, run, state):
            await asyncio.sleep(0)
            seen.append(state.name)

        async def again(task, run, state):
            await asyncio.sleep(0)
            return True

        @task(retries=1, retry_condition_fn=again, on_running=[told], on_completion=[told])
        def flaky():
            if seen == ["Running"]:
                raise ConnectionError("once")
            return 1

        @flow(on_completion=[told])
        def inner(): return flaky()

        @flow
        async def f(): return inner()

        value = asyncio.run(f())
    """)
    assert made.value == 1
    assert made.seen == ["Running", "Retrying", "Completed", "Completed"]


def test_a_failure_is_allowed_in_what_is_waited_for(program: Program) -> None:
    made = program("""
        from prefect import allow_failure, flow, task

        @task
        def break_down(): raise ValueError("no")

        @task
        def clean_up(): return "clean"

        @flow
        def f():
            return clean_up.submit(wait_for=[allow_failure(break_down.submit())])

        @flow
        def mapped(n):
            bad = break_down.submit()
            return [f.result() for f in clean_again.map(range(n), wait_for=[allow_failure(bad)])]

        @task
        def clean_again(x): return x

        values = f(), mapped(2)
    """)
    assert made.values == ("clean", [0, 1])


def test_options_are_attributes(program: Program) -> None:
    made = program("""
        from prefect import flow, task
        from prefect.cache_policies import INPUTS

        @task(retries=2, retry_delay_seconds=[1, 2], cache_policy=INPUTS, task_run_name="t-{x}")
        def t(x): ...

        @flow(timeout_seconds=5, log_prints=True, flow_run_name="f")
        def f(): ...

        once = t.with_options(retries=0, persist_result=True)
    """)
    task, once, flow = made.t, made.once, made.f
    assert (task.retries, task.retry_delay_seconds, task.task_run_name) == (2, [1.0, 2.0], "t-{x}")
    assert (task.cache_policy, task.persist_result, task.version) == (made.INPUTS, None, None)
    assert (once.retries, once.persist_result, once.log_prints) == (0, True, None)
    assert (flow.timeout_seconds, flow.log_prints, flow.flow_run_name) == (5.0, True, "f")


def test_states_are_waited_for_too(program: Program) -> None:
    made = program("""
        from prefect import allow_failure, flow, task, unmapped

        ran = []

        @task
        def end(well):
            if not well:
                raise ValueError("no")

        @task
        def after(name): ran.append(name)

        @flow
        def f():
            good, bad = end(True, return_state=True), end(False, return_state=True)
            after("good", wait_for=[good])
            after.submit("allowed", wait_for=[allow_failure(bad)]).wait()
            names = []
            for states in ([bad], [good, (bad,)]):
                names.append(after("bad", wait_for=states, return_state=True).name)
            futures = after.map(["bad"], wait_for=[bad])
            futures.wait()
            return names + [future.state.name for future in futures]

        names = f()
    """)
    assert made.ran == ["good", "allowed"]
    assert made.names == ["UpstreamFailed"] * 3
