"""What other tools need to reach a store or a database by themselves."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import polars as pl
import pytest

from flowstone.blocks import LocalDirectory, ObjectStore, SqliteDatabase
from flowstone.errors import (
    FlowstoneError,
    PathEscapes,
    PathInvalid,
    QueryInvalid,
    UnknownName,
)
from flowstone.records.access import DatabaseAccess, StoreAccess

ODD = "a folder/50% \u00fc?.csv"


@pytest.fixture
def store(tmp_path: Path) -> LocalDirectory:
    return LocalDirectory(basepath=tmp_path / "data")


def test_an_address_leads_to_the_object(store: LocalDirectory) -> None:
    store.write_path(ODD, b"n\n1\n")
    uri = store.uri(ODD)
    assert uri.startswith("file:///")
    assert ObjectStore.from_uri(store.uri()) == LocalDirectory(basepath=store.basepath.resolve())
    assert pd.read_csv(uri, storage_options=store.storage_options()).n.tolist() == [1]
    plain = store.write_path("b/c.csv", b"n\n1\n")
    read = pl.read_csv(store.uri(plain), storage_options=store.storage_options("polars"))
    assert read["n"].to_list() == [1]
    folder = ObjectStore.from_uri(store.uri("b"))
    assert folder.read_path("c.csv") == b"n\n1\n"


@pytest.mark.parametrize(
    ("uri", "error", "told"),
    [
        ("data/raw", PathInvalid, "Start it with a scheme"),
        ("s4://bucket", UnknownName, "s4"),
        ("file://elsewhere/data", PathInvalid, "it names the host 'elsewhere'"),
    ],
)
def test_what_is_no_address_is_told(uri: str, error: type[FlowstoneError], told: str) -> None:
    with pytest.raises(error, match=told):
        ObjectStore.from_uri(uri)


def test_an_address_leads_nowhere_else(store: LocalDirectory) -> None:
    with pytest.raises(PathEscapes):
        store.uri("../a")


def test_the_access_is_a_record(store: LocalDirectory, tmp_path: Path) -> None:
    assert store.access() == StoreAccess("file", str((tmp_path / "data").resolve()))
    database = SqliteDatabase(path=str(tmp_path / "a.db"), read_only=True)
    expected = DatabaseAccess("sqlite", str(tmp_path / "a.db"), options={"mode": "ro"})
    assert database.access() == expected
    with pytest.raises(QueryInvalid, match="other tools can't connect"):
        SqliteDatabase().access()


# ---------------------------------------------------------------- as a file system


def test_a_file_system_reads_and_writes_objects(store: LocalDirectory) -> None:
    files = store.filesystem()
    store.write_path("a/b/c.txt", b"one")
    with files.open("a/d.txt", "wb") as file:
        file.write(b"two")
    assert store.read_path("a/d.txt") == b"two"
    assert files.ls("a", detail=False) == ["a/b", "a/d.txt"]
    assert [each["type"] for each in files.ls("a")] == ["directory", "file"]
    assert files.ls("a/d.txt", detail=False) == ["a/d.txt"]
    assert files.find("") == ["a/b/c.txt", "a/d.txt"]
    assert files.glob("a/**/*.txt") == ["a/b/c.txt", "a/d.txt"]
    assert files.cat("a/b/c.txt") == b"one"
    assert files.cat_file("a/b/c.txt", 1, 2) == b"n"
    assert files.exists("a")
    assert files.isdir("a/b")
    files.copy("a/d.txt", "e.txt")
    files.mv("e.txt", "f.txt")
    assert files.find("") == ["a/b/c.txt", "a/d.txt", "f.txt"]
    files.rm("f.txt")
    files.rm("a", recursive=True)
    assert files.find("") == []


def test_a_file_system_says_what_is_not_there(store: LocalDirectory) -> None:
    files = store.filesystem()
    for ask in (files.info, files.open, files.cat_file, files.ls):
        with pytest.raises(FileNotFoundError):
            ask("no.txt")
    assert not files.exists("no.txt")
    with pytest.raises(PathEscapes):
        files.cat_file("../no.txt")
    with pytest.raises(ValueError, match="written whole"):
        files.open("a.txt", "ab")


def test_a_file_that_was_not_finished_is_not_written(store: LocalDirectory) -> None:
    files = store.filesystem()

    def fail() -> None:
        with files.open("a.txt", "wb") as file:
            file.write(b"half")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        fail()
    left = files.open("b.txt", "wb")
    left.write(b"half")
    del left
    with pytest.raises(FileNotFoundError, match="there is no such directory"):
        files.find("")
    with files.open("a.txt", "xb") as file:
        file.write(b"whole")
    with pytest.raises(FileExistsError):
        files.open("a.txt", "xb")


def test_tools_take_the_file_system(store: LocalDirectory) -> None:
    frame = pd.DataFrame({"n": [1, 2]})
    files = store.filesystem()
    frame.to_parquet("x/a.parquet", filesystem=files)
    assert pd.read_parquet("x/a.parquet", filesystem=files).n.tolist() == [1, 2]
    with files.open("x/a.parquet") as file:
        assert pl.read_parquet(file)["n"].to_list() == [1, 2]
