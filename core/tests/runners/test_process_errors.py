"""An exception comes out of a process as it comes from a thread: what it is, has and knows of."""

from __future__ import annotations

import errno
import json
import os
import pickle
import subprocess
import sys
import textwrap
import threading
from typing import TYPE_CHECKING, Any, Self

import pytest
from pydantic import BaseModel, ValidationError

from flowstone import flow, task
from flowstone.errors import FailedRun, MissingResult, RemoteTraceback
from flowstone.serializers import PickleSerializer
from flowstone.task_runners import ProcessPoolTaskRunner, ThreadPoolTaskRunner

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from flowstone.records.runs import Run
    from flowstone.records.states import State

pytestmark = pytest.mark.usefixtures("services")


class KeywordOnly(Exception):
    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.code = code


class TwoNumbers(ValueError):
    def __init__(self, low: int, high: int) -> None:
        super().__init__(f"{low}..{high}")
        self.low, self.high = low, high


class NoArguments(RuntimeError):
    def __init__(self) -> None:
        super().__init__("nothing there")


class NothingPassedOn(Exception):
    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return f"said {self.text}"


class Slotted(Exception):
    __slots__ = ("where",)

    def __init__(self, *, where: str) -> None:
        self.where = where


class OwnNew(Exception):
    def __new__(cls, *, number: int) -> Self:
        error = super().__new__(cls, number)
        error.number = number
        return error

    def __init__(self, *, number: int) -> None:
        self.number = number


class OwnReduce(Exception):
    def __init__(self, a: int, b: int) -> None:
        super().__init__("own")
        self.a, self.b = a, b

    def __reduce__(self) -> Any:
        return type(self), (self.a, self.b)


class BrokenReduce(Exception):
    def __init__(self, a: int, *, b: int) -> None:
        super().__init__(a)
        self.b = b

    def __reduce__(self) -> Any:
        return type(self), (1, 2, 3)


class DiskFull(OSError):
    def __init__(self, path: str) -> None:
        super().__init__(errno.ENOSPC, os.strerror(errno.ENOSPC), path)


class CodedGroup(ExceptionGroup[Exception]):
    def __new__(cls, message: str, errors: list[Exception], code: int) -> Self:
        group = super().__new__(cls, message, errors)
        group.code = code
        return group

    def __init__(self, message: str, errors: list[Exception], code: int) -> None:
        self.code = code


class Strict(BaseModel):
    n: int


def invalid() -> Exception:
    try:
        Strict.model_validate({"n": "x"})
    except ValidationError as error:
        return error
    raise AssertionError


def undecodable() -> Exception:
    try:
        b"\xff".decode()
    except UnicodeDecodeError as error:
        return error
    raise AssertionError


def noted() -> Exception:
    error = KeywordOnly("noted", code=1)
    error.add_note("the first")
    error.add_note("the second")
    return error


def raised(raise_: Callable[[], object]) -> Callable[[], Exception]:
    def make() -> Exception:
        try:
            raise_()
        except Exception as error:
            return error
        raise AssertionError

    return make


def with_a_cause() -> None:
    try:
        raise TwoNumbers(1, 2)
    except TwoNumbers as error:
        raise KeywordOnly("busy", code=503) from error


def with_a_context() -> None:
    try:
        raise NoArguments
    except NoArguments:
        raise KeywordOnly("busy", code=503)  # noqa: B904 - that is the point


def from_none() -> None:
    try:
        raise NoArguments
    except NoArguments:
        raise KeywordOnly("busy", code=503) from None


def in_a_circle() -> Exception:
    one, other = ValueError("one"), TwoNumbers(1, 2)
    one.__cause__, other.__context__ = other, one
    return one


def nested_group() -> Exception:
    inner = ExceptionGroup("inner", [TwoNumbers(1, 2), noted()])
    return ExceptionGroup("outer", [KeywordOnly("busy", code=503), inner])


