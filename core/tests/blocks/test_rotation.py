"""Keys are changed while flows run, and nothing that was saved is lost, whenever it is stopped."""

from __future__ import annotations

import os
import pickle
import random
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from flowstone.blocks import Block, Secret, SecretDict
from flowstone.blocks.codec import tokens
from flowstone.blocks.rotation import rotate_file, rotate_setting
from flowstone.bootstrap import open_services
from flowstone.context.current import Services, use_services
from flowstone.errors import ConfigurationError, SecretUnreadable
from flowstone.ports import DocumentStore
from flowstone.records.documents import Document
from flowstone.secrets.vault import Vault, read_key_id
from flowstone.settings import Settings

pytestmark = pytest.mark.slow

OLD, NEW = "the first passphrase", "another passphrase, newer"


class Mixed(Block):
    """Secrets at several depths, and a dict that looks like one."""

    table: SecretDict
    inner: Secret
    plain: dict[str, Any]


def mixed(text: str) -> Mixed:
    return Mixed(
        table={"a": text, "b": "env:HOME"},
        inner=Secret(value=text),
        plain={"$secret": "fs1.00000000.no-token", "type": "x", "fields": {"$secret": 1}},
    )


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Services]:
    services = open_services(Settings(home=tmp_path / "home"))
    with use_services(services), closing(services):
        yield services


def keys_of(services: Services) -> set[str]:
    bodies = [document.body for document in services.documents.find("", prefix=True)]
    return {read_key_id(token) for body in bodies for token in tokens(body)} - {"00000000"}


def test_all_is_sealed_with_a_new_key_and_the_old_one_still_opens(home: Services) -> None:
    Secret(value="s3cr3t").save("one")
    mixed("deep").save("two")
    before, packed = keys_of(home), pickle.dumps(Secret(value="on its way"))
    found = rotate_file(home.documents, home.settings, drop_old=False)
    assert found.resealed == {"secret/one", "mixed/two"}
    assert not found.unreadable
    assert keys_of(home) == {found.key}
    assert found.key not in before
    assert Secret.load("one").get() == "s3cr3t"
    assert Mixed.load("two") == mixed("deep")
    assert pickle.loads(packed).get() == "on its way"
    Secret(value="later").save("three")  # by a vault that knew the old key
    assert keys_of(home) == {found.key}
    again = rotate_file(home.documents, home.settings, drop_old=True)
    assert (again.dropped, again.resumed) == (2, False)
    assert [Secret.load(name).get() for name in ("one", "three")] == ["s3cr3t", "later"]
    with pytest.raises(SecretUnreadable, match="the key of this process is"):
        pickle.loads(packed)
    assert Vault(home.settings).path.stat().st_mode & 0o777 == 0o600


def test_what_no_key_opens_stays_and_is_told(home: Services, tmp_path: Path) -> None:
    Secret(value="s3cr3t").save("one")
    with use_services(replace(home, sealer=Vault(Settings(home=tmp_path, secret_key=OLD)))):
        Secret(value="of another key").save("two")
    before = home.documents.get("block:secret", "two")
    found = rotate_file(home.documents, home.settings, drop_old=False)
    assert (found.resealed, found.unreadable) == ({"secret/one"}, {"secret/two"})
    assert home.documents.get("block:secret", "two") == before


def test_a_key_of_the_settings_is_changed_by_them(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, secret_key=OLD)
    services = open_services(settings)
    with use_services(services), closing(services):
        Secret(value="s3cr3t").save("one")
        with pytest.raises(ConfigurationError, match=r"FLOWSTONE_SECRET_KEY_OLD.*--new-key"):
            rotate_setting(services.documents, settings)
        both = replace(settings, secret_key=NEW, secret_key_old=OLD)
        with use_services(replace(services, sealer=Vault(both))):
            assert Secret.load("one").get() == "s3cr3t"
            assert rotate_setting(services.documents, both).resealed == {"secret/one"}
            assert rotate_setting(services.documents, both).resealed == set()
        only = replace(settings, secret_key=NEW)
        with use_services(replace(services, sealer=Vault(only))):
            assert Secret.load("one").get() == "s3cr3t"
        back = rotate_setting(services.documents, only, OLD)
        assert back.resealed == {"secret/one"}
        assert Secret.load("one").get() == "s3cr3t"
    assert not (tmp_path / "secret.key").exists()


class Savers:
    """A store in which somebody else saves and deletes whenever a document is to be replaced."""

    def __init__(self, documents: DocumentStore) -> None:
        self._documents = documents
        self.turns = 0

    def put(
        self, kind: str, name: str, body: Mapping[str, Any], *, expected: int | None = None
    ) -> Document:
        self.turns += 1
        if self.turns == 1:
            Secret(value="saved meanwhile").save(name, overwrite=True)
        if self.turns == 2:
            Secret.delete(name)
            Secret(value="new meanwhile").save("new")
        return self._documents.put(kind, name, body, expected=expected)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._documents, name)


