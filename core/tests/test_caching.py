from __future__ import annotations

import asyncio
import linecache
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from flowstone import flow, task
from flowstone.blocks import LocalDirectory
from flowstone.context.current import Services
from flowstone.errors import (
    ConfigurationError,
    LockNotHeld,
    NotHashable,
    NotSerializable,
    UnknownName,
)
from flowstone.locking import FileSystemLockManager, MemoryLockManager
from flowstone.records.events import Event
from flowstone.records.runs import RunQuery
from flowstone.results.policies import (
    DEFAULT,
    FLOW_PARAMETERS,
    INPUTS,
    NO_CACHE,
    RUN_ID,
    TASK_SOURCE,
    CachePolicy,
    Inputs,
    TaskCall,
    make_key,
)
from flowstone.serializers import AutomaticSerializer, JSONSerializer, find_serializer
from flowstone.tasks import task_input_hash


@pytest.fixture(autouse=True)
def place(services: Services, tmp_path: Path) -> Path:
    return tmp_path / "results"


def told(services: Services) -> list[tuple[str, str]]:
    """Return the name and message of each state of task runs, in order."""
    states = [event.payload.state for _, event in services.runs.events() if tasks(event)]  # type: ignore[union-attr]
    return [(state.name, state.message or "") for state in states]


def tasks(event: Event) -> bool:
    return event.kind.startswith("TaskRun")


class Counter:
    """A task that counts its calls."""

    def __init__(self, **options: Any) -> None:
        self.calls = 0

        @task(**options)
        def count(x: Any, y: Any = 0) -> Any:
            self.calls += 1
            return [x, y]

        self.task = count


def test_inputs_hit_across_flow_runs(services: Services, place: Path) -> None:
    counter = Counter(cache_policy=INPUTS, result_storage=place)

    @flow
    def f(x: int) -> Any:
        return counter.task(x)

    assert f(1) == f(1) == [1, 0]
    assert f(2) == [2, 0]
    assert counter.calls == 2
    names = [name for name, _ in told(services)]
    assert names == ["Running", "Completed", "Pending", "Cached", "Running", "Completed"]
    messages = [message for _, message in told(services)]
    assert messages[0].startswith("miss: no result is kept (input x ")
    assert messages[3].startswith("hit: result of run ")


def test_by_default_nothing_is_kept_and_with_persistence_default_holds_in_one_run(
    place: Path,
) -> None:
    plain = Counter()
    kept = Counter(persist_result=True, result_storage=place)

    @flow
    def f() -> None:
        for _ in range(2):
            plain.task(1)
            kept.task(1)

    f()
    f()
    assert (plain.calls, kept.calls) == (4, 2)


def test_a_flow_retry_repeats_only_what_is_not_kept(services: Services, place: Path) -> None:
    first = Counter()
    attempts = []

    @flow(retries=1, persist_result=True, result_storage=place)
    def f() -> int:
        first.task(1)
        attempts.append(1)
        if len(attempts) == 1:
            raise ValueError
        return 5

    assert f() == 5
    assert first.calls == 1
    assert [run.state.name for run in services.runs.runs(RunQuery()) if run.kind == "task"] == [
        "Completed",
        "Cached",
    ]


def test_policies_add_up_and_leave_out(place: Path) -> None:
    ignoring = Counter(cache_policy=INPUTS - "y", result_storage=place)
    assert ignoring.task(1, y=1) == ignoring.task(1, y=2)
    assert ignoring.calls == 1
    assert DEFAULT - "y" != DEFAULT
    assert INPUTS + NO_CACHE == INPUTS
    assert NO_CACHE + INPUTS == INPUTS
    with pytest.raises(ConfigurationError, match="has no inputs"):
        RUN_ID - "x"
    with pytest.raises(ConfigurationError, match="different values of key_storage"):
        INPUTS.configure(key_storage=Path("a")) + RUN_ID.configure(key_storage=Path("b"))


def test_flow_parameters_and_source(place: Path) -> None:
    by_day = Counter(cache_policy=FLOW_PARAMETERS, result_storage=place)

    @flow
    def f(day: str) -> None:
        by_day.task(object)

    f("monday")
    f("monday")
    f("tuesday")
    assert by_day.calls == 2

    def one() -> int:
        return 1

    def two() -> int:
        return 2

    options: Any = {"cache_policy": TASK_SOURCE, "result_storage": place, "name": "same"}
    assert task(**options)(one)() == 1
    assert task(**options)(two)() == 2