KINDS: dict[str, Callable[[], BaseException]] = {
    "plain": lambda: ValueError("a", 1),
    "keyword only": lambda: KeywordOnly("busy", code=503),
    "two numbers": lambda: TwoNumbers(1, 2),
    "no arguments": NoArguments,
    "nothing passed on": lambda: NothingPassedOn("hello"),
    "slotted": lambda: Slotted(where="here"),
    "own new": lambda: OwnNew(number=3),
    "own reduce": lambda: OwnReduce(1, 2),
    "broken reduce": lambda: BrokenReduce(1, b=2),
    "os error": lambda: OSError(errno.ENOENT, "no such file", "/a", None, "/b"),
    "own os error": lambda: DiskFull("/a"),
    "json": raised(lambda: json.loads("{")),
    "unicode": undecodable,
    "import": lambda: ImportError("no", name="a", path="/a"),
    "key": lambda: KeyError("a"),
    "attribute": raised(lambda: object().a),  # type: ignore[attr-defined]
    "pydantic": invalid,
    "exit": lambda: SystemExit(3),
    "flowstone": lambda: MissingResult("a"),
    "noted": noted,
    "group": nested_group,
    "own group": lambda: CodedGroup("both", [TwoNumbers(1, 2)], 7),
    "cause": raised(with_a_cause),
    "context": raised(with_a_context),
    "from none": raised(from_none),
    "circle": in_a_circle,
}


def describe(error: object, seen: tuple[object, ...] = ()) -> object:
    """Return all that can be asked of an exception."""
    if not isinstance(error, BaseException) or error in seen:
        return repr(error) if isinstance(error, BaseException) else error
    seen = (*seen, error)
    if isinstance(error, RemoteTraceback):
        return None
    slots = ("errno", "strerror", "filename", "filename2", "name", "path", "where", "object")
    return (
        type(error),
        str(error),
        [describe(each, seen) for each in error.args if not isinstance(each, list)]
        if not isinstance(error, ValidationError)  # its own way gives it some
        else error.errors(),
        {name: describe(value, seen) for name, value in vars(error).items()},
        {name: getattr(error, name, None) for name in slots},
        [describe(each, seen) for each in getattr(error, "exceptions", ())],
        describe(error.__cause__, seen),
        describe(error.__context__, seen),
    )


@pytest.mark.parametrize("name", KINDS)
def test_an_exception_comes_back_from_a_pickle_whole(name: str) -> None:
    error = KINDS[name]()
    if name == "broken reduce":
        return  # it is the class's own, and a process fixes it: below
    serializer = PickleSerializer()
    assert describe(serializer.loads(serializer.dumps(error))) == describe(error)


def test_it_comes_out_of_a_process_as_from_a_thread() -> None:
    @task
    def fail(name: str) -> None:
        error = KINDS[name]()
        raise error

    @flow
    def collect() -> dict[str, object]:
        ends: dict[str, object] = {}
        for name in KINDS.keys() - {"exit"}:
            future = fail.submit(name)
            future.wait()
            ends[name] = future.state.result(raise_on_failure=False)
        return ends

    threads = collect.with_options(task_runner=ThreadPoolTaskRunner())()
    processes = collect.with_options(task_runner=ProcessPoolTaskRunner(max_workers=1))()
    for name, error in threads.items():
        assert describe(processes[name]) == describe(error), name


class Locked(Exception):
    def __init__(self, message: str, lock: object, *, code: int) -> None:
        super().__init__(message, lock)
        self.lock, self.code = lock, code


