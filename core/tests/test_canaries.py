"""A secret that is an argument or a result is nowhere in what Flowstone keeps, logs and prints."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, NamedTuple, NewType, NoReturn, TypedDict

import pydantic
import pytest
from click.testing import CliRunner
from pydantic import BaseModel, Field, RootModel, SecretBytes, SecretStr

from flowstone import (
    Flow,
    flow,
    record_external_start,
    record_measures,
    record_task_run,
    task,
)
from flowstone.blocks import Secret
from flowstone.bootstrap import open_services
from flowstone.cache_policies import INPUTS
from flowstone.cli.app import flowstone
from flowstone.context.current import use_services
from flowstone.errors import ElementFailed
from flowstone.records.redaction import redact
from flowstone.settings import Settings
from flowstone.states import Failed
from flowstone.task_runners import ProcessPoolTaskRunner

Password = NewType("Password", SecretStr)


class Login(BaseModel):
    user: str = "somebody"
    password: SecretStr = Field(alias="pw")


class Logins(RootModel[list[Login]]):
    pass


@dataclass(frozen=True, slots=True)
class Key:
    text: SecretStr
    others: list[Key] = field(default_factory=list)


class Typed(TypedDict):
    password: SecretStr


class Named(NamedTuple):
    password: SecretStr


def reveal(value: Any) -> NoReturn:
    """Fail as code does that quotes what it was given."""
    for _ in range(9):
        match value:
            case SecretStr() | SecretBytes() | pydantic.Secret():
                value = value.get_secret_value()
            case Login():
                value = value.password
            case Logins():
                value = value.root[0]
            case Key():
                value = value.text
            case Secret():
                value = value.value
            case dict():
                value = next(iter(value.values()), None) or next(iter(value))
            case list() | tuple() | frozenset():
                value = next(iter(value))
            case bytes():
                value = value.decode()
    print(f"printing {value}")
    raise RuntimeError(f"login failed for {value}")


def make_flow(hint: Any, **options: Any) -> Flow[..., Any]:
    def login(pw: Any) -> None:
        reveal(pw)

    login.__annotations__["pw"] = hint
    return flow(log_prints=True, flow_run_name="as-{pw}", **options)(login)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    services = open_services(Settings(home=tmp_path, store="sqlite"))
    with use_services(services), closing(services):
        yield tmp_path


@pytest.fixture
def check(home: Path, capfd: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Give what looks for a secret in all that is left of the runs with it."""

    def check(word: str) -> None:
        told = [CliRunner().invoke(flowstone, ["run", *words]).output for words in LOOKS]
        assert all(told)
        kept = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
        for shown in (*told, kept.decode("latin-1"), "".join(capfd.readouterr())):
            assert word not in shown
        assert b"login failed for ********" in kept
        assert b"printing ********" in kept

    return check


@pytest.fixture
def canary() -> str:
    return f"canary-{secrets.token_hex(8)}"


LOOKS = [["ls"], ["ls", "--json"], ["show", "latest", "--json"], ["logs", "latest"]]

Give = Callable[[str], object]


@pytest.mark.parametrize(
    ("hint", "give"),
    [
        (SecretStr, str),
        (SecretStr, SecretStr),
        (SecretBytes, str.encode),
        (pydantic.Secret[str], str),
        (SecretStr | None, str),
        (Password, str),
        (Annotated[SecretStr, Field(min_length=3)], str),
        (list[SecretStr], lambda word: [word]),
        (tuple[SecretStr, ...], lambda word: [word]),
        (frozenset[SecretStr], lambda word: [word]),
        (dict[str, SecretStr], lambda word: {"a": word}),
        (Login, lambda word: {"pw": word}),
        (Logins, lambda word: [{"pw": word}]),
        (Key, lambda word: {"text": word}),
        (Typed, lambda word: {"password": word}),
        (Named, lambda word: [word]),
        (Secret, lambda word: {"value": word}),
        (Secret, lambda word: Secret(value=word)),
        (Any, SecretStr),
        (Any, lambda word: [{"a": (SecretStr(word),)}]),
        (Any, lambda word: {SecretStr(word): None}),
        (Any, lambda word: Key(SecretStr(word))),
        (Any, lambda word: Login(pw=word)),
        (Any, lambda word: pydantic.Secret([word])),
    ],
)
@pytest.mark.parametrize("validated", [True, False])
def test_a_secret_parameter_is_masked(
    hint: Any, give: Give, validated: bool, canary: str, check: Callable[[str], None]
) -> None:
    with pytest.raises(RuntimeError, match="login failed"):
        make_flow(hint, validate_parameters=validated)(give(canary))
    check(canary)