def test_tables_of_lists_and_other_objects_are_inputs(place: Path) -> None:
    counter = Counter(cache_policy=INPUTS, result_storage=place)
    for tags in ([["a"], ["b"]], [["a"], ["b"]], [["a"], ["c"]], [{"a": 1}, 2]):
        counter.task(pd.DataFrame({"tags": tags}))
    assert counter.calls == 3


def test_the_source_is_that_of_the_code_that_runs(tmp_path: Path) -> None:
    path = tmp_path / "written.py"
    path.write_text("def work():\n    return 1\n")

    def loaded() -> Callable[[], int]:
        found: dict[str, Any] = {"__name__": "written"}
        exec(compile(path.read_text(), str(path), "exec"), found)
        return cast("Callable[[], int]", found["work"])

    first = task(loaded())
    key = source_key(first)
    path.write_text("def work():\n    return 1 + 1\n")
    linecache.checkcache(str(path))
    assert source_key(first) == key
    assert source_key(task(loaded())) != key


def test_a_source_that_can_not_be_read_stands_for_what_the_function_holds() -> None:
    found: dict[str, Any] = {}
    exec("def made(held):\n    return lambda: held\n", found)
    held = [1]
    function = task(found["made"](held), name="made")
    key = source_key(function)
    assert source_key(function) == key
    held.append(2)
    assert source_key(function) != key


def source_key(unit: Any) -> str | None:
    return make_key(TASK_SOURCE, TaskCall(unit, {}, "run", {}))[0]


def test_defaults_and_all_ways_to_give_an_argument_make_one_key(place: Path) -> None:
    counter = Counter(cache_policy=INPUTS, result_storage=place)
    ways: list[tuple[list[int], dict[str, int]]] = [
        ([1], {}),
        ([1, 0], {}),
        ([], {"x": 1}),
        ([], {"y": 0, "x": 1}),
    ]
    for args, kwargs in ways:
        assert counter.task(*args, **kwargs) == [1, 0]
    assert counter.calls == 1
    seen: list[tuple[Any, ...]] = []

    @task(cache_policy=INPUTS, result_storage=place)
    def wide(*args: Any, last: int = 3, **more: Any) -> None:
        seen.append((args, last, more))

    for _ in range(2):
        wide()
        wide(last=3)
        wide(1)
        wide(last=4)
        wide(1, other=2)
    assert seen == [((), 3, {}), ((1,), 3, {}), ((), 4, {}), ((1,), 3, {"other": 2})]


def test_a_key_function_decides(place: Path) -> None:
    def key(call: Any, parameters: dict[str, Any]) -> str | None:
        assert call.task.name == "count"
        return None if parameters["x"] < 0 else f"x-{parameters['x']}"

    counter = Counter(cache_key_fn=key, result_storage=place)
    for x in (1, 1, -1, -1):
        counter.task(x)
    assert counter.calls == 3
    hashed = Counter(cache_key_fn=task_input_hash, cache_expiration=timedelta(hours=1))
    assert hashed.task.spec.cache_expiration == 3600


def test_a_part_that_fails_caches_nothing_and_is_named(services: Services, place: Path) -> None:
    counter = Counter(cache_policy=INPUTS + RUN_ID, result_storage=place)
    counter.task(x for x in [1])
    counter.task(x for x in [1])
    assert counter.calls == 2
    assert "argument 'x' is a generator" in told(services)[0][1]

    def broken(call: Any, parameters: Any) -> str:
        raise KeyError("day")

    other = Counter(cache_key_fn=broken, result_storage=place)
    other.task(1)
    assert "'broken' raised KeyError: 'day'. Fix it," in told(services)[-2][1]


@pytest.mark.parametrize("other", [NO_CACHE, INPUTS])
def test_a_policy_of_ones_own_that_raises_caches_nothing(
    services: Services, place: Path, other: CachePolicy
) -> None:
    class Broken(CachePolicy):
        def compute_key(self, *_: Any, **__: Any) -> str:
            raise KeyError("day")

    counter = Counter(cache_policy=Broken() + other, result_storage=place)
    assert counter.task(1) == counter.task(1)
    assert counter.calls == 2
    assert "'Broken' raised KeyError: 'day'. Fix it," in told(services)[0][1]


