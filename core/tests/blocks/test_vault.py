from __future__ import annotations

import os
import subprocess
import sys
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowstone.blocks import Secret
from flowstone.context.current import Services, use_services
from flowstone.errors import SecretKeyInvalid, SecretUnreadable, StoreUnusable
from flowstone.secrets.vault import Vault, read_key_id
from flowstone.settings import Settings
from flowstone.testing.memory import memory_services

KEY = urlsafe_b64encode(bytes(range(32))).decode()


def vault(home: Path, key: str | None = None) -> Vault:
    return Vault(Settings(home=home, secret_key=key))


@given(value=st.binary(max_size=5000), purpose=st.text(max_size=40))
def test_what_is_sealed_is_opened(value: bytes, purpose: str) -> None:
    own = vault(Path("unused"), KEY)
    token = own.seal(value, purpose)
    assert own.open(token, purpose) == value
    assert token.isascii()
    assert own.seal(value, purpose) != token
    with pytest.raises(SecretUnreadable):
        own.open(token, purpose + "x")


@given(st.integers(min_value=0), st.sampled_from("abcAB01-_"))
def test_a_changed_token_is_told(place: int, char: str) -> None:
    own = vault(Path("unused"), KEY)
    token = own.seal(b"some value", "p")
    start = len(token) - len(token.rpartition(".")[2])
    at = start + place % (len(token) - start - 2)
    changed = token[:at] + char + token[at + 1 :]
    if changed != token:
        with pytest.raises(SecretUnreadable, match="changed"):
            own.open(changed, "p")


def test_the_key_file_is_made_when_something_is_sealed(tmp_path: Path) -> None:
    home = tmp_path / "deep" / "home"
    own = vault(home)
    assert not home.exists()
    token = own.seal(b"value", "p")
    assert own.path.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in home.iterdir()] == ["secret.key"]
    assert vault(home).open(token, "p") == b"value"


def test_opening_makes_no_key(tmp_path: Path) -> None:
    token = vault(tmp_path, KEY).seal(b"value", "p")
    with pytest.raises(SecretUnreadable, match=r"there is no key file .*secret\.key"):
        vault(tmp_path).open(token, "p")
    assert list(tmp_path.iterdir()) == []


def test_a_key_may_be_given_as_base64_or_as_words(tmp_path: Path) -> None:
    for key in (KEY, KEY.replace("-", "+").replace("_", "/"), "a passphrase of words"):
        token = vault(tmp_path, key).seal(b"value", "p")
        assert vault(tmp_path, key).open(token, "p") == b"value"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["short", "", KEY[:10]])
def test_a_key_that_is_none_is_refused_and_not_shown(tmp_path: Path, key: str) -> None:
    with pytest.raises(SecretKeyInvalid, match="FLOWSTONE_SECRET_KEY") as caught:
        vault(tmp_path, key).seal(b"value", "p")
    assert not key or key not in str(caught.value)


def test_another_key_is_told_from_a_change(tmp_path: Path) -> None:
    token = vault(tmp_path, KEY).seal(b"value", "p")
    assert len(read_key_id(token)) == 8
    with pytest.raises(SecretUnreadable, match=f"encrypted with key {read_key_id(token)}, and"):
        vault(tmp_path, "another key, of words").open(token, "p")
    for foreign in ("", "nonsense", "fs9.aa.bb"):
        with pytest.raises(SecretUnreadable, match="not encrypted by Flowstone"):
            vault(tmp_path, KEY).open(foreign, "p")


@pytest.mark.parametrize("content", [b"", b"not a key", b"\xff\xfe", b"QUJD\n"])
def test_a_corrupt_key_file_is_named(tmp_path: Path, content: bytes) -> None:
    own = vault(tmp_path)
    own.path.write_bytes(content)
    own.path.chmod(0o600)
    with pytest.raises(SecretKeyInvalid, match=r"secret\.key.*base64 of 32 bytes"):
        own.seal(b"value", "p")
    assert own.path.read_bytes() == content


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_a_key_file_that_others_read_is_refused(tmp_path: Path) -> None:
    vault(tmp_path).seal(b"value", "p")
    path = vault(tmp_path).path
    path.chmod(0o644)
    with pytest.raises(SecretKeyInvalid, match=r"mode 0644.*chmod 600 .*secret\.key"):
        vault(tmp_path).seal(b"value", "p")


def test_a_home_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(StoreUnusable, match=r"secret\.key.*FLOWSTONE_SECRET_KEY"):
        vault(tmp_path / "home").seal(b"value", "p")


def test_of_several_processes_one_makes_the_key(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from flowstone.secrets.vault import Vault\n"
        "from flowstone.settings import Settings\n"
        "sys.stdin.readline()\n"
        f"print(Vault(Settings(home=Path({str(tmp_path)!r}))).seal(b'value', 'p'))"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for process in started:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    tokens = [process.communicate()[0].strip() for process in started]
    assert [vault(tmp_path).open(token, "p") for token in tokens] == [b"value"] * 4
    assert [path.name for path in tmp_path.iterdir()] == ["secret.key"]


def test_making_a_vault_loads_no_cryptography() -> None:
    code = (
        "import sys; from flowstone.secrets.vault import Vault\n"
        "from flowstone.settings import Settings; Vault(Settings())\n"
        "print(*(name for name in ('cryptography', 'pydantic') if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


class TestBlocksThatCanNotBeRead:
    @pytest.fixture
    def services(self, tmp_path: Path) -> Iterator[Services]:
        current = memory_services(tmp_path)
        with use_services(current), closing(current):
            Secret(value="one of the first key").save("one")
            Secret(value="two of the first key").save("two")
            yield current

    def other(self, services: Services, tmp_path: Path, key: str | None) -> Services:
        return replace(services, sealer=vault(tmp_path, key))

    def test_with_another_key_all_are_named(self, services: Services, tmp_path: Path) -> None:
        with use_services(self.other(services, tmp_path, KEY)):
            Secret(value="of the other key").save("three")
            with pytest.raises(SecretUnreadable) as caught:
                Secret.load("one")
            assert Secret.load("three").get() == "of the other key"
        assert caught.value.affected == ("secret/one", "secret/two")
        assert "secret/one, secret/two" in str(caught.value)

    def test_with_a_corrupt_key_file_all_are_named(
        self, services: Services, tmp_path: Path
    ) -> None:
        (tmp_path / "secret.key").write_text("corrupt")
        with (
            use_services(self.other(services, tmp_path, None)),
            pytest.raises(SecretKeyInvalid, match=r"secret\.key.*secret/one, secret/two"),
        ):
            Secret.load("two")

    def test_a_changed_one_is_named_alone(self, services: Services) -> None:
        body = dict(services.documents.get("block:secret", "one").body)
        sealed = body["fields"]["value"]
        broken = {**sealed, "$secret": sealed["$secret"][:-8] + "AAAAAAA="}
        services.documents.put("block:secret", "one", {**body, "fields": {"value": broken}})
        with pytest.raises(SecretUnreadable, match="changed") as caught:
            Secret.load("one")
        assert caught.value.affected == ("secret/one",)
        assert Secret.load("two").get() == "two of the first key"
