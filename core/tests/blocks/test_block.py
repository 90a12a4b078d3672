from __future__ import annotations

import asyncio
import gc
import pickle
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, PrivateAttr, SecretStr, model_validator

from flowstone.blocks import Block, Credentials, ObjectStore, Secret, SecretDict, Variable
from flowstone.context.current import Services, services
from flowstone.errors import (
    BlockInvalid,
    ConfigurationError,
    DocumentInvalid,
    FlowstoneError,
    InvalidName,
    ObjectAlreadyExists,
    ObjectNotFound,
    UnknownName,
)
from flowstone.plugins import registry
from flowstone.plugins.registry import to_kebab

pytestmark = pytest.mark.usefixtures("services")


class Login(Block):
    user: str = "me"
    token: SecretStr | None = None


class SpecialLogin(Login):
    realm: str = "r"


class Place(Block):
    login: Login = Field(default_factory=Login)
    spare: Login | None = None
    count: int = 1


class Titled(Block):
    _block_type_name = "MinIO Place"


class Renamed(Titled):
    _block_type_slug = "my-slug"


def test_types_have_slugs() -> None:
    found = [t.block_type_slug() for t in (Login, SpecialLogin, Titled, Renamed)]
    assert found == ["login", "special-login", "minio-place", "my-slug"]
    assert [t.block_type_name() for t in (Login, Titled)] == ["Login", "MinIO Place"]
    for name, slug in (("S3Bucket", "s3-bucket"), ("AWSSecret", "aws-secret"), ("A", "a")):
        assert to_kebab(name) == slug


def test_versions_count_the_saves() -> None:
    login = Login()
    assert Login().name is None
    assert login.save("a") == 1
    assert login.name == "a"
    assert login.save(overwrite=True) == 2
    assert Login.load("a").name == "a"
    assert Login.load("login/a") == Block.load("login/a") == login


def test_a_taken_name_needs_overwrite() -> None:
    Login(user="first").save("a")
    with pytest.raises(ObjectAlreadyExists, match=r"login block 'a' .* overwrite=True"):
        Login(user="second").save("a")
    assert Login.load("a").user == "first"
    Login(user="second").save("a", overwrite=True)
    assert Login.load("a").user == "second"


def test_an_unknown_name_names_near_ones() -> None:
    for name in ("production", "staging"):
        Login().save(name)
    for lost in (Login.load, Login.delete):
        with pytest.raises(ObjectNotFound, match="Did you mean 'production'"):
            lost("prodution")
    with pytest.raises(ObjectNotFound, match="No special-login block is saved yet"):
        SpecialLogin.load("production")
    with pytest.raises(UnknownName, match="a block type named 'no-such-type'"):
        Block.load("no-such-type/x")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b/", "a b", "ä", "x" * 201, "a\n", "a:b"])
def test_a_name_has_few_characters(name: str) -> None:
    with pytest.raises(InvalidName, match="letters, digits"):
        Login().save(name)
    with pytest.raises(InvalidName):
        Login().save()
    with pytest.raises(InvalidName, match="type-slug/name"):
        Block.load("raw")


def test_what_is_deleted_is_gone() -> None:
    Login().save("a")
    Login().save("b")
    Login.delete("a")
    Block.delete("login/b")
    with pytest.raises(ObjectNotFound):
        Login.load("a")


def test_an_interface_loads_its_kinds_only() -> None:
    Secret(value="some secret").save("a")
    with pytest.raises(ConfigurationError, match="it is a Secret, not a ObjectStore"):
        ObjectStore.load("secret/a")
    assert Login.load is not None
    SpecialLogin().save("s")
    assert type(Login.load("special-login/s")) is SpecialLogin


def test_interfaces_can_not_be_made() -> None:
    interfaces: list[type[Block]] = [Credentials, ObjectStore]
    for interface in interfaces:
        with pytest.raises(TypeError, match="abstract"):
            interface()


