"""Encrypted connections: to PostgreSQL's protocol by PgBouncer, and to MariaDB."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

import pymysql
import pytest
from sqlalchemy import make_url, text
from tests.services.certificates import find_authority
from tests.services.servers import SecureServer

from flowstone.errors import DatabaseDenied, DatabaseError, DatabaseUnreachable
from flowstone_sqlalchemy import DatabaseCredentials, SqlAlchemyConnector, SslFiles


@dataclass(frozen=True)
class Place:
    """A server, and drivers for engines of it."""

    server: SecureServer
    sync_driver: str
    async_driver: str

    def open(self, ssl: SslFiles | None, *, url: str | None = None) -> SqlAlchemyConnector:
        return SqlAlchemyConnector(connection_info=url or self.server.url, ssl=ssl)


@pytest.fixture(params=["postgresql", "mysql"])
def place(request: pytest.FixtureRequest) -> Place:
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres_tls")
        return Place(server, "postgresql+psycopg", "postgresql+asyncpg")
    return Place(request.getfixturevalue("mariadb_tls"), "mysql+pymysql", "mysql+aiomysql")


@pytest.fixture
def ssl(place: Place) -> SslFiles:
    return SslFiles(ca=place.server.files.ca)


@pytest.fixture
def stranger() -> Path:
    """An authority that has signed none of the servers' certificates."""
    return find_authority().ca


def test_a_verified_server_is_used(place: Place, ssl: SslFiles) -> None:
    with place.open(ssl) as database:
        database.insert("kept", [{"id": 1}], create=True)
        assert database.fetch_all("SELECT id FROM kept") == [(1,)]
        assert database.fetch_arrow("SELECT id FROM kept").to_pylist() == [{"id": 1}]
        with database.get_connection() as connection:
            assert connection.execute(text("SELECT id FROM kept")).scalar() == 1
        database.execute("DROP TABLE kept")


def test_a_plain_connection_is_refused_by_the_server(place: Place) -> None:
    """So those of the other tests are encrypted."""
    plain = {"ssl_disabled": True} if "mysql" in place.server.url else {"sslmode": "disable"}
    with (
        SqlAlchemyConnector(connection_info=place.server.url, connect_args=plain) as database,
        pytest.raises(DatabaseError, match=r"SSL required|Access denied"),
    ):
        database.fetch_one("SELECT 1")


@pytest.mark.parametrize("method", ["fetch_one", "fetch_arrow"])
def test_another_host_than_the_certificate_s_is_refused(
    place: Place, ssl: SslFiles, method: str
) -> None:
    with (
        place.open(ssl, url=place.server.other_url) as database,
        pytest.raises(DatabaseUnreachable, match=r"(?i)certificate.*127\.0\.0\.1") as caught,
    ):
        getattr(database, method)("SELECT 1")
    assert "Check the certificates" in str(caught.value)


def test_an_unknown_authority_is_refused(place: Place, stranger: Path) -> None:
    for ssl in (SslFiles(ca=stranger), SslFiles(ca=stranger, check_host=False), SslFiles()):
        with (
            place.open(ssl) as database,
            pytest.raises(DatabaseUnreachable, match=r"(?i)certificate verify failed") as caught,
        ):
            database.fetch_one("SELECT 1")
        assert "Check the certificates" in str(caught.value)


def test_the_host_is_not_checked_where_it_is_so_said(place: Place) -> None:
    ssl = SslFiles(ca=place.server.files.ca, check_host=False)
    with place.open(ssl, url=place.server.other_url) as database:
        assert database.fetch_one("SELECT 1") == (1,)


def test_nothing_is_verified_without_authority_and_host(place: Place) -> None:
    with place.open(SslFiles(check_host=False), url=place.server.other_url) as database:
        assert database.fetch_one("SELECT 1") == (1,)


def test_engines_verify_the_server(place: Place, ssl: SslFiles, stranger: Path) -> None:
    with (
        place.open(SslFiles(ca=stranger)) as database,
        pytest.raises(Exception, match=r"(?i)certificate.verify.failed"),
    ):
        database.get_engine().connect()

    async def ask(ssl: SslFiles) -> object:
        url = place.server.url.replace(make_url(place.server.url).drivername, place.async_driver)
        with place.open(ssl, url=url) as database:
            async with database.get_connection() as connection:
                return (await connection.execute(text("SELECT 7"))).scalar()

    if place.async_driver == "postgresql+asyncpg":
        assert asyncio.run(ask(ssl)) == 7
        with pytest.raises(Exception, match=r"(?i)certificate.verify.failed"):
            asyncio.run(ask(SslFiles(ca=stranger)))


def test_credentials_check_the_server(place: Place, ssl: SslFiles, stranger: Path) -> None:
    url = make_url(place.server.url)
    login = DatabaseCredentials(
        driver=url.drivername,
        host=url.host,
        port=url.port,
        username=url.username,
        database=url.database,
        ssl=ssl,
    )
    assert login.check().ok
    login.ssl = SslFiles(ca=stranger)
    found = login.check()
    assert not found.ok
    assert "certificate verify failed" in str(found.reason)


@pytest.fixture
def user_with_certificate(mariadb_tls: SecureServer) -> Iterator[str]:
    """The URL of a user that has to show a certificate."""
    url, name = make_url(mariadb_tls.url), f"user_{token_hex(8)}"
    with (
        closing(
            pymysql.connect(
                host=url.host,
                port=url.port or 0,
                user=url.username,
                ssl_ca=str(mariadb_tls.files.ca),
            )
        ) as admin,
        admin.cursor() as cursor,
    ):
        cursor.execute(f"CREATE USER {name} REQUIRE X509")
        yield mariadb_tls.url.replace("root@", f"{name}@").replace("/mysql", "/information_schema")
        cursor.execute(f"DROP USER {name}")


def test_a_client_shows_its_certificate(
    mariadb_tls: SecureServer, user_with_certificate: str
) -> None:
    files = mariadb_tls.files
    shown = SslFiles(ca=files.ca, certificate=files.client_certificate, key=files.client_key)
    with SqlAlchemyConnector(connection_info=user_with_certificate, ssl=shown) as database:
        assert database.fetch_one("SELECT 1") == (1,)
    with (
        SqlAlchemyConnector(
            connection_info=user_with_certificate, ssl=SslFiles(ca=files.ca)
        ) as database,
        pytest.raises(DatabaseDenied, match="Access denied"),
    ):
        database.fetch_one("SELECT 1")