def test_what_can_not_be_sent_is_left_out_and_noted() -> None:
    @task
    def fail() -> None:
        try:
            raise Locked("inner", threading.Lock(), code=1)
        except Locked as error:
            outer = Locked("busy", threading.Lock(), code=503)
            error.__context__ = outer  # in a circle
            raise outer from error

    @task
    def fail_unsendably() -> None:
        raise type("Unsendable", (Exception,), {"lock": threading.Lock()})("in words")

    @flow(task_runner=ProcessPoolTaskRunner(max_workers=1))
    def f() -> tuple[BaseException, BaseException]:
        found = []
        for each in (fail, fail_unsendably):
            future = each.submit()
            future.wait()
            found.append(future.state.result(raise_on_failure=False))
        return found[0], found[1]  # type: ignore[return-value]

    error, told = f()
    assert type(error) is Locked
    assert error.code == 503
    assert error.args[0] == "busy"
    assert error.args[1].startswith("<unlocked _thread.lock")
    assert not hasattr(error, "lock")
    assert error.__notes__ == ["These attributes could not be pickled and were dropped: lock."]
    assert type(error.__cause__) is Locked
    assert error.__cause__.code == 1
    assert type(told) is FailedRun
    assert "Unsendable: in words" in str(told)


def test_an_exception_whose_module_is_not_here_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "only_there.py").write_text("class Far(Exception): pass")

    @task
    def fail(place: str) -> None:
        sys.path.insert(0, place)
        import only_there  # type: ignore[import-not-found] # only there

        raise only_there.Far("away")

    @flow(task_runner=ProcessPoolTaskRunner(max_workers=1))
    def f() -> None:
        fail.submit(str(tmp_path)).result()

    with pytest.raises(FailedRun, match="Far: away") as caught:
        f()
    assert isinstance(caught.value.__cause__, RemoteTraceback)


def test_a_condition_for_retries_sees_the_exception_itself(tmp_path: Path) -> None:
    tries = tmp_path / "tries"

    class Busy(Exception):  # local, so it goes by value
        def __init__(self, message: str, *, wait: int) -> None:
            super().__init__(message)
            self.wait = wait

    def is_busy(_task: object, _run: Run, state: State[object]) -> bool:
        try:
            state.result()
        except Busy as error:
            return error.wait == 1
        return False

    @task(retries=3, retry_condition_fn=is_busy)
    def call() -> int:
        with tries.open("a") as file:
            file.write("x")
        if tries.stat().st_size < 3:
            raise Busy("slow down", wait=1)
        raise TwoNumbers(1, 2)

    @flow(task_runner=ProcessPoolTaskRunner(max_workers=1))
    def f() -> None:
        call.submit().result()

    with pytest.raises(TwoNumbers):
        f()
    assert tries.stat().st_size == 3


async def _fail() -> None:
    raise KeywordOnly("busy", code=503)


def test_an_async_task_s_exception_is_its_own_too() -> None:
    fails = task(_fail)

    @flow(task_runner=ProcessPoolTaskRunner(max_workers=1))
    def f() -> None:
        fails.submit().result()

    with pytest.raises(KeywordOnly) as caught:
        f()
    assert caught.value.code == 503


def test_exceptions_as_arguments_and_values_cross_whole() -> None:
    @task
    def give_back(error: BaseException) -> list[BaseException]:
        return [error]

    @flow(task_runner=ProcessPoolTaskRunner(max_workers=1))
    def f() -> list[BaseException]:
        return give_back.submit(KeywordOnly("busy", code=503)).result()

    (error,) = f()
    assert isinstance(error, KeywordOnly)
    assert error.code == 503


def test_an_exception_of_the_program_itself_keeps_its_class(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent("""
            from flowstone import flow, task
            from flowstone.task_runners import ProcessPoolTaskRunner

            class Busy(Exception):
                def __init__(self, *, wait):
                    self.wait = wait

            @task
            def call():
                raise ExceptionGroup("both", [Busy(wait=1), Busy(wait=2)])

            @flow(task_runner=ProcessPoolTaskRunner(max_workers=1))
            def f():
                try:
                    call.submit().result()
                except* Busy as group:
                    print("waits", [error.wait for error in group.exceptions])

            f()
        """)
    )
    done = subprocess.run(
        [sys.executable, program], capture_output=True, text=True, check=True, env={**os.environ}
    )
    assert "waits [1, 2]" in done.stdout


def test_what_was_pickled_can_be_read_by_the_standard_library() -> None:
    error = pickle.loads(PickleSerializer().dumps(KeywordOnly("busy", code=503)))
    assert error.code == 503
