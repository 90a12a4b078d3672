"""Redshift's statements as text, and temporary logins: of moto, into a server of PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import boto3
import psycopg
import pytest
from pydantic import SecretStr
from sqlalchemy import create_engine, make_url
from sqlalchemy.pool import NullPool
from tests.services.s3 import S3

from flowstone.errors import ConfigurationError, DatabaseDenied
from flowstone.records.access import StoreAccess
from flowstone_sqlalchemy import RedshiftOptions, SqlAlchemyConnector
from flowstone_sqlalchemy.errors import OurError
from flowstone_sqlalchemy.redshift import RedshiftDriver, find_login, render_copy, render_unload

LOGIN = {
    "access_key_id": SecretStr("AKIA"),
    "secret_access_key": SecretStr("it's secret"),
    "session_token": SecretStr("token"),
}
STORE = StoreAccess("s3", "lake", "raw", options={"region": "eu-central-1"}, secrets=LOGIN)
OPEN = StoreAccess("s3", "lake")


@pytest.fixture
def cluster(moto: S3, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name, value in {**moto.environment, "AWS_ENDPOINT_URL": moto.url}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    client, name = boto3.client("redshift"), f"shop-{uuid4().hex[:12]}"
    client.create_cluster(
        ClusterIdentifier=name, NodeType="ra3.large", MasterUsername="admin",
        MasterUserPassword="Password1",
    )  # fmt: skip
    yield name
    client.delete_cluster(ClusterIdentifier=name, SkipFinalClusterSnapshot=True)


def test_copy_loads_a_file() -> None:
    assert render_copy('"orders"', STORE, "2026/a.parquet") == (
        "COPY \"orders\" FROM 's3://lake/raw/2026/a.parquet' ACCESS_KEY_ID 'AKIA' "
        "SECRET_ACCESS_KEY 'it''s secret' SESSION_TOKEN 'token' REGION 'eu-central-1' "
        "FORMAT AS PARQUET"
    )
    assert render_copy("t", STORE, "a", "arn:aws:iam::1:role/r") == (
        "COPY t FROM 's3://lake/raw/a' IAM_ROLE 'arn:aws:iam::1:role/r' "
        "REGION 'eu-central-1' FORMAT AS PARQUET"
    )


def test_unload_writes_a_folder() -> None:
    assert render_unload("SELECT 'it''s \\ ' AS a;", OPEN, "out/") == (
        "UNLOAD ('SELECT ''it''''s \\\\ '' AS a') TO 's3://lake/out/part-' "
        "IAM_ROLE default FORMAT AS PARQUET"
    )


def test_a_temporary_login_is_made_by_iam(cluster: str) -> None:
    user, password = find_login(RedshiftOptions(cluster=cluster), "reader", "dev", "Redshift")
    assert user == "IAM:reader"
    assert password


def test_a_login_that_is_refused_says_why(cluster: str) -> None:
    with pytest.raises(OurError, match=r"issued no temporary credentials.*nowhere"):
        find_login(RedshiftOptions(cluster="nowhere"), "reader", "dev", "Redshift")


def test_an_access_without_a_login_says_why(cluster: str) -> None:
    engine = create_engine("postgresql+psycopg://reader@h/dev", poolclass=NullPool)
    driver = RedshiftDriver("Redshift", engine, RedshiftOptions(cluster="nowhere"))
    with pytest.raises(DatabaseDenied, match=r"issued no temporary credentials.*nowhere"):
        driver.make_access()


def test_each_connection_has_a_login_of_its_own(cluster: str, postgres_url: str) -> None:
    """The login is moto's; the server is one of PostgreSQL, which knows its user."""
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute('CREATE ROLE "IAM:reader" LOGIN')
        try:
            url = make_url(postgres_url).set(drivername="postgresql+psycopg", username="reader")
            url = url.update_query_dict({"sslmode": "prefer"})
            engine = create_engine(url, poolclass=NullPool)
            driver = RedshiftDriver("Redshift", engine, RedshiftOptions(cluster=cluster))
            connection = driver.connect()
            [(user,)] = driver.query(connection, "SELECT current_user", ()).fetchmany(1)
            assert user == "IAM:reader"
            access = driver.make_access()
            assert (access.user, access.refresh) == ("IAM:reader", driver.make_access)
            assert access.options == {"sslmode": "prefer"}
            assert driver.copy_from(connection, "t", StoreAccess("gs", "b"), ["a"]) is None
            with pytest.raises(OurError) as caught:
                driver.copy_from(connection, "t", STORE, ["a"])
            assert not [s for s in LOGIN.values() if s.get_secret_value() in str(caught.value)]
            driver.disconnect(connection)
        finally:
            admin.execute('DROP ROLE "IAM:reader"')


def test_the_dialect_is_a_package_of_its_own() -> None:
    with (
        SqlAlchemyConnector(connection_info="redshift+redshift_connector://h/dev") as database,
        pytest.raises(ConfigurationError, match="install the package of its dialect"),
    ):
        database.fetch_one("SELECT 1")