@task(log_prints=True)
def use(pw: SecretStr) -> None:
    reveal(pw)


@task(log_prints=True)
async def ause(*pw: SecretStr, **more: SecretStr) -> None:
    reveal(pw or more)


@task
def pass_on(value: object) -> object:
    return value


@task
def pass_on_each(value: object) -> Iterator[object]:
    yield value


class Client:
    @task(log_prints=True)
    def use(self, pw: SecretStr) -> None:
        reveal(pw)


def call_by_default(word: str) -> None:
    @task(log_prints=True)
    def login(pw: SecretStr = word) -> None:  # type: ignore[assignment]
        reveal(pw)

    login()


@pytest.mark.parametrize(
    "call",
    [
        use,
        lambda word: use.submit(word).result(),
        lambda word: use.submit(pass_on.submit(word)).result(),
        lambda word: use.map([word]).result(),
        lambda word: use.map([word], batch_size=1).result(),
        lambda word: Client().use(word),
        lambda word: reveal(pass_on(SecretStr(word))),
        lambda word: reveal(next(pass_on_each([SecretStr(word)]))),
        lambda word: make_flow(SecretStr)(word),
        lambda word: make_flow(SecretStr)(pass_on.submit(word)),
        call_by_default,
    ],
)
def test_a_secret_of_a_part_is_masked(
    call: Callable[[str], Any], canary: str, check: Callable[[str], None]
) -> None:
    @flow(log_prints=True)
    def outer() -> None:
        call(canary)

    with pytest.raises((RuntimeError, ElementFailed), match="login failed"):
        outer()
    check(canary)


@pytest.mark.parametrize("submitted", [False, True])
@pytest.mark.parametrize("named", [False, True])
def test_a_secret_of_an_async_task_is_masked(
    submitted: bool, named: bool, canary: str, check: Callable[[str], None]
) -> None:
    @flow(log_prints=True)
    async def outer() -> None:
        given: dict[str, Any] = {"pw": canary} if named else {}
        args: list[Any] = [] if named else [canary]
        if submitted:
            await ause.submit(*args, **given)
        await ause(*args, **given)

    with pytest.raises(RuntimeError, match="login failed"):
        asyncio.run(outer())
    check(canary)


def test_a_secret_in_a_process_is_masked(canary: str, check: Callable[[str], None]) -> None:
    @flow(task_runner=ProcessPoolTaskRunner(max_workers=1), log_prints=True)
    def outer() -> None:
        use.submit(canary).wait()
        use.submit(SecretStr(canary)).wait()
        reveal(make.submit().result())

    @task
    def make() -> SecretStr:
        return SecretStr(canary)

    with pytest.raises(RuntimeError, match="login failed"):
        outer()
    check(canary)


def test_a_secret_in_what_is_told_of_external_work_is_masked(
    canary: str, check: Callable[[str], None]
) -> None:
    @flow(log_prints=True)
    def outer(pw: SecretStr) -> None:
        record_external_start(f"job {canary}", f"block/{canary}", canary)
        record_measures({canary: 1, f"{canary}_bytes": 2})
        record_task_run(
            f"node {canary}",
            Failed(f"no {canary}"),
            started=1.0,
            ended=2.0,
            logs=[f"built by {canary}"],
            measures={canary: 3},
        )
        reveal(pw)

    with pytest.raises(RuntimeError, match="login failed"):
        outer(SecretStr(canary))
    check(canary)


@pytest.mark.parametrize("serializer", ["pickle", "compressed/pickle", None])
def test_a_secret_is_sealed_in_a_result_that_is_kept(
    serializer: str | None, canary: str, home: Path
) -> None:
    calls: list[int] = []

    @task(cache_policy=INPUTS, result_serializer=serializer)
    def make(pw: SecretStr) -> list[object]:
        calls.append(1)
        return [pw, Login(pw=canary), Key(pw), {"a": (SecretBytes(canary.encode()),)}]

    @flow(persist_result=True)
    def outer(pw: SecretStr) -> list[object]:
        return make(pw)

    first, again = outer(SecretStr(canary)), outer(SecretStr(canary))
    assert first == again
    assert len(calls) == 1
    kept = [path for path in (home / "storage").rglob("*") if path.is_file()]
    assert len(kept) >= 2
    assert canary not in b"".join(path.read_bytes() for path in kept).decode("latin-1")
    assert redact(canary) == "********"
