"""A secret that code takes out of a block is in no pickle in clear either."""

from __future__ import annotations

import copy
import secrets
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pydantic
import pytest
from pydantic import SecretBytes, SecretStr

from flowstone import flow, task
from flowstone.blocks import Block, SecretDict
from flowstone.bootstrap import open_services
from flowstone.context.current import Services, use_services
from flowstone.ports import Serializer
from flowstone.serializers import AutomaticSerializer, CompressedPickleSerializer, PickleSerializer
from flowstone.settings import Settings
from flowstone.task_runners import ProcessPoolTaskRunner, messages

WORD = f"canary{secrets.token_hex(8)}"


class Held(Block):
    text: SecretStr
    data: SecretBytes
    table: SecretDict
    number: pydantic.Secret[int]


def held() -> Held:
    table = {"a": WORD, "b": "env:NO_SUCH_VARIABLE", "c": [WORD]}
    return Held(text=f"literal:env:{WORD}", data=WORD.encode(), table=table, number=123456789)


@pytest.mark.parametrize(
    "serializer", [PickleSerializer(), AutomaticSerializer(), CompressedPickleSerializer("zlib")]
)
@pytest.mark.parametrize("field", ["text", "data", "table", "number"])
def test_a_field_of_a_block_is_sealed(
    services: Services, serializer: Serializer, field: str
) -> None:
    secret = getattr(held(), field)
    content = serializer.dumps({"deep": [secret]})
    assert WORD.encode() not in content
    again = serializer.loads(content)["deep"][0]
    assert again == secret
    assert type(again) is type(secret)
    assert copy.deepcopy(again) == secret


def test_a_closure_may_hold_one(services: Services) -> None:
    block = held()
    secret = block.text

    def ask() -> tuple[str, Held]:
        return secret.get_secret_value(), block

    content = messages.pack(ask)
    assert WORD.encode() not in content
    again: Callable[[], tuple[str, Held]] = messages.unpacked(content)
    assert again() == (f"env:{WORD}", block)


def test_a_reference_is_kept_as_it_is(services: Services) -> None:
    secret = Held(text="env:SOME", data=b"env:SOME", table={}, number="env:SOME").number
    assert b"env:SOME" in PickleSerializer().dumps(secret)


@task(persist_result=True)
def keep(value: object) -> object:
    return value


def test_a_kept_result_holds_none_in_clear(tmp_path: Path) -> None:
    secret = SecretStr(WORD)

    @flow(task_runner=ProcessPoolTaskRunner(max_workers=1))
    def keeping() -> tuple[object, object]:
        return keep(secret), keep.submit({"a": secret}).result()

    services = open_services(Settings(home=tmp_path, store="sqlite"))
    with use_services(services), closing(services):
        assert keeping() == (secret, {"a": secret})
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"flowstone.serializers.sealed_pickle" in kept
    assert WORD.encode() not in kept
