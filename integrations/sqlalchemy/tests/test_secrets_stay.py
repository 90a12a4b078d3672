"""Canaries: random secrets in every field are in nothing that leaves the process."""

from __future__ import annotations

import logging
import pickle
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from secrets import token_hex

import pymysql
import pytest
from sqlalchemy import make_url

from flowstone import flow
from flowstone.context import current
from flowstone_sqlalchemy import DatabaseCredentials, SqlAlchemyConnector


def use(database: SqlAlchemyConnector, value: str) -> list[str]:
    """Do with a database what may go wrong, and return all that it says."""
    attempts: list[Callable[[], object]] = [
        lambda: database.execute("CREATE TABLE kept (id INTEGER PRIMARY KEY, code VARCHAR(40))"),
        lambda: database.insert("kept", [{"id": 1, "code": value}]),
        lambda: database.execute("INSERT INTO kept VALUES (1, ?)", [value]),
        # MariaDB names a column without an alias by the whole expression, with the value in it.
        lambda: database.fetch_arrow("SELECT CAST(:v AS INTEGER) AS n", {"v": value}),
        lambda: database.fetch_arrow("SELECT nope FROM kept WHERE code = :v", {"v": value}),
        lambda: database.fetch_all("SELECT CAST(code AS INTEGER) + 'x' FROM kept"),
        lambda: database.upsert("kept", [{"id": 1, "code": value * 3}], keys="id"),
        lambda: database.get_engine().connect(),
        lambda: database.access(),
        lambda: database.get_engine(),
    ]
    said: list[str] = []

    @flow(log_prints=True)
    def everything(database: SqlAlchemyConnector) -> None:
        print(database)
        for attempt in attempts:
            try:
                said.append(repr(attempt()))
            except Exception as error:
                said.append("".join(traceback.format_exception(error)))
                said.append(repr(error.__dict__))

    everything(database)
    return [*said, repr(database), str(database), database.model_dump_json()]


@pytest.fixture
def mariadb_url_with_password(mariadb_url: str, canary: str) -> Iterator[str]:
    """The URL of an empty database, for a user whose password is the canary."""
    url = make_url(mariadb_url)
    name = f"user_{token_hex(8)}"
    with (
        closing(pymysql.connect(host=url.host, port=url.port or 0, user=url.username)) as admin,
        admin.cursor() as cursor,
    ):
        cursor.execute(f"CREATE USER {name} IDENTIFIED BY '{canary}'")
        cursor.execute(f"GRANT ALL ON {url.database}.* TO {name}")
        yield url.set(username=name).render_as_string()
        cursor.execute(f"DROP USER {name}")


@pytest.fixture
def canary() -> str:
    return f"canary-{token_hex(12)}"


@pytest.mark.parametrize("server", ["postgres_url", "mariadb_url_with_password"])
@pytest.mark.parametrize("refused", [False, True])
def test_canaries_are_nowhere(
    server: str,
    refused: bool,
    canary: str,
    request: pytest.FixtureRequest,
    home: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    value = f"value-{token_hex(12)}"
    url = make_url(request.getfixturevalue(server))
    user = "nobody_there" if refused else url.username
    url = url.set(username=user, password=canary)
    database = SqlAlchemyConnector(connection_info=url.render_as_string(hide_password=False))
    with caplog.at_level(logging.DEBUG), database:
        database.save("canary")
        shown = use(database, value)
        if not refused:
            assert database.fetch_all("SELECT code FROM kept") == [(value,)]
    current.services().close()
    shown += [caplog.text, pickle.dumps(database).decode("latin-1")]
    shown += [path.read_bytes().decode("latin-1") for path in home.rglob("*") if path.is_file()]
    assert any("everything" in text for text in shown)
    assert not [text for text in shown if canary in text]
    assert not [text for text in shown if value in text]


def test_a_refused_login_says_no_password(postgres: str, canary: str) -> None:
    url = make_url(postgres)
    check = DatabaseCredentials(
        host=url.host, port=url.port, username="nobody_there", password=canary
    ).check()
    assert not check.ok
    assert canary not in repr(check)