def test_a_key_that_could_not_be_made_is_warned_of(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    Counter(cache_key_fn=lambda _, parameters: parameters["z"]).task(1)
    Counter(cache_key_fn=lambda *_: None).task(1)
    Counter(cache_policy=INPUTS).task(x for x in [1])

    @flow(persist_result=True)
    def f() -> None:
        Counter().task(x for x in [1])  # nobody asked for a cache

    f()
    warned = [line.message for line in caplog.records if line.levelname == "WARNING"]
    assert len(warned) == 2
    assert warned[0] == (
        "not cached: '<lambda>' raised KeyError: 'z'. Fix it, or let it return None to cache "
        "nothing."
    )
    assert "argument 'x' is a generator" in warned[1]


@pytest.mark.parametrize(
    ("option", "value"),
    [("cache_key_fn", "x"), ("retry_condition_fn", 1), ("result_storage_key", len)],
)
def test_options_are_looked_at_when_they_are_given(option: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=f"option {option} of task 'count'.* is not a"):
        Counter(**{option: value})


def test_policies_of_ones_own_are_classes_of_any_kind(place: Path) -> None:
    class Plain(CachePolicy):
        def __init__(self, prefix: str) -> None:
            self.prefix = prefix

        def compute_key(self, *_: Any, **parts: Any) -> str:
            return f"{self.prefix}-{parts['inputs']['x']}"

    @dataclass
    class Data(CachePolicy):
        prefix: str = "data"

        def compute_key(
            self, task_ctx: Any, inputs: Any, flow_parameters: Any, **kwargs: Any
        ) -> str:
            return f"{self.prefix}-{inputs['x']}"

    for policy in (Plain("plain"), Data()):
        kept = policy.configure(key_storage=place, isolation_level="SERIALIZABLE")
        counter = Counter(cache_policy=kept)
        assert counter.task(1) == counter.task(1, 2)
        assert (counter.calls, policy.key_storage) == (1, None)
    assert {path.name for path in place.iterdir()} == {"plain-1", "data-1"}


def test_a_policy_of_ones_own_may_build_on_a_built_in_ones_key(place: Path) -> None:
    class Versioned(CachePolicy):
        def compute_key(self, *args: Any, **kwargs: Any) -> str:
            return f"v2-{base.compute_key(*args, **kwargs)}"

    bases = (INPUTS, INPUTS - "y", DEFAULT, TASK_SOURCE + INPUTS, INPUTS + FLOW_PARAMETERS)
    for number, base in enumerate(bases):
        counter = Counter(cache_policy=Versioned(key_storage=place / str(number)))
        assert [counter.task(x)[0] for x in (1, 1, 2)] == [1, 1, 2]
        # Outside a flow each run has its own id.
        assert counter.calls == (3 if base is DEFAULT else 2)
        call = TaskCall(counter.task, {}, "run", {})
        assert (
            base.compute_key(call, {"x": 1, "y": 1}, {})
            == make_key(base, call._replace(parameters={"x": 1, "y": 1})).name
        )


def test_a_built_in_policy_may_be_changed_by_a_subclass(place: Path) -> None:
    class Versioned(Inputs):
        def compute_key(self, *args: Any, **kwargs: Any) -> str:
            return f"v2-{super().compute_key(*args, **kwargs)}"

    counter = Counter(cache_policy=Versioned(exclude=["y"], key_storage=place))
    assert [counter.task(x, y) for x, y in ((1, 2), (1, 3), (2, 3))] == [[1, 2], [1, 2], [2, 3]]
    assert {path.name[:3] for path in place.iterdir()} == {"v2-"}


def test_keys_of_policies_that_make_none(place: Path) -> None:
    call = TaskCall(Counter().task, {}, "run", {}, lineage="root/child-0")
    assert NO_CACHE.compute_key(call, {"x": 1}, {}) is None
    assert RUN_ID.compute_key(call, {}, {}) == RUN_ID.compute_key(call, {"x": 1}, {})
    assert CachePolicy.from_cache_key_fn(lambda *_: "mine").compute_key(call, {}, {}) == "mine"
    with pytest.raises(NotHashable, match="argument 'x'"):
        INPUTS.compute_key(call, {"x": threading.Lock()}, {})
    with pytest.raises(NotImplementedError, match="CachePolicy needs a method compute_key"):
        CachePolicy().compute_key(call, {}, {})


def test_a_result_expires(place: Path) -> None:
    short = Counter(cache_policy=INPUTS, cache_expiration=0, result_storage=place)
    short.task(1)
    short.task(1)
    assert short.calls == 2


def test_refresh_computes_anew_and_keeps_that(place: Path) -> None:
    counter = Counter(cache_policy=INPUTS, result_storage=place)
    counter.task(1)
    counter.task.with_options(refresh_cache=True)(1)
    counter.task(1)
    assert counter.calls == 2


@pytest.mark.parametrize(
    "damage",
    [
        *(b"", b"other", b"flowstone-result 1\n{", b'flowstone-result 1\n{"run_id":"a"}\n'),
        *(b"flowstone-result 2\n", b"flowstone-result 2\njson\t3.11\t1\tint\tid\tx\t\n1", None),
    ],
)
def test_a_result_that_can_not_be_read_is_a_miss(place: Path, damage: bytes | None) -> None:
    counter = Counter(cache_policy=INPUTS, result_storage=place)
    counter.task(1)
    [file] = place.iterdir()
    if damage is None:
        file.unlink()
    else:
        file.write_bytes(damage)
    assert counter.task(1) == [1, 0]
    assert counter.calls == 2


def test_a_result_of_an_earlier_version_is_read(place: Path) -> None:
    counter = Counter(cache_policy=INPUTS, result_storage=place)
    counter.task(1)
    [file] = place.iterdir()
    facts = (
        b'{"serializer":"auto","python":"3.11","flowstone":"0.1","type":"builtins.list",'
        b'"run_id":"0190b3e2-5a3c-7000-8000-0123456789ab","created":1.5,"expires":null}'
    )
    file.write_bytes(b"flowstone-result 1\n" + facts + b"\n\x00[7]")
    assert counter.task(1) == [7]
    assert counter.calls == 1


def test_a_serializer_may_have_any_name(services: Services, place: Path) -> None:
    class Odd(JSONSerializer):
        type = "a\tb\nc\\d \u00e9"

    counter = Counter(cache_policy=INPUTS, result_storage=place, result_serializer=Odd())
    counter.task(1)
    counter.task(1)
    assert counter.calls == 1, told(services)


def test_a_pickle_of_another_python_is_a_miss(services: Services, place: Path) -> None:
    counter = Counter(cache_policy=INPUTS, result_storage=place, result_serializer="pickle")
    counter.task(1)
    [file] = place.iterdir()
    import platform

    mine = ".".join(platform.python_version_tuple()[:2])
    file.write_bytes(file.read_bytes().replace(f"\t{mine}\t".encode(), b"\t2.7\t"))
    counter.task(1)
    assert counter.calls == 2
    assert "pickled by Python 2.7" in told(services)[-2][1]


def test_a_block_and_its_saved_name_are_storages(place: Path) -> None:
    block = LocalDirectory(basepath=str(place))
    block.save("results")
    counter = Counter(cache_policy=INPUTS, result_storage=block)
    counter.task(1)
    counter.task.with_options(result_storage="local-directory/results")(1)
    assert counter.calls == 1
    with pytest.raises(ConfigurationError, match="not a storage for results"):
        counter.task.with_options(result_storage=3)(1)  # type: ignore[arg-type]
    for path in ("results", ""):
        with pytest.raises(
            ConfigurationError, match=r"not a storage.*Use a path, such as '\./results' or"
        ):
            counter.task.with_options(result_storage=path)(1)


def test_a_text_that_looks_like_a_path_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    place = tmp_path / "results"
    counter = Counter(result_storage=str(place), cache_policy=INPUTS)
    counter.task(1)
    for path in ("./results", "~/results", place):
        counter.task.with_options(result_storage=path)(1)
    counter.task.with_options(cache_policy=INPUTS.configure(key_storage="./results"))(1)
    assert counter.calls == 1
    assert len(list(place.iterdir())) == 1


@pytest.mark.parametrize(
    "key", ["../out", "..", "/etc/x", "a//b", "x" * 3000, "a\nb", "é" * 150, "c:\\x", "a\0b", ""]
)
def test_any_key_of_a_function_can_be_kept(place: Path, key: str) -> None:
    root = place / "root"
    counter = Counter(cache_key_fn=lambda *_: key, result_storage=root)
    assert counter.task(1) == counter.task(1)
    assert counter.calls == 1
    assert [path.parent for path in place.rglob("*") if path.is_file()] == [root]


def test_keys_that_can_be_file_names_are(place: Path) -> None:
    for key in ("monday", "sales/2026 05 — é.json", "https:/x.org", ".hidden"):
        Counter(cache_key_fn=lambda *_, key=key: key, result_storage=place).task(1)
        assert (place / key).is_file()


def test_a_key_template_names_the_file(place: Path) -> None:
    counter = Counter(result_storage_key="{parameters[x]}/day.json", result_storage=place)
    counter.task(7)
    counter.task(7)
    assert (place / "7" / "day.json").exists()
    assert counter.calls == 1
    with pytest.raises(ConfigurationError, match="can't be filled"):
        counter.task.with_options(result_storage_key="{nothing}")(1)


@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, 2.5, None, "x", True]},
        (1, 2),
        {1, 2},
        lambda x: x + 1,
        pd.DataFrame({"a": [1, 2], "b": ["x", None]}, index=[5, 6]),
        pl.DataFrame({"a": [1, 2]}),
        pa.table({"a": [[1], [2, 3]]}),
    ],
)
@pytest.mark.parametrize("name", ["auto", "compressed/auto", "compressed/pickle/zlib"])
def test_values_come_back_as_they_were(value: Any, name: str) -> None:
    serializer = find_serializer(name)
    assert serializer.type == name
    again = serializer.loads(serializer.dumps(value))
    if callable(value):
        assert again(1) == 2
    elif hasattr(value, "equals"):
        assert type(again) is type(value)
        assert again.equals(value)
    else:
        assert (again, type(again)) == (value, type(value))


