"""`flowstone secret`: references are tried and never shown, and the key is changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from flowstone.blocks import Block, Secret
from flowstone.context.current import services, use_services
from flowstone.secrets.key_file import UNFINISHED
from flowstone.testing.memory import memory_services
from flowstone_testing.programs import Home

from .conftest import InProcess

CANARY = "canary-of-the-environment"


@pytest.fixture(autouse=True)
def variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWSTONE_TEST_CANARY", CANARY)


class Gate(Block):
    """A block with a secret field."""

    code: SecretStr


def test_a_reference_is_tried_and_not_shown(cli: InProcess) -> None:
    found = cli("secret", "check", "env:FLOWSTONE_TEST_CANARY")
    assert (found.code, "ok" in found.out) == (0, True)
    told = cli("secret", "check", "env:FLOWSTONE_TEST_CANARY", "--json").json
    assert (told["ok"], told["reference"]) == (True, "env:FLOWSTONE_TEST_CANARY")
    assert told["latency_seconds"] >= 0
    assert CANARY not in f"{found}{told}"


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("env:FLOWSTONE_TEST_NOTHING", "is not set"),
        ("file:/nowhere/at/all", "there is no such file"),
        ("evn:HOME", "there is no secret provider 'evn'. Did you mean 'env'?"),
        ("Env:HOME", "there is no secret provider 'Env'. Did you mean 'env'?"),
        ("hunter2", "it is not a reference"),
        ("env:FLOWSTONE_TEST_CANARY#a", "the secret is not JSON"),
    ],
)
def test_a_wrong_reference_is_told(cli: InProcess, reference: str, reason: str) -> None:
    found = cli("secret", "check", reference)
    assert found.code == 1
    assert "broken" in found.out
    told = cli("secret", "check", reference, "--json")
    assert (told.code, told.json["ok"]) == (1, False)
    assert reason in told.json["reason"]
    assert CANARY not in found.out + found.err + told.out


def test_a_reference_is_shown_in_a_block_and_put_back(cli: InProcess) -> None:
    reference = "env:FLOWSTONE_TEST_CANARY"
    done = cli("block", "create", "gate", "front", f"code={reference}")
    assert (done.code, done.err) == (0, "")  # no warning: it is no secret
    assert reference in cli("block", "show", "gate/front").out
    shown = cli("block", "show", "gate/front", "--json")
    assert shown.json["fields"] == {"code": reference}
    again = cli("block", "edit", "gate/front", "--json-file", "-", stdin=shown.out)
    assert "No changes" in again.out
    changed = cli("block", "edit", "gate/front", "code=file:/run/secrets/code", "--json")
    assert changed.json["changed"]
    assert cli("block", "show", "gate/front", "--json").json["fields"]["code"].startswith("file:")
    refused = cli("block", "create", "gate", "other", "code=Env:X")
    assert (refused.code, "did you mean 'env:…'" in refused.err) == (1, True)


def test_the_references_of_a_block_are_tried(cli: InProcess) -> None:
    cli("block", "create", "gate", "right", "code=env:FLOWSTONE_TEST_CANARY")
    cli("block", "create", "gate", "wrong", "code=env:FLOWSTONE_TEST_NOTHING")
    right, wrong = cli("block", "check", "gate/right"), cli("block", "check", "gate/wrong")
    assert (right.code, "all of them resolve" in right.out) == (0, True)
    assert (wrong.code, "of Gate.code can't be read" in wrong.out) == (1, True)
    assert CANARY not in right.out + wrong.out


def test_the_key_of_a_file_is_changed(tmp_path: Path) -> None:
    cli, home = InProcess(), memory_services(tmp_path)
    with use_services(home):
        Secret(value="s3cr3t-s3cr3t").save("one")
        first = cli("secret", "rotate")
        assert (first.code, first.err) == (0, "")
        assert "Re-encrypted 1 document with key " in first.out
        told = cli("secret", "rotate", "--drop-old", "--json").json
        assert told["resealed"] == ["secret/one"]
        assert (told["dropped_keys"], told["resumed"], told["unreadable"]) == (2, False, [])
        assert Secret.load("one").get() == "s3cr3t-s3cr3t"
        refused = cli("secret", "rotate", "--new-key", "env:FLOWSTONE_TEST_CANARY")
        assert (refused.code, "a new one is generated" in refused.err) == (1, True)
    home.close()


def test_secrets_that_no_key_opens_are_told_of(tmp_path: Path) -> None:
    """Also to a program: a rotation that has left some behind is no success."""
    cli, home = InProcess(), memory_services(tmp_path)
    with use_services(home):
        for number in range(12):
            Secret(value="s3cr3t-s3cr3t").save(f"s{number:02}")
        (tmp_path / "secret.key").unlink()
        done = cli("secret", "rotate")
        told = cli("secret", "rotate", "--json")
    home.close()
    assert (done.code, told.code) == (1, 1)
    assert "No key decrypts secrets of secret/s00, " in done.err
    assert "secret/s09 and 2 more: they are not changed." in done.err
    assert len(told.json["unreadable"]) == 12


def test_a_key_of_the_environment_is_changed_by_its_owner(cli: InProcess) -> None:
    Secret(value="s3cr3t-s3cr3t").save("one")
    refused = cli("secret", "rotate")
    assert refused.code == 1
    assert "FLOWSTONE_SECRET_KEY_OLD" in refused.err
    done = cli("secret", "rotate", "--new-key", "env:FLOWSTONE_TEST_CANARY")
    assert done.code == 0
    assert "Now set FLOWSTONE_SECRET_KEY to the new key" in done.err
    assert CANARY not in done.out + done.err
    documents = services().documents.find("", prefix=True)
    with use_services(memory_services(key=CANARY)) as other:
        for document in documents:
            other.documents.put(document.kind, document.name, document.body)
        assert Secret.load("one").get() == "s3cr3t-s3cr3t"
    other.close()


def test_a_rotation_that_was_stopped_is_finished(home: Home) -> None:
    home.run("block", "create", "secret", "one", "value=@-", stdin="s3cr3t-s3cr3t")
    key = home.path / "secret.key"
    key.write_text(f"{UNFINISHED}\n{key.read_text()}")
    done = home.run("secret", "rotate")
    assert (done.code, "Finished an earlier, interrupted rotation" in done.out) == (0, True)
    assert "#" not in key.read_text()
