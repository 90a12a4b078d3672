"""What Flowstone keeps is its owner's alone, whatever the umask; what users write is theirs."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from flowstone import flow, task
from flowstone.blocks import FileSecrets, LocalDirectory, Secret
from flowstone.bootstrap import open_services
from flowstone.cache_policies import INPUTS
from flowstone.context.current import use_services
from flowstone.locking import FileSystemLockManager, IsolationLevel
from flowstone.observers import EventsFile, observing
from flowstone.settings import Settings

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it has other rights")


@pytest.fixture(params=[0o000, 0o002, 0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def read_modes(root: Path) -> dict[str, int]:
    found = [root, *root.rglob("*")]
    return {path.relative_to(root).as_posix(): stat.S_IMODE(path.stat().st_mode) for path in found}


@task(persist_result=True, result_storage_key="of/{parameters[n]}")
def count(n: int) -> int:
    return n


def test_what_is_kept_is_its_owners_alone(tmp_path: Path, umask: int) -> None:
    home = tmp_path / "above" / "home"
    settings = Settings(home=home, store="sqlite", events_file=home / "ev" / "e.jsonl")
    services = open_services(settings)
    alone = INPUTS.configure(
        isolation_level=IsolationLevel.SERIALIZABLE,
        lock_manager=FileSystemLockManager(home / "locks"),
    )

    @task(cache_policy=alone)
    def count_alone(n: int) -> int:
        return n

    with use_services(services), closing(services), observing(EventsFile(settings)):

        @flow(result_storage=tmp_path / "own" / "results")
        def f() -> None:
            count(1)
            count_alone(2)

        @flow(persist_result=True)
        def g() -> int:
            return count_alone(2)

        @flow(persist_result=True, result_storage=LocalDirectory(basepath=tmp_path / "block" / "a"))
        def h() -> int:
            return 3

        f()
        g()
        h()
        Secret(value="tell-nobody").save("word")
        FileSecrets(directory=home / "secrets").write("word", "tell-nobody")
        found: dict[str, int] = {}
        for root in (tmp_path / "above", tmp_path / "own", tmp_path / "block"):
            found |= {f"{root.name}/{name}": mode for name, mode in read_modes(root).items()}
    names = " ".join(found)
    for part in ("flowstone.db-wal", "secret.key", "locks/", "e.jsonl", "results/of/1", "storage/"):
        assert part in names
    assert {mode for name, mode in found.items() if not mode & stat.S_IXUSR} == {0o600}
    assert {mode for name, mode in found.items() if mode & stat.S_IXUSR} == {0o700}


def test_what_a_user_writes_has_the_users_own_umask(tmp_path: Path, umask: int) -> None:
    store = LocalDirectory(basepath=tmp_path / "data")
    store.write_path("a/b.txt", b"")
    store.download_object_to_path("a/b.txt", tmp_path / "down" / "c.txt")
    store.get_directory("", tmp_path / "all")
    for path in ("data/a/b.txt", "down/c.txt", "all/a/b.txt"):
        assert stat.S_IMODE((tmp_path / path).stat().st_mode) == 0o666 & ~umask
        assert stat.S_IMODE((tmp_path / path).parent.stat().st_mode) == 0o777 & ~umask
