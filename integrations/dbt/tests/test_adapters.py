"""Targets in dbt's adapters: accepted credentials, and `dbt debug`."""

from __future__ import annotations

import base64
import json
import logging
import os
import subprocess
import sys
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from dbt.adapters.snowflake.auth import private_key_from_string
from dbt.adapters.snowflake.connections import SnowflakeCredentials as DbtLogin
from pydantic import SecretStr
from sqlalchemy import make_url
from tests.services.snowflake import ACCOUNT, PASSWORD, USER, Snowflake

from flowstone.blocks import Block
from flowstone.errors import ConfigurationError
from flowstone.records.access import DatabaseAccess
from flowstone_dbt import (
    BigQueryTargetConfigs,
    DbtCliProfile,
    DuckDBTargetConfigs,
    GlobalConfigs,
    PostgresTargetConfigs,
    SnowflakeTargetConfigs,
    make_target,
    open_profile,
)
from flowstone_duckdb import DuckDBDatabase
from flowstone_gcp import BigQueryWarehouse, GcpCredentials
from flowstone_snowflake import SnowflakeConnector, SnowflakeCredentials
from flowstone_sqlalchemy import SqlAlchemyConnector

from .test_profiles import render

if TYPE_CHECKING:
    from pathlib import Path

# The adapter mutes them when it is imported, for all tests of the process.
for name in ("snowflake.connector", "botocore", "boto3"):
    logging.getLogger(name).setLevel(logging.NOTSET)

#: The output of a successful `dbt debug`.
WELL = "All checks passed!"


# -- dbt debug -----------------------------------------------------------------------------------


def debug(profile: DbtCliProfile, folder: Path) -> tuple[int, str]:
    """Run `dbt debug` with a profile; return its exit code and output."""
    project = folder / "project"
    project.mkdir()
    # dbt refuses flags in both a project and a profiles.yml.
    (project / "dbt_project.yml").write_text(
        "name: shop\nprofile: shop\nflags: {send_anonymous_usage_stats: false}\n"
    )
    made = profile.make_profile()
    command = [sys.executable, "-m", "dbt.cli.main", "debug"]
    with open_profile(made) as profiles:
        done = subprocess.run(
            [*command, "--profiles-dir", str(profiles), "--project-dir", str(project)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **made.reveal_environment()},
        )
    log = (project / "logs/dbt.log").read_text()
    return done.returncode, done.stdout + done.stderr + log


@pytest.mark.slow
def test_dbt_reaches_a_file_of_duckdb(tmp_path: Path) -> None:
    path = tmp_path / "shop.duckdb"
    with DuckDBDatabase(path=str(path), config={"threads": 2}) as database:
        database.execute("CREATE TABLE orders (id INTEGER)")
    configs = DuckDBTargetConfigs(credentials=database)
    flags = GlobalConfigs(use_colors=False, printer_width=60)
    profile = DbtCliProfile(name="shop", target="dev", target_configs=configs, global_configs=flags)
    code, said = debug(profile, tmp_path)
    assert (code, WELL in said) == (0, True), said
    assert f"path: {path}" in said
    assert "\x1b[0m" not in said


@pytest.mark.slow
def test_dbt_reads_a_file_of_duckdb_that_is_read_only(tmp_path: Path) -> None:
    path = str(tmp_path / "shop.duckdb")
    DuckDBDatabase(path=path).execute("CREATE TABLE orders (id INTEGER)")
    configs = DuckDBTargetConfigs(credentials=DuckDBDatabase(path=path, read_only=True))
    profile = DbtCliProfile(name="shop", target="dev", target_configs=configs)
    code, said = debug(profile, tmp_path)
    assert (code, WELL in said) == (0, True), said