@pytest.mark.parametrize("name", ["arrow", "parquet", "compressed/parquet"])
def test_tables_come_back_as_they_were(name: str) -> None:
    serializer = find_serializer(name)
    for value in (
        pd.DataFrame({"a": [1, 2], "b": ["x", None]}, index=[5, 6]),
        pl.DataFrame({"a": [1, 2]}),
        pa.table({"a": [[1], [2, 3]]}),
    ):
        content = serializer.dumps(value)
        if name == "parquet":
            assert content.startswith(b"PAR1")
        again = serializer.loads(content)
        assert type(again) is type(value)
        assert again.equals(value)


@pytest.mark.parametrize(
    "value",
    [
        pd.DataFrame([[1, 2]], columns=["a", "a"]),
        pd.DataFrame({"a": [{"k": 1}, [2]]}),
        pd.DataFrame({"a": [{"k": 1}, {"j": 2}]}),
        pd.DataFrame({"a": [[1], [2, 3]]}),
        pd.DataFrame({"a": pd.Series([1, 2], dtype=object)}),
        pd.DataFrame({"a": [1, 2]}, index=pd.Index([(1,), "x"], tupleize_cols=False)),
        pd.DataFrame({"a": pd.Series(["x", None], dtype=object)}),
        pd.DataFrame({"a": pd.Series(["x", "y"], dtype=object)}),
        {"text": "\ud800"},
    ],
)
def test_by_default_any_value_comes_back_as_it_was(value: Any) -> None:
    serializer = AutomaticSerializer()
    found = serializer.loads(serializer.dumps(value))
    assert repr(found) == repr(value)
    if isinstance(value, pd.DataFrame):
        assert list(found.dtypes) == list(value.dtypes)
        assert [type(cell) for cell in found.iloc[:, 0]] == [
            type(cell) for cell in value.iloc[:, 0]
        ]