def test_a_saved_block_inside_is_a_reference() -> None:
    login = SpecialLogin(token="the first token")
    login.save("shared")
    Place(login=login, spare=Login(user="own")).save("place")
    SpecialLogin(token="the second token").save("shared", overwrite=True)
    loaded = Place.load("place")
    assert isinstance(loaded.login, SpecialLogin)
    assert loaded.login.token == SecretStr("the second token")
    assert loaded.login.name == "shared"
    assert loaded.spare == Login(user="own")
    SpecialLogin.delete("shared")
    with pytest.raises(ObjectNotFound, match="special-login block named 'shared'"):
        Place.load("place")


def test_a_block_that_was_changed_since_is_kept_as_it_is() -> None:
    login = Login(user="saved")
    login.save("shared")
    login.user = "changed"
    Place(login=login).save("place")
    assert Place.load("place").login == Login(user="changed")
    assert Login.load("shared").user == "saved"


def test_a_block_whose_document_is_gone_is_kept_as_it_is() -> None:
    login = Login(user="saved")
    login.save("shared")
    Login.delete("shared")
    Place(login=login).save("place")
    assert Place.load("place").login == login


class Chain(Block):
    next: Chain | None = None


def test_a_block_inside_itself_is_told() -> None:
    first = Chain()
    first.save("first")
    second = Chain(next=first)
    second.save("second")
    Chain(next=second).save("first", overwrite=True)
    with pytest.raises(DocumentInvalid, match="chain/first → chain/second → chain/first"):
        Chain.load("first")


def old(services: Services, kind: str, version: int, **fields: object) -> None:
    body = {"type": kind, "schema": version, "fields": fields}
    services.documents.put(f"block:{kind}", "old", body)


class Moved(Block):
    schema_version = 3
    migrations: ClassVar[Any] = {
        1: lambda f: {"first": f["name"].split()[0], "last": f["name"].split()[1], **rest(f)},
        2: lambda f: {"full": f["first"] + f["last"], **rest(f, "first", "last")},
    }
    full: str
    token: SecretStr | None = None


def rest(fields: dict[str, Any], *gone: str) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in {"name", *gone}}


def test_old_documents_are_migrated_step_by_step(services: Services) -> None:
    Moved(full="x", token="sealed and moved").save("new")
    token = services.documents.get("block:moved", "new").body["fields"]["token"]
    old(services, "moved", 1, name="Ada Lovelace", token=token)
    assert Moved.load("old") == Moved(full="AdaLovelace", token="sealed and moved")
    old(services, "moved", 2, first="Ada", last="L")
    assert Moved.load("old") == Moved(full="AdaL")


def test_a_document_that_does_not_fit_names_each_field(services: Services) -> None:
    old(services, "place", 1, count="many", spare=None, left=1, over=2)
    with pytest.raises(DocumentInvalid) as caught:
        Place.load("old")
    assert caught.value.problems.keys() == {"count", "left", "over"}
    assert "many" not in str(caught.value)
    old(services, "place", 2)
    with pytest.raises(DocumentInvalid, match="version 2, and the installed type has 1"):
        Place.load("old")


def test_a_document_that_is_no_block_is_told(services: Services) -> None:
    for body in ({}, {"schema": 1}, {"schema": "1", "fields": {}}, {"schema": 1, "fields": []}):
        services.documents.put("block:place", "odd", body)
        with pytest.raises(DocumentInvalid, match="not the document of a block"):
            Place.load("odd")


def test_a_migration_that_fails_is_told(services: Services) -> None:
    old(services, "moved", 1, name="OneWord")
    with pytest.raises(DocumentInvalid, match=r"migration from version 1 failed \(IndexError"):
        Moved.load("old")


@pytest.mark.parametrize(
    ("migration", "problem"),
    [
        (lambda _: 1 / 0, r"failed \(ZeroDivisionError\)"),
        (lambda _: None, "returned NoneType, and no fields"),
        (lambda _: "text", "returned str, and no fields"),
    ],
)
def test_whatever_a_migration_does_is_told(
    services: Services, migration: Any, problem: str
) -> None:
    class Worse(Block):
        schema_version = 2
        migrations: ClassVar[Any] = {1: migration}

    old(services, "worse", 1)
    with pytest.raises(DocumentInvalid, match=f"its migration from version 1 {problem}"):
        Worse.load("old")


