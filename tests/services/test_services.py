"""Each service answers its vendor's own client."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pymysql
import pytest
from azure.storage.blob import BlobServiceClient
from google.cloud import storage
from snowflake import connector
from tests.services.proxy import Proxy
from tests.services.snowflake import ACCOUNT, PASSWORD, USER

if TYPE_CHECKING:
    from tests.services.azure import Azurite
    from tests.services.s3 import S3, Moto
    from tests.services.servers import SecureServer
    from tests.services.snowflake import Snowflake

CONTENT = os.urandom(100_000)


@pytest.mark.parametrize("name", ["moto", "fast_s3"])
def test_s3(name: str, request: pytest.FixtureRequest) -> None:
    service: S3 = request.getfixturevalue(name)
    bucket = uuid4().hex
    service.make_bucket(bucket)
    client = service.client()
    client.put_object(Bucket=bucket, Key="a/b", Body=CONTENT)
    assert client.get_object(Bucket=bucket, Key="a/b")["Body"].read() == CONTENT
    (found,) = client.list_objects_v2(Bucket=bucket)["Contents"]
    assert (found["Key"], found["Size"]) == ("a/b", len(CONTENT))


def test_moto_is_filled_at_once(moto: Moto) -> None:
    bucket = uuid4().hex
    moto.make_bucket(bucket)
    moto.fill(bucket, "a b/&c/", 3)
    found = moto.client().list_objects_v2(Bucket=bucket)["Contents"]
    assert [each["Key"] for each in found] == [f"a b/&c/{number:06}" for number in range(3)]


def test_gcs(gcs: str) -> None:
    client = storage.Client(
        project="p", use_auth_w_custom_endpoint=False, client_options={"api_endpoint": gcs}
    )
    bucket = client.create_bucket(uuid4().hex)
    bucket.blob("a/b").upload_from_string(CONTENT, if_generation_match=0)
    assert bucket.blob("a/b").download_as_bytes() == CONTENT
    # In memory, unlike in files, a key may be a folder of others, and as long as GCS allows.
    bucket.blob("a").upload_from_string(b"1")
    bucket.blob("k" * 1024).upload_from_string(b"1")
    assert [blob.name for blob in bucket.list_blobs()] == ["a", "a/b", "k" * 1024]


def test_azure(azurite: Azurite) -> None:
    with BlobServiceClient.from_connection_string(azurite.connection_string) as client:
        container = client.create_container(uuid4().hex)
        container.upload_blob("a/b", CONTENT)
        assert container.download_blob("a/b").readall() == CONTENT
        assert [blob.name for blob in container.list_blobs()] == ["a/b"]


def test_postgres(postgres: str) -> None:
    with psycopg.connect(postgres, autocommit=True) as connection:
        name = f"test_{uuid4().hex}"
        connection.execute(f"create database {name}")
    with psycopg.connect(postgres, dbname=name) as connection:
        connection.execute("create table t (id int primary key, content bytea, told jsonb)")
        told = '{"a": ["ä", 1]}'
        connection.execute("insert into t values (1, %s, %s)", (CONTENT, told))
        found = connection.execute("select content, told from t").fetchall()
    assert found == [(CONTENT, {"a": ["ä", 1]})]


def test_round_trips_to_a_database_are_counted(postgres: str) -> None:
    with (
        Proxy(postgres) as link,
        # It would prepare what it has sent five times, which is one more.
        psycopg.connect(link.url, autocommit=True, prepare_threshold=None) as connection,
    ):
        for count in (1, 10):
            before = link.requests
            for _ in range(count):
                connection.execute("select 1")
            assert link.requests == before + count


def test_pgbouncer(pgbouncer: str) -> None:
    def find_session(connection: psycopg.Connection[tuple[int]]) -> int:
        row = connection.execute("select pg_backend_pid()").fetchone()
        assert row is not None
        return row[0]

    with (
        psycopg.connect(pgbouncer, autocommit=True, prepare_threshold=None) as one,
        psycopg.connect(pgbouncer, autocommit=True, prepare_threshold=None) as two,
    ):
        with one.transaction():
            assert find_session(one) == find_session(one) != find_session(two)
        assert len({find_session(one) for _ in range(20)}) > 1


def test_postgres_with_tls(postgres_tls: SecureServer) -> None:
    with psycopg.connect(
        postgres_tls.url, sslmode="verify-full", sslrootcert=str(postgres_tls.files.ca)
    ) as connection:
        assert connection.pgconn.ssl_in_use
    with pytest.raises(psycopg.OperationalError, match="SSL required"):
        psycopg.connect(postgres_tls.url, sslmode="disable")


def test_mariadb_with_tls(mariadb_tls: SecureServer) -> None:
    place = urlsplit(mariadb_tls.url)
    with (
        pymysql.connect(
            host=place.hostname,
            port=place.port or 0,
            user="root",
            ssl_ca=str(mariadb_tls.files.ca),
            ssl_verify_identity=True,
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("show status like 'Ssl_cipher'")
        assert cursor.fetchall()[0][1]


def test_mariadb(mariadb: str) -> None:
    place = urlsplit(mariadb)
    assert place.port
    with (
        pymysql.connect(host=place.hostname, port=place.port, user="root") as connection,
        connection.cursor() as cursor,
    ):
        name = f"test_{uuid4().hex}"
        cursor.execute(f"create database {name}")
        cursor.execute(f"create table {name}.t (id int primary key, content longblob)")
        cursor.execute(f"insert into {name}.t values (1, %s)", (CONTENT,))
        cursor.execute(f"select content from {name}.t")
        assert cursor.fetchall() == ((CONTENT,),)


def test_snowflake(snowflake: Snowflake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNOWFLAKE_DISABLE_PLATFORM_DETECTION", "true")
    place, name = urlsplit(snowflake.url), f"T{uuid4().hex[:12].upper()}"
    with connector.connect(
        account=ACCOUNT, user=USER, password=PASSWORD, protocol="http", host=place.hostname,
        port=place.port, database=name, schema="PUBLIC", paramstyle="qmark",
    ) as connection:  # fmt: skip
        cursor = connection.cursor()
        cursor.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, seen TIMESTAMP_NTZ)")
        cursor.execute("ALTER SESSION SET QUERY_TAG = 'mine'")
        cursor.execute("INSERT INTO t VALUES (?, ?), (1, NULL)", (1, None))
        assert cursor.rowcount == 2, "keys are not enforced"
        cursor.execute_async("SELECT seen FROM t WHERE id = ?", (1,))
        assert cursor.sfqid
        assert cursor.query_result(cursor.sfqid).fetchall() == [(None,), (None,)]
        assert connection.get_query_status(cursor.sfqid).name == "SUCCESS"
        cursor.execute("SELECT 1 AS a; SELECT 2 AS b", num_statements=2)
        assert cursor.fetchall() == [(1,)]
        assert cursor.nextset() is not None
        assert cursor.fetchall() == [(2,)]
        with pytest.raises(connector.errors.ProgrammingError, match="statement count 2"):
            cursor.execute("SELECT 1; SELECT 2")
    asked = snowflake.find_queries("SELECT seen", name)
    assert [each["tag"] for each in asked] == ["mine"]