@pytest.mark.slow
def test_dbt_reaches_postgres_without_a_password(tmp_path: Path, postgres: str) -> None:
    database = SqlAlchemyConnector(
        connection_info=postgres,
        connect_args={"options": "-c search_path=a,public -c role=postgres"},
    )
    configs = PostgresTargetConfigs(schema_="shop", credentials=database)
    profile = DbtCliProfile(name="shop", target="dev", target_configs=configs)
    code, said = debug(profile, tmp_path)
    assert (code, WELL in said) == (0, True), said
    assert "search_path: a,public" in said


@pytest.mark.slow
def test_dbt_reaches_postgres_and_shows_no_password(tmp_path: Path, postgres: str) -> None:
    canary = f"canary-{token_hex(12)}-{{{{ x }}}}"
    url = make_url(postgres).set(password=canary).render_as_string(hide_password=False)
    configs = PostgresTargetConfigs(
        schema_="shop", credentials=SqlAlchemyConnector(connection_info=url)
    )
    profile = DbtCliProfile(name="shop", target="dev", target_configs=configs)
    code, said = debug(profile, tmp_path)
    assert (code, WELL in said) == (0, True), said
    assert canary not in said


@pytest.mark.slow
def test_dbt_reaches_snowflake_and_shows_no_password(
    tmp_path: Path, snowflake: Snowflake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The emulator checks passwords."""
    monkeypatch.setenv("SNOWFLAKE_DISABLE_PLATFORM_DETECTION", "true")
    login = SnowflakeCredentials(
        account=ACCOUNT, user=USER, password=SecretStr(PASSWORD), server_url=snowflake.url
    )
    connector = SnowflakeConnector(
        credentials=login, database="SHOP", warehouse="TESTING", schema_="PUBLIC"
    )
    configs = SnowflakeTargetConfigs(connector=connector, extras={"connect_timeout": 5})
    profile = DbtCliProfile(name="shop", target="dev", target_configs=configs)
    code, said = debug(profile, tmp_path)
    assert (code, WELL in said) == (0, True), said
    assert PASSWORD not in said


# -- Snowflake -----------------------------------------------------------------------------------


def make_key(passphrase: str | None = None, *, as_der: bool = False) -> tuple[str, int]:
    """Return a new private key as text, and its modulus."""
    key = rsa.generate_private_key(65537, 2048)
    encryption = (
        serialization.BestAvailableEncryption(passphrase.encode())
        if passphrase
        else serialization.NoEncryption()
    )
    encoding = serialization.Encoding.DER if as_der else serialization.Encoding.PEM
    content = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, encryption)
    text = base64.b64encode(content).decode() if as_der else content.decode()
    return text, key.private_numbers().public_numbers.n


def log_in_to_snowflake(**login: Any) -> Any:
    """Return the adapter's credentials for those of a block."""
    credentials = SnowflakeCredentials(account="acme-prod", **login)
    connector = SnowflakeConnector(
        credentials=credentials, database="SALES", warehouse="LOADING", schema_="PUBLIC", role="R"
    )
    fields = render(SnowflakeTargetConfigs(connector=connector).make_target())
    assert fields.pop("type") == "snowflake"
    assert fields.pop("threads") == 4
    DbtLogin.validate(fields)
    made: Any = DbtLogin.from_dict(fields)
    assert (made.account, made.database, made.schema) == ("acme-prod", "SALES", "PUBLIC")
    assert (made.warehouse, made.role) == ("LOADING", "R")
    return made


def test_a_password_of_snowflake() -> None:
    made = log_in_to_snowflake(user="loader", password="a-password")
    assert (made.user, made.password, made.authenticator) == ("loader", "a-password", None)


@pytest.mark.parametrize("passphrase", [None, "a-passphrase"])
@pytest.mark.parametrize("as_der", [False, True])
def test_a_key_pair_of_snowflake(passphrase: str | None, as_der: bool) -> None:
    """A known issue of prefect-dbt: a key could not be set."""
    key, modulus = make_key(passphrase, as_der=as_der)
    login = {"private_key_passphrase": passphrase} if passphrase else {}
    made = log_in_to_snowflake(user="loader", private_key=key, **login)
    assert made.private_key is not None
    assert made.private_key.startswith("-----BEGIN")
    assert made.private_key.strip() == key.strip() or as_der
    loaded = private_key_from_string(made.private_key, made.private_key_passphrase)
    assert isinstance(loaded, rsa.RSAPrivateKey)
    assert loaded.private_numbers().public_numbers.n == modulus
    assert made.password is made.authenticator is None


def test_a_key_file_of_snowflake(tmp_path: Path) -> None:
    key, modulus = make_key("a-passphrase")
    (tmp_path / "key.p8").write_text(key)
    made = log_in_to_snowflake(
        user="loader", private_key_path=tmp_path / "key.p8", private_key_passphrase="a-passphrase"
    )
    assert made.private_key is not None
    loaded = private_key_from_string(made.private_key, made.private_key_passphrase)
    assert isinstance(loaded, rsa.RSAPrivateKey)
    assert loaded.private_numbers().public_numbers.n == modulus


@pytest.mark.parametrize("authenticator", ["oauth", "programmatic_access_token"])
def test_a_token_of_snowflake(authenticator: str) -> None:
    made = log_in_to_snowflake(authenticator=authenticator, token="a-token", user="loader")
    assert (made.authenticator, made.token, made.password) == (authenticator, "a-token", None)
    assert made.auth_args()["token"] == "a-token"


def test_other_logins_of_snowflake() -> None:
    okta = "https://acme.okta.com"
    made = log_in_to_snowflake(
        user="loader", password="a-password", authenticator="okta_endpoint", endpoint=okta
    )
    assert (made.authenticator, made.password) == (okta, "a-password")
    made = log_in_to_snowflake(user="loader", authenticator="externalbrowser")
    assert made.authenticator == "externalbrowser"
    made = log_in_to_snowflake(
        authenticator="workload_identity", workload_identity_provider="OIDC", token="a-token"
    )
    args = made.auth_args()
    assert (args["workload_identity_provider"], args["token"]) == ("OIDC", "a-token")
    made = log_in_to_snowflake(
        user="loader", password="a-password", server_url="http://127.0.0.1:8080"
    )
    assert (made.protocol, made.host, made.port) == ("http", "127.0.0.1", 8080)


def test_a_login_that_dbt_does_not_have() -> None:
    with pytest.raises(ConfigurationError, match=r"'oauth_client_credentials'.*set authenticator"):
        log_in_to_snowflake(
            authenticator="oauth_client_credentials",
            oauth_client_id="me",
            oauth_client_secret="a-secret",
            oauth_token_request_url="https://login.example.org/token",
        )


def test_what_dbt_needs_for_snowflake() -> None:
    connector = SnowflakeConnector(credentials=SnowflakeCredentials(user="loader"))
    with pytest.raises(ConfigurationError, match="dbt needs account and database and schema"):
        SnowflakeTargetConfigs(connector=connector).make_target()


# -- BigQuery ------------------------------------------------------------------------------------

#: https://docs.getdbt.com/docs/core/connect-data-platform/bigquery-setup, where dbt-bigquery is
#: not installed. The sections are named by the tests.
KEY = {
    "type": "service_account",
    "project_id": "example-project",
    "private_key_id": "canary-of-an-id",
    "private_key": "-----BEGIN PRIVATE KEY-----\ncanary-of-a-key\n-----END PRIVATE KEY-----\n",
    "client_email": "loader@example-project.iam.gserviceaccount.com",
    "client_id": "1234",
    "token_uri": "https://oauth2.googleapis.com/token",
}
PERSON = {
    "type": "authorized_user",
    "client_id": "client-of-a-person",
    "client_secret": "canary-of-a-client",
    "refresh_token": "canary-of-a-person",
}
SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]


