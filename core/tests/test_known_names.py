"""Names that people bring along from elsewhere, used as they use them."""

from __future__ import annotations

import asyncio
from importlib.metadata import version
from typing import Any, ClassVar

import pytest

import flowstone
from flowstone import flow, freeze, opaque, quote, runtime, task
from flowstone.blocks.abstract import (
    CredentialsBlock,
    DatabaseBlock,
    JobBlock,
    JobRun,
    NotificationBlock,
    ObjectStorageBlock,
    SecretBlock,
)
from flowstone.blocks.core import Block
from flowstone.blocks.fields import SecretDict
from flowstone.blocks.system import Secret
from flowstone.cache_policies import (
    INPUTS,
    CachePolicy,
    FlowParameters,
    Inputs,
    RunId,
    TaskCall,
    TaskSource,
)
from flowstone.errors import InvalidName, ObjectNotFound
from flowstone.serializers import Serializer
from flowstone.task_runners import ThreadPoolTaskRunner

pytestmark = pytest.mark.usefixtures("flowstone_services")


def test_the_version_is_that_of_the_package() -> None:
    assert flowstone.__version__ == version("flowstone")


# ---------------------------------------------------------------- annotations


@task
def take(value: Any) -> Any:
    return value


@pytest.mark.parametrize("mark", [opaque, freeze, quote])
def test_a_value_that_nobody_looks_into(mark: type[quote[Any]]) -> None:
    value = {"big": [1, 2]}

    @flow
    def outer(given: Any) -> Any:
        return [take(given), take(mark(value)), take.submit(mark(value)).result()]

    assert outer(mark(value)) == [value] * 3
    assert mark(value).unwrap() is value


def test_what_opaque_holds_is_given_as_it_is() -> None:
    """A future inside of it stays one."""

    @task
    def look(value: Any) -> str:
        return type(value[0]).__name__

    @flow
    def outer() -> str:
        future = take.submit(1)
        future.wait()
        return look(opaque([future]))

    assert outer() == "Future"


def test_one_value_for_all_calls() -> None:
    @task
    def pair(a: int, b: Any) -> tuple[int, Any]:
        return a, b

    @flow
    def outer() -> Any:
        return pair.map([1, 2], opaque([3])).result()

    assert outer() == [(1, [3]), (2, [3])]


def test_what_is_frozen_has_a_json_form() -> None:
    assert freeze({"a": [1, None]}).unfreeze() == {"a": [1, None]}
    assert quote(1).unquote() == 1
    with pytest.raises(ValueError, match="JSON"):
        freeze(object())


# ---------------------------------------------------------------- blocks


class Known(Block):
    """A thing that is known.

    And more of it.
    """

    _code_example: ClassVar[str | None] = "Known(size=3)"
    size: int = 1


def test_a_type_tells_about_itself() -> None:
    assert Known.get_description() == "A thing that is known."
    assert Secret.get_description()
    assert Known.get_code_example() == "Known(size=3)"
    assert Known.get_block_type_name() == "Known"
    assert Known.get_block_type_slug() == "known"
    Known.register_type_and_schema()


def test_a_block_by_its_reference() -> None:
    Known(size=7).save("one")
    assert Known.load_from_ref("known/one").size == 7
    assert Block.load_from_ref({"block_document_slug": "known/one"}) == Known(size=7)
    assert asyncio.run(Known.aload_from_ref("known/one")).name == "one"
    with pytest.raises(ObjectNotFound):
        Known.load_from_ref("known/two")
    for wrong in ("one", {"block_document_id": "3f1a"}, ""):
        with pytest.raises(InvalidName, match="blocks have no ids"):
            Known.load_from_ref(wrong)


def test_the_interfaces_have_the_names_that_many_know() -> None:
    interfaces = (CredentialsBlock, DatabaseBlock, JobBlock, NotificationBlock, ObjectStorageBlock)
    assert all(issubclass(each, Block) for each in (*interfaces, SecretBlock))
    assert JobRun.__name__ == "JobRun"

    class Ours(Block):
        keys: SecretDict

    assert "canary-1234" not in repr(Ours(keys=SecretDict({"a": "canary-1234"})))


# ---------------------------------------------------------------- cache policies

#: As people ask policies in their own tests.
NOTHING: Any = None


def test_the_built_in_policies_can_be_asked() -> None:
    one, two = {"x": 1, "y": 2}, {"x": 1, "y": 3}
    policy = Inputs(exclude=["y"])
    same = [policy.compute_key(NOTHING, inputs, {}) for inputs in (one, two)]
    assert same[0] == same[1] is not None
    assert INPUTS.compute_key(NOTHING, one, {}) != INPUTS.compute_key(NOTHING, two, {})
    assert RunId().compute_key(NOTHING, one, NOTHING) is None
    assert FlowParameters().compute_key(NOTHING, NOTHING, one) != FlowParameters().compute_key(
        NOTHING, NOTHING, two
    )


def test_a_policy_of_ones_own_asks_the_built_in_ones() -> None:
    class Mine(CachePolicy):
        def compute_key(
            self,
            task_ctx: TaskCall,
            inputs: dict[str, Any],
            flow_parameters: dict[str, Any],
            **kwargs: object,
        ) -> str | None:
            parts = [
                each.compute_key(task_ctx, inputs, flow_parameters, **kwargs)
                for each in (INPUTS - "noise", TaskSource())
            ]
            return "-".join(map(str, parts))

    ran: list[int] = []

    @task(cache_policy=Mine(), persist_result=True)
    def compute(x: int, noise: int) -> int:
        ran.append(noise)
        return x * 2

    @flow
    def outer() -> list[int]:
        return [compute(2, 0), compute(2, 1), compute(3, 2)]

    assert outer() == [4, 4, 6]
    assert ran == [0, 2]


# ---------------------------------------------------------------- facts of runs


def test_facts_of_the_current_run() -> None:
    @task
    def inner() -> tuple[Any, Any, Any]:
        told = runtime.task_run
        return told.state_name, told.state_type, told.start_time

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=3))
    def outer() -> list[Any]:
        told = runtime.flow_run
        runner = told.task_runner
        assert isinstance(runner, ThreadPoolTaskRunner)
        return [told.state_name, told.start_time, inner(), inner.submit().result()]

    name, began, *tasks = outer()
    assert name == "Running"
    for task_state, task_type, task_began in tasks:
        assert (task_state, task_type.value) == ("Running", "RUNNING")
        assert task_began >= began
    assert runtime.flow_run.start_time is None
    assert runtime.flow_run.task_runner is None
    assert runtime.flow_run.state_name is None


# ---------------------------------------------------------------- serializers


def test_a_serializer_of_ones_own() -> None:
    class Upper(Serializer):
        type = "upper"

        def dumps(self, value: object) -> bytes:
            return str(value).upper().encode()

        def loads(self, content: bytes) -> str:
            return content.decode()

    class Named(Upper):
        """It has the name of its class."""

    ran: list[str] = []

    @task(result_serializer=Upper(), cache_policy=INPUTS)
    def compute(x: str) -> str:
        ran.append(x)
        return x

    @flow
    def outer() -> str:
        return compute("a")

    assert (outer(), outer()) == ("a", "A")
    assert ran == ["a"]
    assert Named().type == "Named"
    with pytest.raises(TypeError, match="abstract"):
        Serializer()  # type: ignore[abstract]
