"""What MariaDB does beside the standard tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from itertools import islice
from socket import socket
from time import monotonic
from typing import Any

import pyarrow as pa
import pymysql
import pytest
from sqlalchemy import make_url

from flowstone import flow, task
from flowstone.errors import (
    DatabaseDenied,
    DatabaseUnreachable,
    IntegrityViolated,
    QueryCancelled,
    QueryInvalid,
)
from flowstone_sqlalchemy import SqlAlchemyConnector
from flowstone_testing.conformance.database.base import Aside, until

PATIENCE = 20.0
LONG = "SELECT /* {} */ max(a.seq + b.seq) FROM seq_1_to_10000000 AS a, seq_1_to_10000000 AS b"


def ask_admin(url: str, query: str) -> list[Any]:
    parts = make_url(url)
    with (
        closing(pymysql.connect(host=parts.host, port=parts.port or 0, user=parts.username)) as raw,
        raw.cursor() as cursor,
    ):
        cursor.execute(query)
        return list(cursor.fetchall())


def end_connections(url: str) -> None:
    """Let the server end all connections to the database."""
    name = make_url(url).database
    open_ones = f"SELECT id FROM information_schema.processlist WHERE db = '{name}'"
    numbers = [number for (number,) in ask_admin(url, open_ones)]
    assert numbers, "no connection was there to be ended"
    for number in numbers:
        ask_admin(url, f"KILL CONNECTION {number}")
    until(lambda: not ask_admin(url, open_ones), "the connections have ended", PATIENCE)


def test_a_lost_connection_is_opened_again(mysql: SqlAlchemyConnector, mariadb_url: str) -> None:
    mysql.execute("CREATE TABLE t (id int)")
    for _ in range(3):
        end_connections(mariadb_url)
        mysql.execute("INSERT INTO t VALUES (1)")
        end_connections(mariadb_url)
        assert mysql.fetch_all("SELECT DISTINCT id FROM t") == [(1,)]
    assert mysql.fetch_one("SELECT count(*) FROM t") == (3,)


def test_a_loss_inside_a_transaction_is_told(mysql: SqlAlchemyConnector, mariadb_url: str) -> None:
    mysql.execute("CREATE TABLE t (id int)")
    with (
        pytest.raises(DatabaseUnreachable, match="inside a transaction, which was not committed"),
        mysql.transaction(),
    ):
        mysql.execute("INSERT INTO t VALUES (1)")
        end_connections(mariadb_url)
        mysql.execute("INSERT INTO t VALUES (2)")
    assert mysql.fetch_all("SELECT * FROM t") == []


def test_cancel_ends_the_query_in_the_server(mysql: SqlAlchemyConnector, mariadb_url: str) -> None:
    def count() -> int:
        query = (
            "SELECT id FROM information_schema.processlist "
            "WHERE info LIKE '%stopped_1%' AND info NOT LIKE '%processlist%'"
        )
        return len(ask_admin(mariadb_url, query))

    query = Aside(lambda: mysql.fetch_all(LONG.format("stopped_1")))
    until(count, "it runs", PATIENCE)
    assert mysql.cancel() == 1
    assert isinstance(query.join(PATIENCE).error, QueryCancelled)
    until(lambda: not count(), "it has ended", PATIENCE)


def test_the_server_knows_the_task_s_timeout(mysql: SqlAlchemyConnector) -> None:
    @task(timeout_seconds=60)
    def limited() -> Any:
        return mysql.fetch_one("SELECT @@max_statement_time")

    @flow
    def both() -> list[Any]:
        return [limited(), mysql.fetch_one("SELECT @@max_statement_time")]

    assert both() == [(65.0,), (0.0,)]


def test_a_long_stream_may_be_left_at_once(mysql: SqlAlchemyConnector) -> None:
    stream = mysql.stream("SELECT seq FROM seq_1_to_1000000000")
    assert list(islice(stream, 2)) == [(1,), (2,)]
    stream.close()  # type: ignore[attr-defined]
    assert mysql.fetch_one("SELECT 1") == (1,)


def test_an_upsert_needs_a_unique_key(mysql: SqlAlchemyConnector) -> None:
    mysql.execute("CREATE TABLE t (id int, v int)")
    with pytest.raises(QueryInvalid, match="not a unique key"):
        mysql.upsert("t", [{"id": 1, "v": 1}], keys="id")
    assert mysql.fetch_all("SELECT * FROM t") == []


def test_rows_for_a_table_that_is_created_are_all_or_none(mysql: SqlAlchemyConnector) -> None:
    """A CREATE TABLE commits, and with it the transaction would end."""

    def breaks() -> Iterator[dict[str, int]]:
        yield from ({"id": number} for number in range(5000))
        raise LookupError

    for _ in range(2):  # without a table, and with one
        with pytest.raises(LookupError):
            mysql.insert("t", breaks(), create=True)
        assert mysql.fetch_all("SELECT * FROM t") == []


def test_a_transaction_goes_on_when_a_table_is_created(mysql: SqlAlchemyConnector) -> None:
    mysql.execute("CREATE TABLE t (id int)")
    for create in (False, True):
        with pytest.raises(LookupError), mysql.transaction():
            mysql.insert("t", [{"id": 1}], create=create)
            mysql.insert("other", [{"id": 1}], create=True)
            mysql.upsert("items", [{"id": 1, "v": 1}], "id", create=True)
            raise LookupError
        for table in ("t", "other", "items"):
            assert mysql.fetch_all(f"SELECT * FROM {table}") == []


def test_a_key_that_is_there_is_not_created_again(mysql: SqlAlchemyConnector) -> None:
    for number in range(3):
        mysql.upsert("t", [{"id": 1, "v": number}], "id", create=True)
    assert len(mysql.fetch_all("SHOW INDEX FROM t")) == 1
    assert mysql.fetch_all("SELECT v FROM t") == [(2,)]


def test_a_server_that_says_nothing_is_not_waited_for() -> None:
    with socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        url = f"mysql://root@127.0.0.1:{server.getsockname()[1]}/shop"
        silent = SqlAlchemyConnector(connection_info=url, connect_seconds=1)
        began = monotonic()
        with pytest.raises(DatabaseUnreachable):
            silent.fetch_one("SELECT 1")
        assert monotonic() - began < PATIENCE


def test_errors_have_the_number_and_the_place(mysql: SqlAlchemyConnector) -> None:
    with pytest.raises(QueryInvalid, match=r"error 1064.*line 2, column 13"):
        mysql.fetch_all("SELECT :alpha\nFROM t WHER y = 1", {"alpha": 1})
    mysql.execute("CREATE TABLE t (id int PRIMARY KEY)")
    mysql.execute("INSERT INTO t VALUES (?)", [7])
    with pytest.raises(IntegrityViolated, match=r"Duplicate entry '…'.*error 1062"):
        mysql.execute("INSERT INTO t VALUES (?)", [7])


def test_connections_that_are_refused_say_why(mariadb_url: str) -> None:
    wrong = {
        mariadb_url.rpartition("/")[0] + "/nowhere": (DatabaseUnreachable, "nowhere"),
        mariadb_url.replace("root@", "nobody_there:wrong@"): (DatabaseDenied, "nobody_there"),
        "mysql://127.0.0.1:1/a": (DatabaseUnreachable, "Check the host and the port"),
    }
    for url, (kind, words) in wrong.items():
        with SqlAlchemyConnector(connection_info=url) as database, pytest.raises(kind, match=words):
            database.fetch_one("SELECT 1")


def test_percent_signs_and_backslashes_stay(mysql: SqlAlchemyConnector) -> None:
    found = mysql.fetch_one(r"SELECT '100%s \'?', ?, '%%'", ["a%b\\"])
    assert found == ("100%s '?", "a%b\\", "%%")
    assert mysql.fetch_one("SELECT '100%s', '%%'") == ("100%s", "%%")
    mysql.insert("odd", [{"a%s": 1}], create=True)
    assert mysql.fetch_all("SELECT * FROM odd") == [(1,)]


@pytest.mark.parametrize("batch_rows", [1, 2, 1000])
def test_decimals_that_grow_keep_the_type_of_a_stream(
    mysql: SqlAlchemyConnector, batch_rows: int
) -> None:
    """The type is that of the first batch, whose value has one digit."""
    values = [Decimal(f"{10**digits - 1}.25") for digits in (1, 5, 12, 20, 28)]
    mysql.execute("CREATE TABLE t (id int, price DECIMAL(38, 10))")
    mysql.execute_many("INSERT INTO t VALUES (?, ?)", list(enumerate(values)))
    query = "SELECT price FROM t ORDER BY id"
    batches = list(mysql.stream_arrow(query, batch_rows=batch_rows))
    assert {batch.schema.field("price").type for batch in batches} == {pa.decimal128(38, 10)}
    assert [value for batch in batches for value in batch.column("price").to_pylist()] == values
    assert len(batches) == -(-len(values) // batch_rows)