def reach_bigquery(credentials: Block | None, **fields: Any) -> dict[str, Any]:
    """Return the target as dbt renders it; the written file contains no canary."""
    target = BigQueryTargetConfigs(credentials=credentials, **fields).make_target()
    assert "canary" not in repr(target)
    return render(target)


def test_a_service_account_s_key() -> None:
    """Section "Service Account JSON": `method`, `project`, `dataset`, `threads`, `keyfile_json`.

    "Dataset locations": `location`; "Priority": `priority`; "Maximum Bytes Billed":
    `maximum_bytes_billed`; "OAuth 2.0 Scopes for Google APIs": `scopes`.
    """
    warehouse = BigQueryWarehouse(
        gcp_credentials=GcpCredentials(service_account_info=json.dumps(KEY)),
        dataset="shop",
        location="EU",
        priority="BATCH",
        maximum_bytes_billed=10**9,
    )
    assert reach_bigquery(warehouse) == {
        "type": "bigquery",
        "method": "service-account-json",
        "keyfile_json": KEY,
        "project": "example-project",
        "dataset": "shop",
        "location": "EU",
        "priority": "batch",
        "maximum_bytes_billed": 10**9,
        "scopes": SCOPES,
        "threads": 4,
    }


def test_a_key_file_and_another_project(tmp_path: Path) -> None:
    (tmp_path / "key.json").write_text(json.dumps(KEY))
    login = GcpCredentials(service_account_file=tmp_path / "key.json")
    found = reach_bigquery(login, schema_="other", project="another-project")
    assert (found["keyfile_json"], found["project"]) == (KEY, "another-project")
    assert found["dataset"] == "other"


