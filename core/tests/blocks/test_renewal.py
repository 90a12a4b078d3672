"""A refused login with secrets by reference is tried again with what they are now."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any, ClassVar

import pytest
from pydantic import SecretStr
from tests.services.web import Handler, serve_web

from flowstone.blocks import Job, JobProvider, JobStatus, Report, SqliteDatabase, Webhook
from flowstone.blocks.databases.sqlite import SqliteConnection, SqliteDriver
from flowstone.context.current import Services
from flowstone.errors import AccessDenied, DatabaseDenied, DatabaseError, NotificationDenied
from flowstone.secrets.resolver import MOMENT
from flowstone_testing.conformance.clock import SteppedClock


class Wrong(Exception):
    """What the driver of the cellar raises."""


class CellarDriver(SqliteDriver):
    """A driver that asks for a password."""

    cancels_by_id = True

    def __init__(self, path: str, password: SecretStr) -> None:
        super().__init__(path)
        self.password = password

    def connect(self) -> SqliteConnection:
        Cellar.given.append(self.password.get_secret_value())
        if Cellar.given[-1] != Cellar.wanted:
            raise Wrong
        return super().connect()

    def cancel_by_id(self, query_id: str) -> None:
        self.connect().close()
        Cellar.cancelled.append(query_id)

    def translate_error(self, error: Exception, statement: str | None) -> DatabaseError | None:
        if isinstance(error, Wrong):
            return DatabaseDenied(self.where, "wrong password", "Ask for it.", statement)
        return super().translate_error(error, statement)


class Cellar(SqliteDatabase):
    """A database that asks for a password, which is changed now and then."""

    wanted: ClassVar[str] = ""
    given: ClassVar[list[str]] = []
    cancelled: ClassVar[list[str]] = []

    password: SecretStr

    def make_driver(self) -> CellarDriver:
        return CellarDriver(self.path, self.password)


@pytest.fixture
def cellar(later: SteppedClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def change(password: str) -> None:
        later.now += MOMENT + 1
        monkeypatch.setenv("FLOWSTONE_TEST_CELLAR", password)
        Cellar.wanted = password
        Cellar.given.clear()
        Cellar.cancelled.clear()

    with (
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


def test_a_query_is_cancelled_by_its_id_with_the_new_password(cellar: Any) -> None:
    database, change = cellar
    change("the second password")
    database.driver_calls.cancel_by_id("query 1")
    assert Cellar.given == ["the first password", "the second password"]
    assert Cellar.cancelled == ["query 1"]


def test_a_cancellation_that_is_still_refused_is_an_error(cellar: Any) -> None:
    database, change = cellar
    change("the second password")
    Cellar.wanted = "one that nobody has written down"
    with pytest.raises(DatabaseDenied, match="wrong password"):
        database.driver_calls.cancel_by_id("query 1")
    assert Cellar.given == ["the first password", "the second password"]
    assert Cellar.cancelled == []


def test_a_password_by_value_is_tried_once(services: Services, tmp_path: Path) -> None:
    Cellar.given.clear()
    with (
        Cellar(path=str(tmp_path / "a.db"), password="a wrong one") as database,
        pytest.raises(DatabaseDenied),
    ):
        database.execute("SELECT 1")
    assert Cellar.given == ["a wrong one"]


class Gate(Handler):
    """Takes notes at one path, with one header."""

    path_now, key_now = "", ""
    tries: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.tries.append(self.path)
        known = self.headers.get("X-Key") == self.key_now if self.key_now else True
        self.send_response(404 if self.path != self.path_now else 200 if known else 401)
        self.send_header("Content-Length", "0")
        self.end_headers()


@contextmanager
def gate(path: str, key: str = "") -> Iterator[tuple[type[Gate], str]]:
    kind = type("OneGate", (Gate,), {"path_now": path, "key_now": key, "tries": []})
    with serve_web(kind) as server:
        yield kind, server.url


def test_a_note_goes_to_the_new_url(later: SteppedClock, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = f"/{token_hex()}", f"/{token_hex()}"
    with gate(old) as (seen, place):
        monkeypatch.setenv("FLOWSTONE_TEST_HOOK", place + old)
        hook = Webhook(url="env:FLOWSTONE_TEST_HOOK")
        hook.notify("one")
        later.now += MOMENT + 1
        monkeypatch.setenv("FLOWSTONE_TEST_HOOK", place + new)
        seen.path_now = new
        hook.notify("two")
        assert seen.tries == [old, old, new]
        later.now += MOMENT / 2
        seen.path_now = "/gone"
        with pytest.raises(NotificationDenied, match="404"):
            hook.notify("three")
        assert seen.tries[3:] == [new], "what was just read anew is not asked for again"


def test_a_note_goes_with_the_new_header(
    later: SteppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with gate("/", key=f"first {token_hex()}") as (seen, place):
        monkeypatch.setenv("FLOWSTONE_TEST_HOOK", seen.key_now)
        hook = Webhook(url=f"{place}/", headers={"X-Key": "env:FLOWSTONE_TEST_HOOK"})
        hook.notify("one")
        later.now += MOMENT + 1
        seen.key_now = f"second {token_hex()}"
        monkeypatch.setenv("FLOWSTONE_TEST_HOOK", seen.key_now)
        hook.notify("two")
        assert len(seen.tries) == 3


def test_a_secret_url_by_value_is_tried_once(services: Services) -> None:
    with gate("/now") as (seen, place):
        with pytest.raises(NotificationDenied) as caught:
            Webhook(url=f"{place}/before").notify("one")
        assert (caught.value.status, seen.tries) == (404, ["/before"])
        assert "/before" not in str(caught.value)


class Errand(Job):
    """A job at a service that asks for a token."""

    wanted: ClassVar[str] = ""
    given: ClassVar[list[str]] = []

    token: SecretStr

    def make_provider(self) -> JobProvider:
        return Service(self)


class Service(JobProvider):
    def __init__(self, errand: Errand) -> None:
        self._errand = errand

    where = "an errand"

    def start(self) -> str:
        self._enter()
        return "1"

    def report(self, handle: str) -> Report:
        self._enter()
        return Report(JobStatus.COMPLETED)

    def cancel(self, handle: str) -> None:
        self._enter()

    def _enter(self) -> None:
        given = self._errand.given
        given.append(self._errand.token.get_secret_value())
        if given[-1] != self._errand.wanted:
            raise AccessDenied(self.where, "wrong token", "Ask for it.")


def test_a_job_is_followed_with_the_new_token(
    later: SteppedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(token: str) -> None:
        later.now += MOMENT + 1
        monkeypatch.setenv("FLOWSTONE_TEST_ERRAND", token)
        Errand.wanted = token

    Errand.given.clear()
    job = Errand(token="env:FLOWSTONE_TEST_ERRAND")
    change("the first token")
    run = job.trigger()
    change("the second token")
    run.wait()
    assert Errand.given == ["the first token", "the first token", "the second token"]