def test_what_can_not_be_written_fails_the_run_and_says_how(place: Path) -> None:
    @task(result_serializer="json", result_storage=place)
    def makes() -> Any:
        return iter(())

    with pytest.raises(NotSerializable, match="iterator can't be written by the 'json' serializer"):
        makes()
    with pytest.raises(UnknownName, match="Did you mean 'json'"):
        find_serializer("jsson")
    with pytest.raises(NotSerializable):
        find_serializer("arrow").dumps(3)


@pytest.mark.parametrize("by", ["store", "files"])
def test_serializable_isolation_computes_once(place: Path, by: str) -> None:
    together = threading.Barrier(8)
    policy: CachePolicy = INPUTS.configure(
        isolation_level="SERIALIZABLE",
        lock_manager=FileSystemLockManager(place / "locks") if by == "files" else None,
        key_storage=place / "kept",
    )
    counter = Counter(cache_policy=policy)
    results: list[Any] = []

    def call() -> None:
        together.wait(300)
        results.append(counter.task(1))

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert counter.calls == 1
    assert results == [[1, 0]] * 8


@pytest.mark.parametrize("submitted", [False, True])
def test_serializable_isolation_computes_once_on_one_event_loop(submitted: bool) -> None:
    begun: list[int] = []

    @task(cache_policy=INPUTS.configure(isolation_level="SERIALIZABLE"), persist_result=True)
    async def slow(x: int) -> int:
        begun.append(x)
        for _ in range(10):
            await asyncio.sleep(0)
        return x

    @flow
    async def f() -> list[int]:
        if submitted:
            return [await future for future in [slow.submit(1), slow.submit(1), slow.submit(1)]]
        return list(await asyncio.gather(slow(1), slow(1), slow(1)))

    assert asyncio.run(f()) == [1, 1, 1]
    assert begun == [1]