def test_a_refresh_token() -> None:
    """Section "Refresh token": `refresh_token`, `client_id`, `client_secret`, `token_uri`."""
    login = GcpCredentials(service_account_info=json.dumps(PERSON), project="example-project")
    found = reach_bigquery(login, schema_="shop")
    assert found == {
        "type": "bigquery",
        "method": "oauth-secrets",
        "refresh_token": "canary-of-a-person",
        "client_id": "client-of-a-person",
        "client_secret": "canary-of-a-client",
        "token_uri": "https://oauth2.googleapis.com/token",
        "project": "example-project",
        "dataset": "shop",
        "scopes": SCOPES,
        "threads": 4,
    }


def test_impersonation() -> None:
    """Section "Service Account Impersonation": `impersonate_service_account`."""
    login = GcpCredentials(
        service_account_info=json.dumps(KEY), impersonation_chain="a@b.example.com"
    )
    found = reach_bigquery(login, schema_="shop")
    assert found["impersonate_service_account"] == "a@b.example.com"
    assert found["method"] == "service-account-json"


def test_application_default_credentials() -> None:
    """Section "OAuth via gcloud": `method: oauth`; "Default project": none is needed."""
    expected = {"type": "bigquery", "method": "oauth", "dataset": "shop", "threads": 4}
    assert reach_bigquery(None, schema_="shop") == expected
    found = reach_bigquery(GcpCredentials(project="example-project"), schema_="shop")
    assert found == {**expected, "project": "example-project", "scopes": SCOPES}


def test_a_temporary_token() -> None:
    """Section "Temporary token": `method: oauth-secrets` with `token`."""
    secrets = {"access_token": SecretStr("canary-of-a-token")}
    access = DatabaseAccess("bigquery", "example-project", secrets=secrets)
    target = make_target(access, schema="shop")
    assert "canary" not in repr(target)
    found = render(target)
    assert (found["method"], found["token"]) == ("oauth-secrets", "canary-of-a-token")


def test_what_dbt_needs_for_bigquery() -> None:
    with pytest.raises(ConfigurationError, match="dbt needs schema"):
        reach_bigquery(None)
    secrets = {"service_account_key": SecretStr("no canary")}
    with pytest.raises(ConfigurationError, match="not a JSON object") as caught:
        make_target(DatabaseAccess("bigquery", "p", secrets=secrets), schema="s")
    assert "canary" not in str(caught.value)
