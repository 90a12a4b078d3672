"""Caching, as people ask for it: policies, keys, expiry, isolation."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.parity.conftest import runs, states

from flowstone.cache_policies import DEFAULT, INPUTS, NO_CACHE, NONE, TASK_SOURCE, Inputs
from flowstone.errors import ConfigurationError

if TYPE_CHECKING:
    from tests.parity.conftest import Program, Script


def test_inputs(program: Program) -> None:
    program("""
        import threading
        from prefect import flow, task
        from prefect.cache_policies import INPUTS, Inputs

        calls = []

        @task(cache_policy=INPUTS, persist_result=True)
        def add(x, y=1):
            calls.append((x, y))
            return x + y

        @task(cache_policy=INPUTS - "debug", persist_result=True)
        def quiet(x, debug):
            calls.append((x, debug))
            return x

        @task(cache_policy=Inputs(exclude=["lock"]), persist_result=True)
        def guarded(z, lock):
            calls.append((z, "lock"))
            return z

        @flow
        def f():
            assert [add(1), add(1), add(1, y=1), add(2)] == [2, 2, 2, 3]
            assert [quiet(1, True), quiet(1, False)] == [1, 1]
            assert [guarded(1, threading.Lock()), guarded(1, threading.Lock())] == [1, 1]

        f()
        f()
        assert calls == [(1, 1), (2, 1), (1, True), (1, "lock")]
    """)
    assert states("add") == ["Completed", "Cached", "Cached", "Completed", *["Cached"] * 4]


def test_the_default_holds_within_one_flow_run(program: Program) -> None:
    program("""
        from prefect import flow, task

        calls = []

        @task(persist_result=True)
        def add(x):
            calls.append(x)
            return x

        @flow
        def f():
            add(1)
            add(1)

        f()
        f()
        assert calls == [1, 1]
    """)


def test_a_retry_of_a_flow_does_over_only_what_failed(program: Program) -> None:
    program("""
        from prefect import flow, task

        calls = []

        @task
        def load(x):
            calls.append(f"load {x}")
            return x

        @task
        def crunch(x):
            calls.append("crunch")
            if calls.count("crunch") == 1:
                raise ValueError("once")
            return x * 2

        @flow(retries=1, persist_result=True)
        def f(): return crunch(load(1) + load(2))

        assert f() == 6
        assert calls == ["load 1", "load 2", "crunch", "crunch"]
    """)


def test_sources_of_tasks(program: Program) -> None:
    program("""
        from prefect import task
        from prefect.cache_policies import INPUTS, TASK_SOURCE

        def make(change):
            if change:
                @task(name="t", cache_policy=INPUTS + TASK_SOURCE, persist_result=True)
                def t(x): return ("new", x)
            else:
                @task(name="t", cache_policy=INPUTS + TASK_SOURCE, persist_result=True)
                def t(x): return ("old", x)
            return t

        assert make(False)(1) == ("old", 1)
        assert make(True)(1) == ("new", 1)
        assert make(False)(1) == ("old", 1)
    """)
    assert states("t") == ["Completed", "Completed", "Cached"]


def test_run_ids_and_flow_parameters(program: Program) -> None:
    program("""
        from prefect import flow, task
        from prefect.cache_policies import FLOW_PARAMETERS, RUN_ID

        @task(cache_policy=RUN_ID, persist_result=True)
        def once_a_run(x): return x

        @task(cache_policy=FLOW_PARAMETERS, persist_result=True)
        def once_a_day(x): return x

        @flow
        def f(day):
            return once_a_run(1), once_a_run(2), once_a_day(day), once_a_day("other")

        assert f("monday") == (1, 1, "monday", "monday")
        assert f("monday") == (1, 1, "monday", "monday")
        assert f("tuesday") == (1, 1, "tuesday", "tuesday")
    """)
    assert states("once_a_run") == ["Completed", "Cached"] * 3
    once_a_day = states("once_a_day")
    assert once_a_day == ["Completed", "Cached", "Cached", "Cached", "Completed", "Cached"]


def test_key_functions(program: Program) -> None:
    made = program("""
        from datetime import timedelta
        from prefect import flow, task
        from prefect.cache_policies import CacheKeyFnPolicy, CachePolicy
        from prefect.tasks import task_input_hash

        def static_key(context, parameters):
            return "always the same"

        def by_name(context, parameters):
            return f"{context.task.name}-{parameters['x']}-{context.task_run.flow_run_id}"

        def never(context, parameters): return None

        @task(cache_key_fn=static_key, cache_expiration=timedelta(minutes=5))
        def static(x): return x

        @task(cache_key_fn=by_name)
        def named(x): return x

        @task(cache_key_fn=task_input_hash)
        def hashed(x): return x

        @task(cache_key_fn=never)
        def uncached(x): return x

        @task(cache_policy=CachePolicy.from_cache_key_fn(static_key), persist_result=True)
        def by_policy(x): return x

        assert CacheKeyFnPolicy(cache_key_fn=static_key).cache_key_fn is static_key

        @flow
        def f():
            return [t(x) for t in (static, named, hashed, uncached, by_policy) for x in (1, 1, 2)]

        values = f()
    """)
    assert made.values == [1, 1, 1, 1, 1, 2, 1, 1, 2, 1, 1, 2, 1, 1, 1]


def test_policies_of_ones_own(program: Program) -> None:
    program("""
        from prefect import flow, task
        from prefect.cache_policies import INPUTS, CachePolicy

        class ByFirstLetter(CachePolicy):
            def compute_key(self, task_ctx, inputs, flow_parameters, **kwargs):
                if inputs["name"] == "secret":
                    return None
                day = flow_parameters.get("day", "never")
                return f"{task_ctx.task.name}-{day}-{inputs['name'][0]}"

        calls = []

        @task(cache_policy=ByFirstLetter(), persist_result=True)
        def load(name):
            calls.append(name)
            return name

        @flow
        def f(day): return [load("ann"), load("al"), load("bob"), load("secret"), load("secret")]

        assert f("monday") == ["ann", "ann", "bob", "secret", "secret"]
        assert f("tuesday")[0] == "ann"
        assert calls == ["ann", "bob", "secret", "secret", "ann", "bob", "secret", "secret"]
    """)


def test_two_key_functions_add_up(program: Program) -> None:
    program("""
        from prefect import task
        from prefect.cache_policies import CacheKeyFnPolicy

        first = CacheKeyFnPolicy(cache_key_fn=lambda context, parameters: str(parameters["x"]))
        second = CacheKeyFnPolicy(cache_key_fn=lambda context, parameters: str(parameters["y"]))

        @task(cache_policy=first + second, persist_result=True)
        def add(x, y): return x + y

        assert [add(1, 1), add(1, 2), add(2, 2), add(1, 1)] == [2, 3, 4, 2]
    """)


def test_a_key_that_holds_within_a_flow_run(program: Program) -> None:
    program("""
        from prefect import flow, task
        from prefect.tasks import task_input_hash

        calls = []

        def within_the_run(context, parameters):
            return f"{context.task_run.flow_run_id}-{task_input_hash(context, parameters)}"

        @task(cache_key_fn=within_the_run)
        def total(numbers):
            calls.append(numbers)
            return sum(numbers)

        @flow
        def f(): return total([1, 2]), total([1, 2]), total([3])

        assert f() == f() == (3, 3, 3)
        assert calls == [[1, 2], [3]] * 2
    """)


def test_a_key_function_wins_over_a_policy(program: Program) -> None:
    program("""
        from prefect import task
        from prefect.cache_policies import INPUTS

        @task(cache_policy=INPUTS, cache_key_fn=lambda context, parameters: "k")
        def a(x): return x

        @task(cache_key_fn=lambda context, parameters: "k", cache_policy=INPUTS)
        def b(x): return x

        assert [a(1), a(2), b(3)] == [1, 1, 1]
    """)


def test_turned_off_and_refreshed(program: Program) -> None:
    program("""
        from prefect import task
        from prefect.cache_policies import INPUTS, NO_CACHE, NONE

        calls = []

        @task(cache_policy=INPUTS, persist_result=True)
        def t(x):
            calls.append(x)
            return len(calls)

        off = t.with_options(cache_policy=NO_CACHE)
        fresh = t.with_options(refresh_cache=True)
        assert [t(1), t(1), off(1), fresh(1), t(1)] == [1, 1, 2, 3, 3]
        assert NONE is NO_CACHE
    """)


@pytest.mark.parametrize(
    ("environ", "printed"),
    [
        ({}, "1 1 2 2\n"),
        ({"FLOWSTONE_TASKS_REFRESH_CACHE": "true"}, "1 2 3 4\n"),
        ({"FLOWSTONE_TASKS_DEFAULT_NO_CACHE": "true"}, "1 1 2 3\n"),
        ({"FLOWSTONE_TASKS_DISABLE_CACHING": "true"}, "1 2 3 4\n"),
    ],
)
def test_settings(script: Script, environ: dict[str, str], printed: str) -> None:
    done = script(
        """
        from prefect import flow, task
        from prefect.cache_policies import INPUTS

        calls = []

        def work(x):
            calls.append(x)
            return len(calls)

        by_inputs = task(cache_policy=INPUTS, persist_result=True)(work)
        by_default = task(persist_result=True, name="other")(work)

        @flow
        def f(): print(by_inputs(1), by_inputs(1), by_default(2), by_default(2))

        f()
        """,
        **environ,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == printed


def test_storage_and_isolation(program: Program) -> None:
    made = program("""
        import threading
        from pathlib import Path
        from prefect import flow, task
        from prefect.cache_policies import INPUTS
        from prefect.locking.filesystem import FileSystemLockManager
        from prefect.locking.memory import MemoryLockManager
        from prefect.task_runners import ThreadPoolTaskRunner
        from prefect.transactions import IsolationLevel

        calls = []
        policy = INPUTS.configure(
            key_storage=Path("keys"),
            isolation_level=IsolationLevel.SERIALIZABLE,
            lock_manager=FileSystemLockManager(lock_files_directory=Path("locks")),
        )

        @task(cache_policy=policy)
        def files(x):
            calls.append(x)
            return x

        @task(cache_policy=policy.configure(lock_manager=MemoryLockManager()), persist_result=True)
        def memory(x):
            calls.append(x)
            return x

        @flow(task_runner=ThreadPoolTaskRunner(max_workers=8))
        def f():
            return files.map([1] * 8).result() + memory.map([2] * 8).result()

        values = f()
        kept = len(list(Path("keys").iterdir()))
    """)
    assert made.values == [1] * 8 + [2] * 8
    assert sorted(made.calls) == [1, 2]
    assert made.kept == 2


def test_storage_of_keys_is_a_text(program: Program) -> None:
    made = program("""
        from pathlib import Path
        from prefect import task
        from prefect.cache_policies import INPUTS, TASK_SOURCE

        place = str(Path.cwd() / "keys")
        calls = []

        @task(cache_policy=(TASK_SOURCE + INPUTS).configure(key_storage=place))
        def add(x: int): calls.append(x); return x + 42

        values = add(1), add(1)
        kept = len(list(Path("keys").iterdir()))
    """)
    assert made.values == (43, 43)
    assert (made.calls, made.kept) == ([1], 1)


def test_serializable_async_tasks_do_not_lock_up(program: Program) -> None:
    made = program("""
        import asyncio
        from prefect import flow, task
        from prefect.cache_policies import INPUTS
        from prefect.transactions import IsolationLevel

        calls = []

        @task(cache_policy=INPUTS.configure(isolation_level=IsolationLevel.SERIALIZABLE),
              persist_result=True)
        async def t(x):
            calls.append(x)
            await asyncio.sleep(0)
            return x

        @flow
        async def f(): return await asyncio.gather(*(t(1) for _ in range(3)))
    """)
    assert asyncio.run(made.f()) == [1, 1, 1]
    assert made.calls == [1]


def test_sums_and_differences() -> None:
    assert INPUTS + NO_CACHE == INPUTS
    assert not NONE
    assert (DEFAULT - "x").parts is not None
    assert Inputs(exclude=["a"]) - "b" == Inputs(exclude=["b", "a"])
    with pytest.raises(ConfigurationError, match="no inputs"):
        TASK_SOURCE - "x"
    # Better on purpose: elsewhere a subtraction forgets how the policy was configured.
    configured = (INPUTS + TASK_SOURCE).configure(isolation_level="SERIALIZABLE") - "x"
    assert configured.isolation_level == "SERIALIZABLE"
    with pytest.raises(ConfigurationError, match="different values of key_storage"):
        INPUTS.configure(key_storage="a/a") + TASK_SOURCE.configure(key_storage="b/b")
    a, b = INPUTS.configure(key_storage="s/s"), TASK_SOURCE
    assert (a + b).key_storage == (b + a).key_storage == "s/s"


def test_runs_say_why_they_hit_or_missed(program: Program) -> None:
    """Better on purpose: elsewhere nobody can tell why a task was computed again."""
    program("""
        from prefect import task
        from prefect.cache_policies import INPUTS

        class Opaque:
            def __init__(self): self.handle = (n for n in "x")

        @task(cache_policy=INPUTS, persist_result=True)
        def t(x): return 1

        t(1), t(1), t(Opaque())
    """)
    missed, hit, unhashable = runs("t")
    assert hit.state.message is not None
    assert hit.state.message.startswith("hit: result of run " + missed.id[-8:])
    assert unhashable.state.is_completed()
