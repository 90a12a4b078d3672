"""Paths of this machine, given to a directory as an object store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path, PurePath

import pytest

from flowstone.errors import PathEscapes, StorageError
from flowstone.filesystems import LocalFileSystem


@pytest.fixture
def base(tmp_path: Path) -> Path:
    base = tmp_path / "base"
    (base / "sub").mkdir(parents=True)
    (base / "a.txt").write_bytes(b"hi")
    (base / "sub" / "b.txt").write_bytes(b"there")
    return base


@pytest.fixture
def store(base: Path) -> LocalFileSystem:
    return LocalFileSystem(basepath=base)


@pytest.mark.parametrize("kind", [str, Path, PurePath, "{}/".format])
def test_a_path_below_the_directory_is_that_object(
    base: Path, store: LocalFileSystem, kind: Callable[[object], PurePath | str]
) -> None:
    path, folder = kind(base / "a.txt"), kind(base / "sub")
    assert store.read_path(path) == b"hi"
    assert store.exists(path)
    assert store.object_info(path).path == "a.txt"
    assert store.write_path(path, b"new") == "a.txt"
    assert b"".join(store.stream(path)) == b"new"
    assert asyncio.run(store.aread_path(path)) == b"new"
    assert [each.path for each in store.list_objects(folder)] == ["sub/b.txt"]
    assert store.copy_object(path, kind(base / "c.txt")) == "c.txt"
    assert store.move_object(kind(base / "c.txt"), "d.txt") == "d.txt"
    assert store.delete_folder(folder) == 1
    store.delete_object(path)
    assert sorted(each.name for each in base.rglob("*")) == ["d.txt", "sub"]


def test_files_go_to_and_come_from_a_path_below_the_directory(
    base: Path, store: LocalFileSystem, tmp_path: Path
) -> None:
    assert store.upload_from_path(base / "a.txt", base / "up" / "a.txt") == "up/a.txt"
    assert store.put_directory(base / "sub", base / "all") == 1
    store.download_object_to_path(base / "all" / "b.txt", tmp_path / "b.txt")
    assert [path.name for path in store.get_directory(base / "up", tmp_path / "down")] == ["a.txt"]
    assert (tmp_path / "down" / "a.txt").read_bytes() == b"hi"


def test_a_path_by_a_link_to_the_directory_is_that_object(base: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(base)
    for directory, place in ((base, base), (tmp_path / "link", base), (tmp_path / "link",) * 2):
        assert LocalFileSystem(basepath=directory).read_path(place / "a.txt") == b"hi"


@pytest.mark.parametrize("path", ["{}/x", "{}-2/x", "{}", "/etc/must-not-write-here", "/etc"])
@pytest.mark.parametrize("kind", [str, Path])
def test_a_path_of_this_machine_that_leads_elsewhere_is_refused(
    store: LocalFileSystem, tmp_path: Path, path: str, kind: type, base: Path
) -> None:
    outside = kind(path.format(tmp_path))
    before = sorted(tmp_path.rglob("*"))
    for act in (store.read_path, store.exists, store.delete_object, store.delete_folder):
        with pytest.raises(PathEscapes, match="first slash"):
            act(outside)
    with pytest.raises(ValueError) as caught:
        store.write_path(outside, b"")
    assert isinstance(caught.value, StorageError)
    with pytest.raises(ValueError):
        store.upload_from_path(base / "a.txt", outside)
    with pytest.raises(ValueError):
        list(store.list_objects(outside))
    assert sorted(tmp_path.rglob("*")) == before


def test_a_path_that_leads_out_by_dots_is_refused(store: LocalFileSystem, base: Path) -> None:
    with pytest.raises(ValueError):
        store.write_path(f"{base}/../x", b"")


def test_an_outer_slash_of_an_object_means_nothing(store: LocalFileSystem) -> None:
    assert store.read_path("/a.txt") == b"hi"
    assert store.read_path("/sub/b.txt") == b"there"
    assert len([*store.list_objects("/")]) == 2


def test_a_relative_directory_and_home_know_their_paths(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(base.parent)
    monkeypatch.setenv("HOME", str(base.parent))
    for directory in ("base", "~/base"):
        assert LocalFileSystem(basepath=Path(directory)).read_path(base / "a.txt") == b"hi"