def test_a_migration_changes_no_document(services: Services) -> None:
    class Grown(Block):
        schema_version = 2
        migrations: ClassVar[Any] = {1: lambda f: (f["many"].append(len(f["many"])), f)[1]}
        many: list[int]

    old(services, "grown", 1, many=[])
    assert Grown.load("old") == Grown.load("old") == Grown(many=[0])


@pytest.mark.parametrize("version", [0, "2", True, None])
def test_a_version_is_a_number_from_one(version: object) -> None:
    with pytest.raises(ConfigurationError, match=r"Wrong\.schema_version"):
        type("Wrong", (Block,), {"schema_version": version, "__module__": __name__})


def test_who_has_no_name_yet_is_asked_for_one(services: Services) -> None:
    with pytest.raises(InvalidName, match="was not saved before, so it has none yet"):
        Login().save()


def test_a_copy_with_changes_is_validated() -> None:
    copied = Login(user="a").model_copy(update={"token": "a copied token"})
    assert copied == Login(user="a", token="a copied token")
    assert "copied" not in repr(copied)
    with pytest.raises(BlockInvalid):
        Login().model_copy(update={"token": 1})


def test_wrong_values_are_named_and_not_shown() -> None:
    with pytest.raises(BlockInvalid) as caught:
        Place(login={"token": ["hunter2-hunter2"], "usr": 1}, count="hunter3")
    assert caught.value.problems.keys() == {"login.token", "login.usr", "count"}
    assert "hunter" not in str(caught.value) + repr(caught.value.__context__)
    place = Place()
    with pytest.raises(BlockInvalid, match="count"):
        place.count = "no number"  # type: ignore[assignment]
    with pytest.raises(ValueError, match="count"):
        Place(count=None)
    assert place.count == 1


class Picky(Block):
    token: SecretStr
    table: SecretDict = Field(default_factory=lambda: SecretDict({}))

    @model_validator(mode="after")
    def _refuse(self) -> Picky:
        clear = self.token.get_secret_value()
        if clear.startswith("bad"):
            raise ValueError(f"the token {clear!r} and {self.table.get_secret_value()} are bad")
        return self


def test_a_validator_that_quotes_is_masked() -> None:
    for given_ in ({"token": "bad-one"}, {"token": "bad-two", "table": {"a": ["bad-three"]}}):
        with pytest.raises(BlockInvalid, match=r"\*\*\*\*") as caught:
            Picky(**given_)
        with pytest.raises(ValueError) as direct:
            Picky.model_validate(given_)
        told = str(caught.value) + str(direct.value) + repr(direct.value.errors())  # type: ignore[attr-defined]
        assert not [word for word in ("bad-one", "bad-two", "bad-three") if word in told]


class Failing(Block):
    token: SecretStr

    def block_initialization(self) -> None:
        raise ValueError(f"can't log in with {self.token.get_secret_value()}")


def test_a_preparation_that_quotes_is_masked() -> None:
    secret = {"token": "hunter2"}
    makers: list[Callable[[], Block]] = [
        lambda: Failing(token=SecretStr("hunter2")),
        lambda: Failing.model_validate(secret),
    ]
    for make in makers:
        with pytest.raises(ValueError, match=r"can't log in with \*\*\*\*") as caught:
            make()
        assert "hunter2" not in str(caught.value) + repr(caught.value.__context__)


class Outer(BaseModel):
    login: Login | Picky


def test_a_block_is_a_field_like_any_other() -> None:
    assert Outer.model_validate({"login": {"user": "x"}}).login == Login(user="x")
    assert Outer.model_validate({"login": {"token": "x", "table": {}}}).login == Picky(token="x")
    with pytest.raises(ValueError) as caught:
        Outer.model_validate({"login": {"token": ["hunter2"]}})
    assert "hunter2" not in str(caught.value) + repr(caught.value.errors()[0])  # type: ignore[attr-defined]