def test_a_failed_computation_lets_the_next_one_try(place: Path) -> None:
    policy = INPUTS.configure(isolation_level="SERIALIZABLE", lock_manager=MemoryLockManager())
    calls: list[int] = []

    @task(cache_policy=policy, result_storage=place)
    def flaky(x: int) -> int:
        calls.append(x)
        if len(calls) == 1:
            raise ValueError
        return x

    assert flaky(1, return_state=True).is_failed()
    assert flaky(1) == 1


def test_locks_of_both_kinds(tmp_path: Path) -> None:
    for manager in (MemoryLockManager(), FileSystemLockManager(tmp_path)):
        assert manager.acquire_lock("a", "one")
        assert manager.is_locked("a")
        assert not manager.acquire_lock("a", "two", acquire_timeout=0.02)
        assert manager.acquire_lock("b", "two", acquire_timeout=0.02)
        with pytest.raises(LockNotHeld, match="the lock of 'a' is not held by 'two'"):
            manager.release_lock("a", "two")
        assert manager.is_locked("a")
        manager.release_lock("a", "one")
        for holder, key in (("one", "a"), ("one", "b"), ("one", "never")):
            with pytest.raises(LockNotHeld):
                manager.release_lock(key, holder)
        assert manager.acquire_lock("a", "two", acquire_timeout=0.02)
    assert FileSystemLockManager(tmp_path) == FileSystemLockManager(str(tmp_path))


def test_persisting_by_setting(place: Path, services: Services) -> None:
    from dataclasses import replace

    from flowstone.context.current import use_services

    settings = replace(services.settings, persist_results=True, home=place)
    counter = Counter()

    @flow
    def f() -> None:
        counter.task(1)
        counter.task(1)

    with use_services(replace(services, settings=settings)):
        f()
    assert counter.calls == 1
    assert (place / "storage").is_dir()


class Interrupting(MemoryLockManager):
    """Is interrupted just after it has given the lock."""

    interrupts = True

    def acquire_lock(
        self,
        key: str,
        holder: str,
        acquire_timeout: float | None = None,
        hold_timeout: float | None = None,
    ) -> bool:
        given = super().acquire_lock(key, holder, acquire_timeout)
        if self.interrupts:
            self.interrupts = False
            raise KeyboardInterrupt
        return given


def test_an_interrupt_while_the_lock_is_taken_leaves_none_behind(place: Path) -> None:
    locks = Interrupting()
    policy = INPUTS.configure(isolation_level="SERIALIZABLE", lock_manager=locks)
    counter = Counter(cache_policy=policy, result_storage=place)
    with pytest.raises(KeyboardInterrupt):
        counter.task(1)
    assert not locks._holders
    assert counter.task(1) == [1, 0]
