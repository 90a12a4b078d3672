"""File systems of fsspec as object stores, and the store that keeps nothing."""

from __future__ import annotations

import io
import pickle
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import register_implementation

from flowstone import flow, task
from flowstone.blocks import Block, ObjectStore
from flowstone.errors import (
    AccessDenied,
    BlockInvalid,
    ConfigurationError,
    ObjectMissing,
    StorageError,
    Unreachable,
)
from flowstone.filesystems import NullFileSystem, RemoteFileSystem


@pytest.fixture
def remote() -> Iterator[RemoteFileSystem]:
    store = RemoteFileSystem(basepath=f"memory://{secrets.token_hex(8)}/data/")
    yield store
    store.delete_folder("")


def fail_with(files: Any, error: type[Exception], password: str) -> None:
    """Make a file system with a login, whose calls fail as that says."""
    MemoryFileSystem.__init__(files)
    files.error, files.password = error, password


def fail(files: Any, path: str, **_: object) -> None:
    raise files.error(f"the login {files.password} can't read {path}")


TROUBLED = {
    "protocol": "troubled",
    "cachable": False,
    "__init__": fail_with,
    "cat_file": fail,
    "info": fail,
}
register_implementation("troubled", type("Troubled", (MemoryFileSystem,), TROUBLED))


def test_a_remote_file_system_is_used_as_users_know_it(
    remote: RemoteFileSystem, tmp_path: Path
) -> None:
    assert remote.write_path("a/b.txt", b"1") == "a/b.txt"
    assert remote.read_path("a/b.txt") == b"1"
    assert remote.read_path(f"{remote.basepath}a/b.txt") == b"1"
    remote.get_directory("a", tmp_path)
    assert (tmp_path / "b.txt").read_bytes() == b"1"
    (tmp_path / "c.txt").write_bytes(b"22")
    assert remote.put_directory(tmp_path, "new") == 2
    assert sorted(info.path for info in remote.list_objects()) == [
        "a/b.txt",
        "new/b.txt",
        "new/c.txt",
    ]
    with pytest.raises(ObjectMissing):
        remote.read_path("nothing")


def test_its_settings_are_secret() -> None:
    canary = f"canary-{secrets.token_hex(8)}"
    store = RemoteFileSystem(
        basepath="troubled://there/data", settings={"error": PermissionError, "password": canary}
    )
    with pytest.raises(AccessDenied) as refused:
        store.read_path("a")
    for shown in (
        repr(store),
        str(store),
        store.model_dump_json(exclude={"settings": {"error"}}),
        str(refused.value),
    ):
        assert canary not in shown
    plain = RemoteFileSystem(basepath="memory://there/data", settings={"password": canary})
    plain.save("remote")
    loaded = RemoteFileSystem.load("remote")
    assert loaded.settings.get_secret_value() == {"password": canary}
    assert isinstance(Block.load("remote-file-system/remote"), RemoteFileSystem)
    assert canary.encode() not in pickle.dumps(loaded)
    assert pickle.loads(pickle.dumps(loaded)) == plain
    assert plain.storage_options("pandas") == {"password": canary}


@pytest.mark.parametrize(
    ("raised", "error"),
    [
        (FileNotFoundError, ObjectMissing),
        (PermissionError, AccessDenied),
        (ConnectionResetError, Unreachable),
        (TimeoutError, Unreachable),
        (NotImplementedError, StorageError),
        (RuntimeError, StorageError),
    ],
)
def test_errors_of_a_file_system_are_ours(
    raised: type[Exception], error: type[StorageError]
) -> None:
    store = RemoteFileSystem(
        basepath="troubled://there", settings={"error": raised, "password": "s3cr3t-of-it"}
    )
    with pytest.raises(error) as found:
        store.read_path("a")
    assert type(found.value) is error
    assert "s3cr3t-of-it" not in str(found.value)
    assert "troubled://there/a" in str(found.value)


@pytest.mark.parametrize(
    ("basepath", "problem"),
    [
        ("data", "a scheme and a host or bucket"),
        ("memory:///data", "a scheme and a host or bucket"),
        ("file://host/data", "LocalFileSystem"),
        ("sftp://me:hunter2-hunter2@host/data", "may not contain a password"),
    ],
)
def test_a_basepath_that_is_none_is_refused(basepath: str, problem: str) -> None:
    with pytest.raises(BlockInvalid, match=problem) as found:
        RemoteFileSystem(basepath=basepath)
    assert "hunter2" not in str(found.value)


@pytest.mark.parametrize("basepath", ["nothing://here", "troubled://here"])
def test_what_fsspec_can_not_open_is_named(basepath: str) -> None:
    store = RemoteFileSystem(basepath=basepath)
    with pytest.raises(ConfigurationError, match=f"fsspec can't open '{basepath}'"):
        store.read_path("a")


def test_a_file_system_that_is_not_installed_is_named() -> None:
    store = RemoteFileSystem(basepath="dropbox://here/data")
    with pytest.raises(ConfigurationError, match=r"is not installed .*[Ii]nstall"):
        store.write_path("a", b"1")


def test_a_source_that_fails_leaves_what_was_there(remote: RemoteFileSystem) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            chunk = super().read(10)
            if self.tell() > 10:
                raise LookupError("the source broke")
            return chunk

    remote.write_path("a", b"old")
    for name in ("a", "new"):
        with pytest.raises(LookupError, match="the source broke"):
            remote.upload_from_file_object(Broken(b"x" * 100), name)
    assert remote.read_path("a") == b"old"
    assert not remote.exists("new")
    remote.write_path("new", b"later writes are whole")
    assert remote.read_path("new") == b"later writes are whole"


def test_readers_of_one_object_do_not_disturb_each_other(remote: RemoteFileSystem) -> None:
    remote.write_path("a", b"0123456789")
    with remote.open_read("a") as one, remote.open_read("a") as other:
        assert one.read(5) == b"01234"
        assert other.read() == b"0123456789"
        remote.write_path("a", b"new")
        assert one.read() == b"56789"


def test_results_are_kept_in_a_remote_file_system(remote: RemoteFileSystem) -> None:
    remote.save("results")

    @task(persist_result=True, cache_key_fn=lambda *_: "key")
    def compute() -> int:
        calls.append(1)
        return 42

    @flow(result_storage="remote-file-system/results")
    def compute_twice() -> list[int]:
        return [compute(), compute()]

    calls: list[int] = []
    assert compute_twice() == [42, 42]
    assert calls == [1]
    assert any(remote.list_objects())


def test_the_null_file_system_keeps_nothing() -> None:
    store = NullFileSystem()
    assert isinstance(store, ObjectStore)
    assert store.write_path("a", b"1") == "a"
    assert not store.exists("a")
    assert list(store.list_objects()) == []
    store.delete_object("a")
    for read in (store.read_path, store.open_read, store.object_info):
        with pytest.raises(ObjectMissing, match="has no objects"):
            read("a")


def test_the_null_file_system_keeps_no_results() -> None:
    @task(persist_result=True, cache_key_fn=lambda *_: "key", result_storage=NullFileSystem())
    def compute() -> int:
        calls.append(1)
        return 42

    @flow
    def compute_twice() -> list[int]:
        return [compute(), compute()]

    calls: list[int] = []
    assert compute_twice() == [42, 42]
    assert calls == [1, 1]
