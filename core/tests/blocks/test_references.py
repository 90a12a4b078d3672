"""References to secrets: kept as they are, resolved where they are read, once for many."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from io import BufferedIOBase, BytesIO
from pathlib import Path
from threading import Barrier, Event, Lock, Thread
from typing import Annotated, Any, BinaryIO, ClassVar, Generic, NamedTuple, TypeVar, cast

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    SecretBytes,
    SecretStr,
    field_validator,
    model_validator,
)

from flowstone import flow, task
from flowstone.blocks import (
    Block,
    Credentials,
    ObjectInfo,
    Secret,
    SecretDict,
    SecretProvider,
    SecretStoreProvider,
)
from flowstone.blocks.display import apply_redacted, redact_fields
from flowstone.bootstrap import open_services
from flowstone.context import current
from flowstone.context.current import Services, use_services
from flowstone.errors import (
    AccessDenied,
    BlockInvalid,
    CredentialsError,
    ReferenceUnresolved,
    SecretMissing,
    Unreachable,
)
from flowstone.logging import get_run_logger
from flowstone.ports import Clock
from flowstone.records.encoding import describe_as_json, dumps
from flowstone.records.redaction import redact
from flowstone.results.fingerprints import fingerprint
from flowstone.secrets.reference import escape, split
from flowstone.secrets.resolver import MOMENT, Resolver
from flowstone.secrets.values import MASKED
from flowstone.settings import Settings
from flowstone.task_runners import ProcessPoolTaskRunner
from flowstone_testing.conformance.clock import SteppedClock
from flowstone_testing.objects import MemoryObjects, MemoryProvider


class Strongbox(SecretProvider):
    """A provider in memory that counts, and that may be made to wait or to fail."""

    _block_type_slug: ClassVar[str | None] = "strongbox"

    versions: ClassVar[bool] = True
    kept: ClassVar[dict[str, bytes]] = {}
    reads: ClassVar[list[tuple[str, str | None]]] = []
    gate: ClassVar[Event] = Event()
    lock: ClassVar[Lock] = Lock()

    shelf: str = ""
    key: SecretStr | None = None

    def make_provider(self) -> Shelf:
        return Shelf(self)


class Shelf(SecretStoreProvider):
    def __init__(self, box: Strongbox) -> None:
        self.box = box

    where = "the vault"

    def read(self, name: str, version: str | None) -> bytes:
        box = self.box
        with box.lock:
            box.reads.append((box.shelf + name, version))
        assert box.gate.wait(300)
        if name == "down":
            raise Unreachable("the vault", "nobody answers", "Try again.")
        if box.key is not None:
            box.key.get_secret_value()
        found = box.kept.get(f"{box.shelf}{name}" + (f"@{version}" if version else ""))
        if found is None:
            raise SecretMissing("the vault", f"there is no {name!r}", "Put it there.")
        return found

    def list_names(self, prefix: str) -> Iterator[str]:
        return (name for name in self.box.kept if name.startswith(prefix))


class Inner(BaseModel):
    key: SecretStr | None = None


class Referring(Block):
    """Each kind of secret field."""

    text: SecretStr | None = None
    data: SecretBytes | None = None
    number: pydantic.Secret[int] | None = None
    anything: pydantic.Secret[Any] | None = None
    table: SecretDict | None = None
    many: list[SecretStr] = Field(default_factory=list)
    named: dict[str, SecretBytes] = Field(default_factory=dict)
    inner: Inner = Field(default_factory=Inner)
    url: SecretStr | None = Field(default=None, min_length=12)
    nested: Secret | None = None

    @field_validator("url")
    @classmethod
    def _is_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith("https://"):
            raise ValueError("it is no URL")
        return value


REF = "env:FLOWSTONE_TEST_PASSWORD"
CLEAR = "clear-text-of-the-secret"


@pytest.fixture(autouse=True)
def vault(monkeypatch: pytest.MonkeyPatch, services: Services) -> Iterator[type[Strongbox]]:
    monkeypatch.setenv("FLOWSTONE_TEST_PASSWORD", CLEAR)
    Strongbox.kept.clear()
    Strongbox.reads.clear()
    Strongbox.gate.set()
    yield Strongbox
    Strongbox.gate.set()


def full() -> Referring:
    return Referring(
        text=REF,
        data=REF,
        number="env:FLOWSTONE_TEST_NUMBER",
        anything=REF,
        table={"a": REF, "b": {"c": ["in-the-clear", REF]}},
        many=[REF, "given-by-value"],
        named={"x": REF.encode()},
        inner={"key": REF},
        url=REF,
        nested=Secret(value=REF),
    )


def reveal(secret: object) -> Any:
    assert isinstance(secret, MASKED)
    return secret.get_secret_value()


def values(block: Referring) -> list[Any]:
    assert block.nested
    return [
        reveal(block.text),
        reveal(block.data),
        reveal(block.anything),
        reveal(block.table),
        [reveal(each) for each in block.many],
        reveal(block.named["x"]),
        reveal(block.inner.key),
        reveal(block.url),
        block.nested.get(),
    ]


RESOLVED = [
    CLEAR,
    CLEAR.encode(),
    CLEAR,
    {"a": CLEAR, "b": {"c": ["in-the-clear", CLEAR]}},
    [CLEAR, "given-by-value"],
    CLEAR.encode(),
    CLEAR,
    CLEAR,
    CLEAR,
]


def test_every_secret_field_takes_a_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    block = full()
    assert values(block) == RESOLVED
    monkeypatch.setenv("FLOWSTONE_TEST_NUMBER", "5432")
    assert block.number
    assert reveal(block.number) == 5432
    assert isinstance(block.text, SecretStr)
    assert isinstance(block.data, SecretBytes)
    assert isinstance(block.table, SecretDict)


def test_a_reference_is_kept_and_never_what_it_leads_to(services: Services) -> None:
    block = full()
    values(block)
    block.save("x")
    loaded = Referring.load("x")
    arrived = pickle.loads(pickle.dumps(block))
    copies = [
        copy.copy(block),
        copy.deepcopy(block),
        block.model_copy(),
        Referring(**fields(block)),
    ]
    for each in (loaded, arrived, *copies):
        assert each == block
        assert values(each) == RESOLVED
        assert isinstance(each.table, SecretDict)
    body = services.documents.get("block:referring", "x").body
    assert body["fields"]["text"] == {"$ref": REF}
    shown = [
        repr(block),
        str(block),
        block.model_dump_json(),
        dumps(describe_as_json({"x": [block]})),
    ]
    shown += [
        dumps(dict(body)),
        pickle.dumps(block).decode("latin-1"),
        dumps(redact_fields(body)),
    ]
    shown += [pickle.dumps(block.text).decode("latin-1"), repr(block.model_dump())]
    for text in shown:
        assert CLEAR not in text
        assert REF in text
        assert "in-the-clear" not in text
        assert "given-by-value" not in text
    assert json.loads(block.model_dump_json())["text"] == REF


def fields(block: Block) -> dict[str, Any]:
    return {name: getattr(block, name) for name in type(block).model_fields}


def test_nothing_is_read_where_a_block_is_made_saved_shown_or_hashed(
    vault: type[Strongbox], services: Services
) -> None:
    ref = "strongbox:db"
    block = Referring(
        text=ref, data=ref, number=ref, anything=ref, table={"a": ref}, many=[ref], url=ref
    )
    block.save("x")
    loaded = Referring.load("x")
    loaded.text = SecretStr("strongbox:other")
    again = [repr(loaded), loaded.model_dump(mode="json"), block == loaded, fingerprint(block)]
    apply_redacted(
        Referring.load("x"), services.documents.get("block:referring", "x").body, {"text": ref}
    )
    pickle.loads(pickle.dumps(again))
    assert vault.reads == []


def test_what_is_shown_can_be_put_back_changed(services: Services) -> None:
    full().save("x")
    body = services.documents.get("block:referring", "x").body
    shown = json.loads(json.dumps(redact_fields(body)))
    loaded = Referring.load("x")
    assert apply_redacted(loaded, body, shown) is loaded
    assert shown["table"] == {"a": REF, "b": {"c": [{"set": True}, REF]}}
    shown["table"]["a"] = "strongbox:db"
    shown["text"] = "by value"
    shown["data"] = "strongbox:db"
    changed = apply_redacted(loaded, body, shown)
    assert isinstance(changed, Referring)
    assert changed.text == SecretStr("by value")
    assert repr(changed.data) == "SecretBytes('strongbox:db')"
    Strongbox.kept["db"] = b"of the vault"
    assert changed.table
    assert reveal(changed.table)["a"] == "of the vault"
    assert reveal(changed.table)["b"] == {"c": ["in-the-clear", CLEAR]}


@given(text=st.text(min_size=1).map("env:{}".format) | st.text(min_size=1))
def test_a_literal_stays_one(text: str) -> None:
    block = Referring(
        text=escape(text), anything=escape(text), many=[escape(text)], table={"a": escape(text)}
    )
    for each in (
        block,
        pickle.loads(pickle.dumps(block)),
        copy.deepcopy(block),
        Referring(**fields(block)),
    ):
        assert each == block
        assert reveal(each.text) == text
        assert reveal(each.anything) == text
        assert reveal(each.many[0]) == text
        assert reveal(each.table) == {"a": text}
        assert "**********" in repr(each.text) or not text


@pytest.mark.parametrize(
    "text",
    [
        "hunter2",
        "user:password",
        "https://user:env@host",
        "postgresql://u:p@h/db",
        "env:line\nbreak",
        "{'a': 1}",
        "nothing-near:x",
    ],
)
def test_what_has_no_known_prefix_is_a_secret(text: str) -> None:
    block = Referring(text=text)
    assert reveal(block.text) == text
    assert repr(block.text) == "SecretStr('**********')"


@pytest.mark.parametrize("text", ["Env:HOME", "strongbx:db", "STRONGBOX:db", "strongbox1/prod:db"])
def test_a_misspelt_provider_is_refused_where_it_is_given(text: str) -> None:
    for given_fields in ({"text": text}, {"many": [text]}, {"table": {"a": text}}):
        # The word "secret" itself may be somebody's secret, and hidden.
        with pytest.raises(BlockInvalid, match=r"no \S+ provider .* did you mean") as caught:
            Referring(**given_fields)
        assert "literal:" in str(caught.value)
    block = Referring()
    with pytest.raises(BlockInvalid, match="text: it looks like a reference"):
        block.text = SecretStr(text)
    with pytest.raises(BlockInvalid, match="many: it looks like a reference"):
        block.many = [SecretStr(text)]
    assert block == Referring()


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ("env:FLOWSTONE_TEST_NONE", "variable 'FLOWSTONE_TEST_NONE' is not set"),
        ("file:/nowhere/at/all", "/nowhere/at/all: there is no such file"),
        ("strongbox:none", "there is no 'none'"),
        ("strongbox:db@9", "there is no 'db'"),
        ("strongbox:down", "nobody answers"),
        ("strongbox:json#a.c", "its JSON has no 'a.c'; there are 'b', 'n', 'list'"),
        ("strongbox:json#a.n", "null at 'a.n'"),
        ("strongbox:json#a.list.2", "no 'a.list.2'"),
        ("strongbox:db#a", "the secret is not JSON"),
        ("strongbox:binary", "it is not UTF-8 text"),
        ("strongbox/none:db", "no strongbox block named 'none'"),
        ("strongbox:#a", "it names no secret"),
    ],
)
def test_a_wrong_reference_is_told_where_it_is_read(
    vault: type[Strongbox], reference: str, told: str
) -> None:
    vault.kept |= {"db": b"secret-of-db", "binary": b"\xff\xfe"}
    vault.kept["json"] = json.dumps({"a": {"b": "s3cr3t-b", "n": None, "list": [1, 2]}}).encode()
    block = Referring(text=reference)
    block.save("x")
    loaded = Referring.load("x").text
    with pytest.raises(ReferenceUnresolved) as caught:
        reveal(loaded)
    text = str(caught.value)
    assert text.startswith(f"the secret {reference!r} of Referring.text can't be read: ")
    assert told in text
    assert text.endswith(".")
    assert "secret-of-db" not in text
    assert "s3cr3t" not in text
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.reference, again.place, str(again)) == (reference, "Referring.text", text)


def test_a_provider_that_is_not_installed_is_told_where_it_is_read(services: Services) -> None:
    Referring(text="strongbox:db").save("x")
    body = dict(services.documents.get("block:referring", "x").body)
    gone = {**body, "fields": {**body["fields"], "text": {"$ref": "strongboxer:db"}}}
    services.documents.put("block:referring", "x", gone)
    block = Referring.load("x")
    assert repr(block.text) == "SecretStr('strongboxer:db')"
    with pytest.raises(ReferenceUnresolved, match=r"no installed package offers .* 'strongboxer'"):
        reveal(block.text)
    block.save("x", overwrite=True)
    assert services.documents.get("block:referring", "x").body == gone


def test_a_path_a_version_and_a_saved_provider_are_followed(vault: type[Strongbox]) -> None:
    vault.kept |= {
        "db": json.dumps({"a": {"b.c": "deep", "port": 5432}, "l": ["x", {"y": "z"}]}).encode(),
        "db@2": b"second",
        "top/db": b"of the shelf",
        "me@home#1": b"odd",
    }
    Strongbox(shelf="top/").save("prod")
    for reference, clear in (
        ("strongbox:db#a.b%2Ec", "deep"),
        ("strongbox:db#l.1.y", "z"),
        ("strongbox:db#a.port", "5432"),
        ("strongbox:db@2", "second"),
        ("strongbox/prod:db", "of the shelf"),
        ("strongbox:me%40home%231", "odd"),
    ):
        block = Referring(text=reference)
        assert reveal(block.text) == clear
    assert reveal(Referring(number="strongbox:db#a.port").number) == 5432
    table = Referring(table="strongbox:db").table
    assert table
    assert reveal(table)["l"] == ["x", {"y": "z"}]
    with pytest.raises(ReferenceUnresolved, match="is not valid for the field"):
        reveal(Referring(number="strongbox:db@2").number)


def test_a_file_is_read_without_its_line_break(tmp_path: Path) -> None:
    path = tmp_path / "s3cr3t"
    path.write_bytes(b"first\nsecond\n")
    block = Referring(text=f"file:{path}")
    assert reveal(block.text) == "first\nsecond"
    path.chmod(0o666)
    with pytest.raises(ReferenceUnresolved, match=r"all users may write to it .*chmod o-w"):
        resolver_of(SteppedClock()).resolve(f"file:{path}")


def resolver_of(clock: Any, ttl: float = 300.0) -> Resolver:
    return Resolver(clock, ttl)


def test_500_tasks_read_each_of_three_secrets_once(vault: type[Strongbox]) -> None:
    vault.kept |= {name: name.encode() for name in ("one", "two", "three")}
    Referring(text="strongbox:one", data="strongbox:two", many=["strongbox:three"]).save("x")

    @task
    def use(number: int) -> int:
        block = Referring.load("x")
        assert reveal(block.text) == "one"
        assert reveal(block.data) == b"two"
        assert reveal(block.many[0]) == "three"
        return number

    @flow
    def many() -> int:
        return sum(use.map(range(500)).result())

    assert many() == sum(range(500))
    assert sorted(name for name, _ in vault.reads) == ["one", "three", "two"]


def test_who_asks_while_it_is_read_waits_for_that(vault: type[Strongbox]) -> None:
    vault.kept["db"] = b"slow secret"
    vault.gate.clear()
    resolver, found, all_here = resolver_of(SteppedClock()), [], Barrier(21)

    def ask() -> None:
        all_here.wait(300)
        found.append(resolver.resolve("strongbox:db"))

    threads = [Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    all_here.wait(300)
    for thread in threads:
        thread.join(0.005)  # nobody gets on; time to be waiting, which no test depends on
    vault.gate.set()
    for thread in threads:
        thread.join()
    assert found == [b"slow secret"] * 20
    assert len(vault.reads) == 1


def test_a_secret_is_read_again_after_its_time(vault: type[Strongbox]) -> None:
    clock = SteppedClock()
    resolver = resolver_of(clock, 300)
    vault.kept["db"] = b"first one"
    assert resolver.resolve("strongbox:db") == b"first one"
    vault.kept["db"] = b"second one"
    clock.now += 299
    assert resolver.resolve("strongbox:db") == b"first one"
    clock.now += 2
    assert resolver.resolve("strongbox:db") == b"second one"


def test_a_failure_is_not_remembered(vault: type[Strongbox]) -> None:
    resolver = resolver_of(SteppedClock())
    with pytest.raises(ReferenceUnresolved):
        resolver.resolve("strongbox:db")
    vault.kept["db"] = b"here now"
    assert resolver.resolve("strongbox:db") == b"here now"


def test_a_provider_that_needs_itself_is_told(vault: type[Strongbox]) -> None:
    vault.kept["db"] = b"never read"
    Strongbox(key="strongbox/two:db").save("one")
    Strongbox(key="strongbox/one:db").save("two")
    block = Referring(text="strongbox/one:db")
    with pytest.raises(
        ReferenceUnresolved,
        match="it is circular: strongbox/one:db → strongbox/two:db → strongbox/one:db",
    ):
        reveal(block.text)


def test_two_providers_that_need_each_other_are_told_by_two_threads(
    vault: type[Strongbox],
) -> None:
    Strongbox(key="strongbox/two:key").save("one")
    Strongbox(key="strongbox/one:key").save("two")
    vault.gate.clear()
    resolver, told = resolver_of(SteppedClock()), []

    def ask(reference: str) -> None:
        with pytest.raises(ReferenceUnresolved, match="it is circular"):
            resolver.resolve(reference)
        told.append(reference)

    changed = replace(current.services(), references=resolver)
    with use_services(changed):
        names = ["strongbox/one:key", "strongbox/two:key"]
        threads = [Thread(target=ask, args=(name,), daemon=True) for name in names]
        for thread in threads:
            thread.start()
        while len(vault.reads) < 2:  # each is at work, and will need what the other is at
            threads[0].join(0.001)
        vault.gate.set()
        for thread in threads:
            thread.join(300)
    assert sorted(told) == names


class Judged(Block):
    """A block whose validators look at secrets."""

    numbers: list[pydantic.Secret[str]]
    text: SecretStr

    @model_validator(mode="after")
    def _judge(self) -> Judged:
        assert all(each.get_secret_value() for each in (*self.numbers, self.text))
        return self


def test_a_validator_of_the_whole_sees_the_reference(vault: type[Strongbox]) -> None:
    block = Judged(numbers=["strongbox:db"], text="strongbox:db")
    again = Judged(numbers=block.numbers, text=block.text)
    assert again == block
    again.save("judged")
    assert Judged.load("judged") == block
    assert vault.reads == []


def test_a_login_that_is_refused_with_an_old_secret_is_tried_with_a_new_one(
    vault: type[Strongbox],
) -> None:
    clock = SteppedClock()
    resolver = resolver_of(clock)
    vault.kept["db"] = b"first one"
    resolver.resolve("strongbox:db")
    assert not resolver.renew(["strongbox:db"], clock.now + 1)  # it was read a moment ago
    clock.now += MOMENT + 1
    assert not resolver.renew(["strongbox:db"], clock.now - MOMENT - 2)  # in this very call
    assert not resolver.renew(["strongbox:other", "no reference", "strongboxx:db"], clock.now)
    assert resolver.renew(["strongbox:db"], clock.now)
    assert resolver.renew(["strongbox:db"], clock.now)  # by somebody else, since this call began
    vault.kept["db"] = b"second one"
    assert resolver.resolve("strongbox:db") == b"second one"
    assert not resolver.renew(["strongbox:db"], clock.now + 1)
    assert len(vault.reads) == 2


class Hatch(Credentials):
    """A login that tells what it was given."""

    code: SecretStr | None = None

    def client(self) -> str:
        return self.code.get_secret_value() if self.code else ""

    def _check(self) -> str:
        return f"in by {self.client()}"


def test_a_check_tells_of_a_wrong_reference_and_hides_a_right_one(vault: type[Strongbox]) -> None:
    vault.kept["db"] = b"code-of-the-door"
    assert Hatch(code="strongbox:db").check().reason == "in by ********"
    found = Hatch(code="strongbox:none").check()
    assert not found.ok
    assert "'strongbox:none' of Hatch.code can't be read" in found.reason


def test_what_a_reference_led_to_is_hidden_from_logs(vault: type[Strongbox]) -> None:
    vault.kept["json"] = json.dumps({"a": "part-of-a-secret"}).encode()
    block = Referring(text="strongbox:json#a")
    clear = reveal(block.text)
    assert redact(f"with {clear}") == "with ********"
    assert redact(vault.kept["json"].decode()) == "********"


class Bazaar(Credentials):
    """A login to a shop that changes its password."""

    password: ClassVar[str] = "old"
    calls: ClassVar[list[str]] = []

    code: SecretStr | None = None

    def client(self) -> str:
        self.calls.append(reveal(self.code))
        if self.calls[-1] != self.password:
            raise CredentialsError("the shop", "wrong code", "Ask for the new one.")
        return "in"

    def _check(self) -> str:
        return self.client()


class BazaarProvider(MemoryProvider):
    """Objects of a shop, by their keys."""

    def __init__(self, place: str, folder: str, login: Bazaar) -> None:
        super().__init__(place, folder)
        self.login = login

    def get(self, key: str, offset: int = 0) -> BufferedIOBase:
        self.login.client()
        return super().get(key, offset)

    def put(self, key: str, source: BinaryIO, size: int | None) -> None:
        content = source.read()
        if reveal(self.login.code) != Bazaar.password:
            raise AccessDenied("the shop", "wrong code", "Ask for the new one.")
        super().put(key, BytesIO(content), size)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        self.login.client()
        yield from super().list(prefix)


class BazaarShelf(MemoryObjects):
    """Objects of a shop."""

    login: Bazaar

    def make_provider(self) -> BazaarProvider:
        return BazaarProvider(self.place, self.folder, self.login)


def test_a_changed_secret_is_read_again_where_the_old_one_is_refused(
    vault: type[Strongbox], services: Services
) -> None:
    clock = SteppedClock()
    changed = replace(services, clock=cast("Clock", clock), references=resolver_of(clock))
    with use_services(changed):
        shelf = BazaarShelf(place="shop", login=Bazaar(code="strongbox:code"))

        def change(password: str) -> None:
            clock.now += MOMENT + 1
            Bazaar.password, vault.kept["code"] = password, password.encode()
            Bazaar.calls.clear()
            vault.reads.clear()

        change("first")
        assert shelf.login.check().ok
        change("second")
        assert shelf.login.check().ok
        assert Bazaar.calls == ["first", "second"]
        change("third")
        shelf.write_path("a", b"content")
        assert shelf.read_path("a") == b"content"
        change("fourth")
        assert [info.path for info in shelf.list_objects()] == ["a"]
        change("fifth")
        assert shelf.read_path("a") == b"content"
        change("sixth")
        vault.kept["code"] = b"still another"
        assert not shelf.login.check().ok
        reads = len(vault.reads)
        assert reads == 1
        with pytest.raises(CredentialsError):
            shelf.read_path("a")
        assert len(vault.reads) == reads  # what was read a moment ago is not read again


class Passport(Block):
    """What goes to another process."""

    code: SecretStr | None = None


@task
def tell(login: Passport) -> str:
    assert login.code
    clear = reveal(login.code)
    get_run_logger().info("with %s", clear)
    return f"{type(login).__name__} of {len(clear)}"


@flow
def telling(login: Passport) -> str:
    return tell.submit(login).result()


def test_a_process_is_given_the_reference_and_tells_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary = f"canary-{tmp_path.name}-of-the-child"
    monkeypatch.setenv("FLOWSTONE_TEST_CANARY", canary)
    services = open_services(Settings(home=tmp_path / "home"))
    with use_services(services), closing(services):
        login = Passport(code="env:FLOWSTONE_TEST_CANARY")
        login.save("login")
        told = telling.with_options(task_runner=ProcessPoolTaskRunner(max_workers=1))(login)
        assert told == f"Passport of {len(canary)}"
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert canary.encode() not in kept
    assert b"with ********" in kept
    assert b"env:FLOWSTONE_TEST_CANARY" in kept
    # What a child has learnt is hidden at home, too.
    assert redact(canary) == "********"


@given(st.text())
def test_any_text_has_the_form_of_a_reference_or_not(text: str) -> None:
    wanted = split(text)
    assert wanted is None or (wanted.provider and wanted.rest and text.isprintable())
    assert wanted is None or split(escape(text))


def refuse(value: SecretStr | None) -> SecretStr | None:
    raise ValueError("it is judged")


Code = SecretStr | None


class Mixed(BaseModel):
    """A model that is no block, mixed into one."""

    mixed: SecretStr | None = None

    @field_validator("mixed", mode="before")
    @classmethod
    def _judge_mixed(cls, value: object) -> object:
        raise ValueError(f"{value!r} is judged")


class Strict(Mixed, Block):
    """Validators of all kinds that let no value pass."""

    annotated: Annotated[SecretStr, AfterValidator(refuse)] | None = None
    limited: SecretStr | None = Field(default=None, min_length=100, alias="short")
    named: Code = None
    qualified: pydantic.SecretStr | None = None
    wrapped: SecretStr

    @field_validator("wrapped", "named", "qualified", mode="wrap")
    @classmethod
    def _judge(cls, value: object, handler: object) -> object:
        raise ValueError(f"{value!r} is judged")


class Stricter(Strict):
    """A subclass judges what it inherits."""

    @field_validator("*", mode="before")
    @classmethod
    def _judge_again(cls, value: object) -> object:
        raise ValueError(f"{value!r} is judged")


@pytest.mark.parametrize("kind", [Strict, Stricter])
def test_no_validator_of_a_field_judges_a_reference(kind: type[Strict]) -> None:
    given_fields = dict.fromkeys(
        ("annotated", "short", "named", "qualified", "wrapped", "mixed"), REF
    )
    block = kind(**given_fields)
    block.wrapped = SecretStr(REF)
    for each in fields(block).values():
        assert repr(each) == f"SecretStr({REF!r})"
        assert reveal(each) == CLEAR
    assert kind.model_validate(block.model_dump(by_alias=True)) == block
    assert set(json.loads(block.model_dump_json()).values()) == {REF}
    with pytest.raises(ReferenceUnresolved, match=rf"of {kind.__name__}\.wrapped can't be read"):
        reveal(kind(wrapped="strongbox:none").wrapped)
    for name in given_fields:
        with pytest.raises(BlockInvalid, match=name):
            kind(**{**given_fields, name: "by value"})


def test_a_secret_type_that_is_known_in_a_function_only_takes_references() -> None:
    class Password(SecretStr):
        """A type of its own."""

    class Local(Block):
        code: Password

        @field_validator("code")
        @classmethod
        def _judge(cls, value: object) -> object:
            raise ValueError(f"{value!r} is judged")

    assert reveal(Local(code=REF).code) == CLEAR


T = TypeVar("T")


class Boxed(Block, Generic[T]):
    """A block of any type."""

    value: T

    @field_validator("value")
    @classmethod
    def _judge(cls, value: object) -> object:
        raise ValueError(f"{value!r} is judged")


def test_a_generic_block_of_a_secret_takes_references() -> None:
    assert reveal(Boxed[SecretStr](value=REF).value) == CLEAR
    with pytest.raises(BlockInvalid):
        Boxed[str](value=REF)


class Pair(NamedTuple):
    one: SecretStr
    other: SecretStr


class Containers(Block):
    """Secrets in containers, which are no secrets themselves."""

    many: list[SecretStr] = Field(default_factory=list)
    few: frozenset[SecretStr] = frozenset()
    pair: Pair | None = None
    ends: tuple[SecretStr, int] | None = None


def test_a_reference_in_a_container_is_no_container() -> None:
    given_fields: dict[str, Any] = {
        "many": [REF, "by-value"],
        "few": {REF},
        "pair": (REF, "by-value"),
        "ends": (REF, 5),
    }
    block = Containers(**given_fields)
    assert isinstance(block.pair, Pair)
    assert block.ends is not None
    found = [block.many[0], *block.few, block.pair.one, block.ends[0]]
    assert [reveal(each) for each in found] == [CLEAR] * 4
    for name in given_fields:
        with pytest.raises(BlockInvalid, match=name):
            Containers(**{name: REF})


def test_a_mark_is_no_part_of_a_schema() -> None:
    schema = Referring.model_json_schema()
    assert schema["properties"]["text"]["anyOf"][0]["format"] == "password"
    assert schema["properties"]["url"]["default"] is None
    assert Referring.model_fields["url"].annotation == SecretStr | None