class Either(Block):
    login: Login | Picky


def test_a_place_in_a_union_is_told_plainly() -> None:
    with pytest.raises(BlockInvalid) as caught:
        Either(login={"token": ["hunter2"]})
    assert caught.value.problems.keys() == {"login.token"}


class Prepared(Block):
    text: str = "a"
    _made: list[str] = PrivateAttr(default_factory=list)

    def block_initialization(self) -> None:
        self._made.append(self.text)


def test_a_block_is_prepared_once() -> None:
    block = Prepared(text="b")
    block.text = "c"
    block.save("a")
    assert block._made == ["b"]
    assert Prepared.load("a")._made == ["c"]
    assert block == Prepared(text="c")
    assert pickle.loads(pickle.dumps(block))._made == ["c"]


class Holds(Block):
    inner: Prepared


class Deep(Block):
    outer: Holds
    others: list[Prepared]


def test_a_block_inside_is_prepared_once() -> None:
    deep = Deep(outer={"inner": {"text": "b"}}, others=[{"text": "c"}, Prepared(text="d")])
    assert [each._made for each in (deep.outer.inner, *deep.others)] == [["b"], ["c"], ["d"]]


def test_a_pickle_keeps_the_name() -> None:
    place = Place(login=SpecialLogin(token="a pickled token"))
    place.save("a")
    arrived = pickle.loads(pickle.dumps([place]))[0]
    assert arrived == place
    assert arrived.name == "a"


def test_classes_that_are_gone_are_forgotten() -> None:
    def make() -> None:
        class Passing(Block): ...

        Passing().save("a")
        assert type(Block.load("passing/a")) is Passing

    make()
    gc.collect()
    with pytest.raises(UnknownName):
        Block.load("passing/a")


def test_what_has_no_json_form_is_named() -> None:
    class Holds(Block):
        thing: Any = None

    with pytest.raises(BlockInvalid, match="thing: a object has no JSON form"):
        Holds(thing=object()).save("a")


# Short ones: longer texts are registered as secrets, and stay so for the tests that follow.
short = st.text(max_size=5)
numbers = st.integers(-9999, 9999) | st.sampled_from([0.5, -1e300, 1e-9])
json = st.recursive(
    st.none() | st.booleans() | numbers | short,
    lambda inner: st.lists(inner) | st.dictionaries(short, inner),
    max_leaves=8,
)


class Anything(Block):
    plain: Any
    hidden: SecretDict
    texts: dict[str, list[SecretStr]]
    raw: bytes


