from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional

import pytest
from pydantic import BaseModel, Field, SecretStr

from flowstone.blocks import (
    Block,
    Credentials,
    Secret,
    SecretDict,
)
from flowstone.errors import CredentialsError

if TYPE_CHECKING:
    from .conftest import InProcess


class Proxy(BaseModel):
    url: str
    password: SecretStr | None = None


class DoorCredentials(Credentials):
    """A login for a door that opens to one password."""

    _description = "Opens a door."
    _code_example = "DoorCredentials(password=...)"

    user: str = "me"
    password: SecretStr | None = Field(default=None, description="What the door wants to hear.")
    more: SecretDict | None = None
    proxy: Proxy | None = None

    def client(self) -> str:
        return self.user

    def _check(self) -> str:
        given = self.password.get_secret_value() if self.password else ""
        if given != "open sesame":
            raise CredentialsError("the door", f"it does not know {given!r}", "Say another.")
        return f"{self.user} at the door"


class House(Block):
    door: DoorCredentials


class Shed(Block):
    """A place behind a door."""

    place: Path
    size: int = 3
    labels: list[str] = Field(default_factory=list)
    login: DoorCredentials = Field(default_factory=DoorCredentials)


def saved(cli: InProcess, ref: str) -> Any:
    return cli("block", "show", ref, "--json").json["fields"]


def test_types_are_listed_with_where_they_come_from(cli: InProcess) -> None:
    found = {each["type"]: each for each in cli("block", "types", "--json").json}
    assert found["secret"]["package"] == "flowstone"
    assert found["secret"]["target"] == "flowstone.blocks.secret_providers.secret:Secret"
    told = [line.split() for line in cli("block", "types").out.splitlines()]
    assert ["local-directory", "LocalDirectory", "flowstone"] in [words[:3] for words in told]


def test_a_type_shows_its_fields(cli: InProcess) -> None:
    found = cli("block", "types", "door-credentials", "--json").json
    fields = {each["field"]: each for each in found["fields"]}
    assert found["description"] == "Opens a door."
    assert (fields["password"]["secret"], fields["user"]["secret"]) == (True, False)
    text = cli("block", "types", "door-credentials").out
    assert "SecretStr | None" in text
    assert "What the door wants to hear." in text


def test_an_unknown_type_names_near_ones(cli: InProcess) -> None:
    for command in (["types", "secrt"], ["create", "secrt", "x"]):
        done = cli("block", *command)
        assert done.code == 1
        assert "Did you mean 'secret'" in done.err


def test_a_block_is_made_of_fields(cli: InProcess) -> None:
    arguments = ["place=/shed", "size=7", 'labels=["a","b"]']
    done = cli("block", "create", "shed", "mine", *arguments)
    assert (done.code, done.out, done.err) == (0, "Saved shed/mine, version 1.\n", "")
    loaded = Shed.load("mine")
    assert (loaded.place, loaded.size, loaded.labels) == (Path("/shed"), 7, ["a", "b"])


def test_a_saved_block_goes_into_another_as_a_reference(cli: InProcess) -> None:
    DoorCredentials(user="you").save("front")
    for number, value in enumerate(["front", "door-credentials/front"]):
        done = cli("block", "create", "shed", f"s{number}", "place=x", f"login={value}")
        assert done.err == ""
        assert saved(cli, f"shed/s{number}")["login"] == {"block": "door-credentials/front"}
        assert Shed.load(f"s{number}").login.user == "you"
    done = cli("block", "create", "shed", "s", "place=x", "login=frnt")
    assert (done.code, "Did you mean 'front'" in done.err) == (1, True)


def test_texts_stay_texts_and_json_is_said(cli: InProcess) -> None:
    assert cli("block", "create", "secret", "a", "value=@-", stdin='{"x": 1}').code == 0
    assert Secret.load("a").get() == '{"x": 1}'
    cli("block", "create", "secret", "b", 'value:={"x": 1}')
    assert Secret.load("b").get() == {"x": 1}
    cli("block", "create", "door-credentials", "c", 'more={"x": 1}')
    more = DoorCredentials.load("c").more
    assert more is not None
    assert more.get_secret_value() == {"x": 1}


