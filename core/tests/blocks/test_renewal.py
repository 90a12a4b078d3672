"""A refused login with secrets by reference is tried again with what they are now."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest
from pydantic import SecretStr

from flowstone.ambient import Services, using
from flowstone.blocks import SqliteDatabase
from flowstone.blocks.resolver import MOMENT, Resolver
from flowstone.errors import DatabaseDenied, DatabaseError
from flowstone.ports import Clock


class Wrong(Exception):
    """What the driver of the cellar raises."""


class Cellar(SqliteDatabase):
    """A database that asks for a password, which is changed now and then."""

    wanted: ClassVar[str] = ""
    given: ClassVar[list[str]] = []

    password: SecretStr

    def _connect(self, anchor: sqlite3.Connection | None) -> sqlite3.Connection:
        self.given.append(self.password.get_secret_value())
        if self.given[-1] != self.wanted:
            raise Wrong
        return super()._connect(anchor)

    def _refused(self, error: Exception, statement: str | None) -> DatabaseError | None:
        if isinstance(error, Wrong):
            return DatabaseDenied(self._where(), "wrong password", "Ask for it.", statement)
        return super()._refused(error, statement)


class Later:
    """A clock that goes by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Later:
    return Later()


@pytest.fixture
def cellar(
    clock: Later, services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Any:
    def change(password: str) -> None:
        clock.now += MOMENT + 1
        monkeypatch.setenv("FLOWSTONE_TEST_CELLAR", password)
        Cellar.wanted = password
        Cellar.given.clear()

    ticking = cast("Clock", clock)
    current = replace(services, clock=ticking, references=Resolver(ticking, 3600))
    with (
        using(current),
        Cellar(path=str(tmp_path / "a.db"), password="env:FLOWSTONE_TEST_CELLAR") as cellar,
    ):
        change("the first password")
        assert cellar.fetch_one("SELECT 1") == (1,)
        yield cellar, change


def test_a_database_is_opened_with_the_new_password(cellar: Any) -> None:
    database, change = cellar
    change("the second password")
    assert database.fetch_one("SELECT 1") == (1,), "an open connection stays"
    assert Cellar.given == []
    database.close()
    with database.transaction():
        assert database.fetch_one("SELECT 2") == (2,)
    assert Cellar.given == ["the first password", "the second password"]


def test_what_is_still_refused_is_told_once(cellar: Any) -> None:
    database, change = cellar
    change("the second password")
    Cellar.wanted = "one that nobody has written down"
    database.close()
    with pytest.raises(DatabaseDenied, match="wrong password"):
        database.execute("SELECT 1")
    assert Cellar.given == ["the first password", "the second password"]


def test_a_password_by_value_is_tried_once(services: Services, tmp_path: Path) -> None:
    Cellar.given.clear()
    with (
        Cellar(path=str(tmp_path / "a.db"), password="a wrong one") as database,
        pytest.raises(DatabaseDenied),
    ):
        database.execute("SELECT 1")
    assert Cellar.given == ["a wrong one"]