@given(
    plain=json,
    hidden=st.dictionaries(short, json),
    texts=st.dictionaries(st.sampled_from(["a", "$block", "$secret", "$dict"]), st.lists(short)),
    raw=st.binary(),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_anything_comes_back(plain: Any, hidden: Any, texts: Any, raw: bytes) -> None:
    block = Anything(plain=plain, hidden=hidden, texts=texts, raw=raw)
    block.save("a", overwrite=True)
    assert Anything.load("a") == block


@pytest.mark.parametrize("text", ["user:password", "A:0", "literal", "a"])
def test_a_secret_that_looks_like_a_reference_comes_back_equal(text: str) -> None:
    block = Anything(plain=None, hidden={}, texts={"a": [text]}, raw=b"")
    block.save("a", overwrite=True)
    loaded = Anything.load("a")
    assert loaded == block
    assert block == loaded
    assert loaded.texts["a"][0].get_secret_value() == text
    assert len({loaded.texts["a"][0], block.texts["a"][0]}) == 1
    other = Anything(plain=None, hidden={}, texts={"a": [f"{text}!"]}, raw=b"")
    assert loaded != other
    assert other != loaded


def test_async_twins_do_the_same() -> None:
    async def work() -> Login:
        await Login(user="async").asave("a")
        loaded = await Login.aload("a")
        await Login.adelete("a")
        await Variable.aset("v", 1)
        assert await Variable.aget("v") == 1
        assert await Variable.aunset("v")
        return loaded

    assert asyncio.run(work()).user == "async"
    with pytest.raises(ObjectNotFound):
        Login.load("a")


def test_variables_keep_json_values() -> None:
    for value in (None, True, 3, 1.5, "text", [1, [2]], {"a": {"b": None}}):
        Variable.set("v", value, tags=["a", "b"], overwrite=True)
        found = Variable.get("v", default="other")
        assert found == value
        assert type(found) is type(value)
    assert Variable.load("v").tags == ("a", "b")
    assert Variable.get("w", default=3) == 3
    assert Variable.get("w") is None
    with pytest.raises(ObjectAlreadyExists, match="overwrite=True"):
        Variable.set("v", 1)
    with pytest.raises(ObjectNotFound, match="Did you mean 'v'"):
        Variable.load("vv")
    with pytest.raises(InvalidName):
        Variable.set("a b", 1)
    with pytest.raises(BlockInvalid, match="no JSON form"):
        Variable.set("o", object())
    assert Variable.unset("v")
    assert not Variable.unset("v")


def test_a_secret_gives_its_value() -> None:
    for value in ("some text", {"a": [1]}, 5, None):
        Secret(value=value).save("s", overwrite=True)
        assert Secret.load("s").get() == value


def test_all_our_errors_are_of_one_tree() -> None:
    with pytest.raises(FlowstoneError):
        Login(nonsense=1)  # type: ignore[call-arg]


def test_a_base_with_an_underscore_takes_no_slug() -> None:
    class _Login(Credentials):
        """A base of several logins."""

    assert _Login.block_type_slug() == "login"
    Login(user="you").save("of-the-class")
    assert Block.load("login/of-the-class") == Login(user="you")


@pytest.mark.parametrize(
    ("kind", "call"),
    [
        (LookupError, lambda: Secret.load("not-there")),
        (LookupError, lambda: Block.load("secret/not-there")),
        (LookupError, lambda: Block.load("no-such-type/a")),
        (LookupError, lambda: Secret.delete("not-there")),
        (LookupError, lambda: Variable.load("not-there")),
        (ObjectNotFound, lambda: asyncio.run(Secret.aload("not-there"))),
        (ObjectAlreadyExists, lambda: [Login().save("taken") for _ in range(2)]),
        (BlockInvalid, lambda: Place(count="many")),
        (InvalidName, lambda: Login().save("a name")),
        (DocumentInvalid, lambda: load_what_does_not_fit()),
    ],
)
def test_programs_that_catch_a_value_error_go_on(
    kind: type[Exception], call: Callable[[], object]
) -> None:
    with pytest.raises(ValueError) as caught:
        call()
    assert isinstance(caught.value, kind)
    assert isinstance(caught.value, FlowstoneError)


def load_what_does_not_fit() -> Block:
    body = {"type": "place", "schema": 1, "fields": {"count": "many"}}
    services().documents.put("block:place", "odd", body, expected=None)
    return Place.load("odd")


def test_a_type_that_was_defined_again_counts_when_the_newer_one_is_gone() -> None:
    def define(number: int) -> type[Block]:
        body = {"__module__": __name__, "__annotations__": {"number": int}, "number": number}
        return type("Twice", (Block,), body)

    first = define(1)
    second = define(2)
    assert registry.find_block_type("twice") is second
    del second
    gc.collect()
    assert registry.find_block_type("twice") is first
    assert [kind for slug, kind in registry.list_defined() if slug == "twice"] == [first]


class Standing(Block):
    number: int = 1


def test_a_copy_that_a_pickle_makes_of_a_type_does_not_count() -> None:
    copied = type("Standing", (Block,), {"__module__": __name__, "__qualname__": "Standing"})
    assert registry.find_block_type("standing") is Standing
    del copied