class Odd(Block):
    """Fields whose types say differently whether they take a text."""

    either: str | dict[str, int] | None = None
    words: Literal["1", "two"] | None = None
    short: Annotated[str, Field(max_length=3)] | None = None
    numbers: dict[str, int] | None = None
    pair: tuple[int, int] | None = None
    until: date | None = None
    maybe: Optional[bool] = None  # noqa: UP045 - the other way to write it


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("either=[1]", "[1]"),
        ('either:={"a": 1}', {"a": 1}),
        ("words=1", "1"),
        ("short=12", "12"),
        ('numbers={"a": 1}', {"a": 1}),
        ("pair=[1, 2]", (1, 2)),
        ("until=2026-11-22", date(2026, 11, 22)),
        ("maybe=true", True),
    ],
)
def test_a_value_is_read_as_its_field_wants_it(
    cli: InProcess, argument: str, expected: object
) -> None:
    done = cli("block", "create", "odd", "x", argument)
    assert done.code == 0, done.err
    assert getattr(Odd.load("x"), argument.split("=", maxsplit=1)[0].strip(":")) == expected


def test_secrets_come_from_elsewhere(
    cli: InProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOOR_WORD", "from env")
    path = tmp_path / "word"
    path.write_text("from file\n")
    for name, source, stdin in [
        ("env", "@env:DOOR_WORD", None),
        ("file", f"@file:{path}", None),
        ("stdin", "@-", "from stdin\n"),
    ]:
        args = ["create", "door-credentials", name, f"password={source}"]
        done = cli("block", *args, stdin=stdin)
        assert (done.code, done.err) == (0, "")
        password = DoorCredentials.load(name).password
        assert password is not None
        assert password.get_secret_value() == f"from {name}"


@pytest.mark.parametrize(
    ("argument", "problem"),
    [
        ("password=@env:NOT_THERE", "environment variable 'NOT_THERE' is not set"),
        ("password=@file:/not/there", "can't be read"),
        (
            f"password=@{__file__}",
            f"is a file. To pass its content, write password=@file:{__file__}",
        ),
        ("=value", "it has no field name"),
        ("hunter2", "it has no field name"),
        ("user:={hunter2", "that is not JSON (line 1, column 2)"),
    ],
)
def test_a_wrong_argument_is_a_usage_error(cli: InProcess, argument: str, problem: str) -> None:
    done = cli("block", "create", "door-credentials", "x", argument)
    assert done.code == 2
    assert problem in done.err
    assert "hunter2" not in done.err
    assert cli("block", "ls", "--json").json == []


def test_standard_input_is_read_once(cli: InProcess) -> None:
    args = ["create", "door-credentials", "x", "user=@-", "password=@-"]
    done = cli("block", *args, stdin="word")
    assert done.code == 2
    assert "is already used for user" in done.err


def test_fields_come_from_a_file_too(cli: InProcess, tmp_path: Path) -> None:
    path = tmp_path / "fields.json"
    fields = {"user": "you", "password": "from json", "proxy": {"url": "u", "password": "inner"}}
    path.write_text(json.dumps(fields))
    args = ["create", "door-credentials", "x", "--json-file", str(path), "user=they"]
    assert cli("block", *args).code == 0
    loaded = DoorCredentials.load("x")
    assert loaded.user == "they"
    assert loaded.proxy is not None
    assert loaded.proxy.password is not None
    assert loaded.proxy.password.get_secret_value() == "inner"
    assert saved(cli, "x")["proxy"] == {"url": "u", "password": {"set": True}}
    args = ["create", "door-credentials", "y", "--json-file", "-"]
    assert cli("block", *args, stdin='{"user": "in"}').code == 0


@pytest.mark.parametrize("text", ["[1]", "{", ""])
def test_a_file_of_something_else_is_a_usage_error(
    cli: InProcess, tmp_path: Path, text: str
) -> None:
    path = tmp_path / "fields.json"
    path.write_text(text)
    done = cli("block", "create", "secret", "x", "--json-file", str(path))
    assert done.code == 2
    assert "JSON" in done.err


def test_a_typed_secret_is_taken_and_warned_of(cli: InProcess) -> None:
    for name, argument in [("x", "value=hunter2hunter2"), ("y", 'value:="hunter2hunter2"')]:
        done = cli("block", "create", "secret", name, argument)
        assert done.code == 0
        assert done.err.startswith("Warning: value was typed on the command line")
        assert "hunter2" not in done.err + done.out


def test_wrong_fields_are_named(cli: InProcess) -> None:
    done = cli("block", "create", "shed", "x", "plase=here")
    assert done.code == 1
    assert "plase: there is no such field. Did you mean 'place'" in done.err
    assert "place: Field required" in cli("block", "create", "shed", "x").err
    assert "size:" in cli("block", "create", "shed", "x", "place=p", "size=many").err


def test_a_name_is_taken_once(cli: InProcess) -> None:
    cli("block", "create", "secret", "x", "value=@-", stdin="first one")
    done = cli("block", "create", "secret", "x", "value=@-", stdin="second one")
    assert (done.code, "Pass --overwrite" in done.err) == (1, True)
    again = cli("block", "create", "secret", "x", "value=@-", "--overwrite", stdin="second one")
    assert again.out == "Saved secret/x, version 2.\n"
    assert Secret.load("x").get() == "second one"
    assert cli("block", "create", "secret", "a/b", "value=@-", stdin="word").code == 1


def test_blocks_are_listed_with_their_condition(cli: InProcess) -> None:
    assert cli("block", "ls").out == "There are no blocks yet.\n"
    cli("block", "create", "secret", "x", "value=@-", stdin="word")
    DoorCredentials().save("front")
    found = {each["block"]: each for each in cli("block", "ls", "--json").json}
    assert found["secret/x"]["condition"] == "ok"
    assert found["secret/x"]["updated"].endswith("+00:00")
    assert found["door-credentials/front"]["condition"] == "ok"
    House(door=DoorCredentials.load("front")).save("ours")
    cli("block", "delete", "door-credentials/front")
    found = {each["block"]: each for each in cli("block", "ls", "--json").json}
    gone = "it refers to door-credentials/front, which is not saved"
    assert found["house/ours"]["condition"] == gone


def test_secrets_are_shown_as_set_or_not(cli: InProcess) -> None:
    proxy = Proxy(url="u", password=SecretStr("deep secret"))
    DoorCredentials(password=SecretStr("open sesame"), proxy=proxy).save("full")
    DoorCredentials(proxy=Proxy(url="u")).save("bare")
    assert saved(cli, "full") == {
        "user": "me",
        "password": {"set": True},
        "more": {"set": False},
        "proxy": {"url": "u", "password": {"set": True}},
    }
    assert saved(cli, "bare")["proxy"] == {"url": "u", "password": {"set": False}}
    assert saved(cli, "bare")["password"] == {"set": False}
    text = cli("block", "show", "full").out
    assert "password        set\n" in text
    assert "proxy.password  set\n" in text
    assert "more            not set" in text
    assert "proxy.password" not in cli("block", "show", "bare").out


def test_a_block_inside_another_is_shown_with_its_secrets_hidden(cli: InProcess) -> None:
    Shed(place=Path("x"), login=DoorCredentials(password=SecretStr("open sesame"))).save("s")
    login = saved(cli, "s")["login"]
    assert login["type"] == "door-credentials"
    assert login["fields"]["password"] == {"set": True}
    assert "login.password" in cli("block", "show", "s").out


def test_a_block_is_found_by_its_name_where_that_is_plain(cli: InProcess) -> None:
    DoorCredentials().save("both")
    DoorCredentials().save("one")
    Shed(place=Path("x")).save("both")
    assert cli("block", "show", "one", "--json").json["block"] == "door-credentials/one"
    done = cli("block", "show", "both")
    assert done.code == 1
    assert "2 blocks have that name: door-credentials/both, shed/both" in done.err


def test_an_unknown_block_names_near_ones(cli: InProcess) -> None:
    DoorCredentials().save("front")
    for command in ("show", "check", "delete"):
        done = cli("block", command, "door-credentials/fron")
        assert (done.code, done.out) == (1, "")
        assert "Did you mean 'door-credentials/front'" in done.err


def test_a_login_that_works_is_ok(cli: InProcess) -> None:
    DoorCredentials(password=SecretStr("open sesame")).save("front")
    done = cli("block", "check", "front")
    assert done.code == 0
    assert "me at the door" in done.out
    found = cli("block", "check", "front", "--json").json
    assert (found["ok"], found["reason"]) == (True, "me at the door")
    assert found["latency_seconds"] >= 0


def test_a_login_that_is_refused_exits_with_1_and_hides_the_secret(cli: InProcess) -> None:
    DoorCredentials(password=SecretStr("hunter2hunter2")).save("front")
    for done in (cli("block", "check", "front"), cli("block", "check", "front", "--json")):
        assert done.code == 1
        assert "it does not know" in done.out
        assert "hunter2" not in done.out + done.err


def test_only_logins_are_checked(cli: InProcess) -> None:
    Shed(place=Path("x")).save("s")
    done = cli("block", "check", "s")
    assert (done.code, "a Shed has no credentials to check. Save" in done.err) == (1, True)
    login = DoorCredentials()
    login.save("front")
    Shed(place=Path("x"), login=login).save("t")
    assert "that it uses: door-credentials/front." in cli("block", "check", "t").err


def test_a_block_is_deleted(cli: InProcess) -> None:
    login = DoorCredentials()
    login.save("front")
    Shed(place=Path("x"), login=login).save("s")
    done = cli("block", "delete", "door-credentials/front")
    assert done.out == "Deleted door-credentials/front.\n"
    assert "shed/s referred to it" in done.err
    assert cli("block", "delete", "s", "--json").json == {
        "block": "shed/s",
        "deleted": True,
        "referred_to_by": [],
    }
    assert cli("block", "ls", "--json").json == []


def door(cli: InProcess, name: str = "front") -> DoorCredentials:
    login = DoorCredentials(
        password="open sesame", more={"a": "s3cr3t"}, proxy=Proxy(url="u", password="inner")
    )
    login.save(name)
    Shed(place="p", login=login).save("by-reference")
    Shed(place="p", login=DoorCredentials(password="open barley")).save("inline")
    return login


@pytest.mark.parametrize("ref", ["front", "by-reference", "inline"])
def test_what_is_shown_and_put_back_changes_nothing(cli: InProcess, ref: str) -> None:
    door(cli)
    shown = cli("block", "show", ref, "--json").out
    done = cli("block", "edit", ref, "--json-file", "-", stdin=shown)
    assert (done.code, done.err) == (0, "")
    assert "No changes" in done.out
    assert cli("block", "show", ref, "--json").out == shown


def test_an_edit_changes_what_it_names_and_no_more(cli: InProcess) -> None:
    login = door(cli)
    done = cli("block", "edit", "front", "user=they", "proxy:=null", "--json")
    assert (done.json["version"], done.json["changed"]) == (2, True)
    assert DoorCredentials.load("front") == login.model_copy(update={"user": "they", "proxy": None})
    shown = json.loads(cli("block", "show", "front", "--json").out)
    shown["fields"] |= {"more": {"set": False}, "proxy": {"url": "v", "password": "other"}}
    assert cli("block", "edit", "front", "--json-file", "-", stdin=json.dumps(shown)).code == 0
    changed = DoorCredentials.load("front")
    assert (changed.more, changed.password) == (None, login.password)
    assert changed.proxy == Proxy(url="v", password="other")
    cli("block", "edit", "front", "--json-file", "-", stdin='{"proxy": {"url": "w"}}')
    assert DoorCredentials.load("front").proxy == Proxy(url="w", password="other")
    inline = cli("block", "show", "inline", "--json").json["fields"]
    inline["login"]["fields"]["user"] = "you"
    body = json.dumps(inline)
    assert cli("block", "edit", "inline", "--json-file", "-", stdin=body).code == 0
    assert Shed.load("inline").login == DoorCredentials(user="you", password="open barley")


def test_an_edit_of_what_has_changed_meanwhile_is_refused(cli: InProcess) -> None:
    door(cli)
    shown = cli("block", "show", "front", "--json").out
    cli("block", "edit", "front", "user=they")
    done = cli("block", "edit", "front", "--json-file", "-", stdin=shown)
    assert (done.code, "is at version 2, not 1" in done.err) == (1, True)
    assert DoorCredentials.load("front").user == "they"


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ('{"pasword": "x"}', "pasword: there is no such field"),
        ('{"proxy": {"url": "u", "password": {"set": true}}}', "proxy.password: it says that"),
        ('{"password": "**********"}', "password: it is the mask"),
        ('{"more": {"a": "********"}}', "more: it is the mask"),
        ('{"user": [1]}', "user: Input should be a valid string"),
        ("[1]", "not what `block show --json` prints"),
        ('{"fields": 1}', "not what `block show --json` prints"),
    ],
)
def test_a_wrong_edit_changes_nothing(cli: InProcess, fields: str, problem: str) -> None:
    DoorCredentials(password="open sesame").save("front")
    before = cli("block", "show", "front", "--json").out
    done = cli("block", "edit", "front", "--json-file", "-", stdin=fields)
    assert done.code
    assert problem in done.err
    assert cli("block", "show", "front", "--json").out == before


def test_a_mask_is_never_saved_as_a_secret(cli: InProcess) -> None:
    for field in ('more:={"set": true}', "password=**********"):
        done = cli("block", "create", "door-credentials", "x", field)
        assert (done.code, "it is the mask" in done.err) == (1, True)
    assert cli("block", "create", "secret", "x", 'value:={"set": true}').code == 1