def test_what_is_saved_meanwhile_is_not_lost(home: Services) -> None:
    for name in ("a", "b", "c"):
        Secret(value=f"value of {name}").save(name)
    old = home.sealer
    stale = Vault(home.settings)
    stale.key()
    savers = Savers(home.documents)
    found = rotate_file(savers, home.settings, drop_old=True)
    assert home.sealer is old
    clear = {
        each.name: Secret.load(each.name).get()
        for each in home.documents.find("block:", prefix=True)
    }
    assert clear == {"a": "saved meanwhile", "c": "value of c", "new": "new meanwhile"}
    assert keys_of(home) == {found.key}


def test_savers_in_threads_lose_nothing(home: Services) -> None:
    for number in range(30):
        Secret(value=f"{number}: 0").save(f"{number}")
    last: dict[str, str] = {}
    stop = Event()

    def save(mine: range) -> None:
        own = open_services(home.settings)
        turn = 0
        with closing(own):
            while not stop.is_set() or not turn:
                turn += 1
                for number in mine:
                    last[str(number)] = f"{number}: {turn}"
                    block = {"type": "secret", "schema": 1}
                    token = own.sealer.seal(f'"{last[str(number)]}"'.encode(), "block:secret")
                    fields = {"value": {"$secret": token, "as": "json"}}
                    own.documents.put("block:secret", str(number), {**block, "fields": fields})

    threads = [Thread(target=save, args=(range(at, 30, 3),)) for at in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        rotate_file(home.documents, home.settings, drop_old=False)
    stop.set()
    for thread in threads:
        thread.join()
    assert {name: Secret.load(name).get() for name in last} == last


#: Rotates, and kills itself at the n-th write of a document, before or after it; or tells when it
#: has begun, and goes on.
PROGRAM = """
import os, signal, sys
from flowstone.secrets.key_file import KeyFile
from flowstone.blocks.rotation import rotate_file
from flowstone.settings import read_settings
from flowstone.bootstrap import open_services

class Deadly:
    def __init__(self, documents, at, before):
        self.documents, self.left, self.before = documents, at, before
    def __getattr__(self, name):
        return getattr(self.documents, name)
    def put(self, *args, **kwargs):
        self.left -= 1
        if self.left == 0 and self.before:
            os.kill(os.getpid(), signal.SIGKILL)
        self.documents.put(*args, **kwargs)
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

services = open_services()
print("begun", flush=True)
store = Deadly(services.documents, int(sys.argv[1]), sys.argv[2] == "before")
rotate_file(store, read_settings(), drop_old=sys.argv[3] == "drop")
services.close()
"""


def started(home: Services, at: int, when: str, drop: str = "keep") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(at), when, drop],
        env={**os.environ, "FLOWSTONE_HOME": str(home.settings.home)},
        stdout=subprocess.PIPE,
        text=True,
    )


def all_open(home: Services, count: int) -> bool:
    own = replace(home, sealer=Vault(home.settings))
    with use_services(own):
        return [Secret.load(f"{n}").get() for n in range(count)] == list(range(count))


@pytest.mark.parametrize("at", [1, 2, 7])
@pytest.mark.parametrize("when", ["before", "after"])
def test_it_may_be_killed_at_any_document(home: Services, at: int, when: str) -> None:
    for number in range(7):
        Secret(value=number).save(f"{number}")
    with started(home, at, when, "drop") as rotation:
        assert rotation.stdout
        rotation.stdout.read()
    assert rotation.returncode == -signal.SIGKILL
    assert all_open(home, 7)
    assert len(Vault(home.settings).file.read()) == 2
    found = rotate_file(home.documents, home.settings, drop_old=True)
    assert found.resumed
    assert keys_of(home) == {found.key}
    assert all_open(home, 7)
    assert len(Vault(home.settings).file.read()) == 1
    assert not rotate_file(home.documents, home.settings, drop_old=False).resumed


def test_it_may_be_killed_at_any_moment(home: Services) -> None:
    count, chance = 60, random.Random(4)
    for number in range(count):
        Secret(value=number).save(f"{number}")
    killed = 0
    for _ in range(12):
        with started(home, -1, "never", "drop") as rotation:
            assert rotation.stdout
            assert rotation.stdout.readline() == "begun\n"
            with suppress(subprocess.TimeoutExpired):
                rotation.wait(chance.uniform(0, 0.1))
            rotation.kill()
        killed += rotation.returncode == -signal.SIGKILL
        assert all_open(home, count)
    assert killed
    found = rotate_file(home.documents, home.settings, drop_old=False)
    assert keys_of(home) == {found.key}
    assert all_open(home, count)
    assert not list(home.settings.home.glob(".secret.key.*"))
