"""The standard tests, on Snowflake's blocks and plugin."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from secrets import token_hex

import pytest
from tests.services.snowflake import Snowflake

from flowstone.blocks import Credentials, Database
from flowstone_snowflake import SnowflakeConnector, SnowflakeCredentials
from flowstone_testing import (
    BlockSuite,
    CredentialsSuite,
    DatabaseSuite,
    Example,
    PluginSuite,
    TaskSuite,
    reserve_closed_port,
)


class TestPlugin(PluginSuite):
    plugin = "snowflake"
    package = "flowstone_snowflake"
    sdks = ("snowflake", "cryptography", "requests", "pyarrow", "pandas", "polars", "boto3")


class TestSnowflakeCredentials(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[SnowflakeCredentials]:
        return [
            SnowflakeCredentials(),
            SnowflakeCredentials(account="acme-prod", user="loader", password=token_hex(16)),
            SnowflakeCredentials(
                account="acme-prod",
                user="loader",
                private_key=f"-----BEGIN PRIVATE KEY-----\n{token_hex(32)}",
                private_key_passphrase=token_hex(16),
                server_url="https://acme.privatelink.example.com/",
            ),
            SnowflakeCredentials(
                account="acme-prod",
                authenticator="oauth",
                token=token_hex(16),
                role="READER",
                passcode=token_hex(16),
                oauth_client_secret=token_hex(16),
            ),
        ]


class TestSnowflakeConnectorBlock(BlockSuite):
    @pytest.fixture
    def examples(self) -> Sequence[SnowflakeConnector]:
        return [
            SnowflakeConnector(),
            SnowflakeConnector(
                credentials=SnowflakeCredentials(
                    account="acme-prod",
                    password=token_hex(16),
                    private_key=token_hex(16),
                    private_key_passphrase=token_hex(16),
                    token=token_hex(16),
                    passcode=token_hex(16),
                    oauth_client_secret=token_hex(16),
                ),
                database="SALES",
                warehouse="LOADING",
                schema_="PUBLIC",
                secondary_roles="all",
                session_parameters={"TIMEZONE": "UTC"},
            ),
        ]


class TestSnowflakeLogin(CredentialsSuite):
    @pytest.fixture
    def good(self, login: SnowflakeCredentials) -> Credentials:
        return login

    @pytest.fixture
    def refused(self, login: SnowflakeCredentials, emulated: Snowflake) -> Credentials:
        return login.model_copy(update={"password": "a-wrong-password"})

    @pytest.fixture
    def unreachable(self, login: SnowflakeCredentials) -> Credentials:
        nowhere = f"http://127.0.0.1:{reserve_closed_port()}"
        return SnowflakeCredentials(
            account="nowhere",
            user="loader",
            password="a-password",
            server_url=nowhere,
            login_timeout_seconds=1,
        )


@pytest.mark.check
class TestSnowflake(DatabaseSuite):
    savepoints = constraints = False
    count = 1_000_000 if "--soak" in sys.argv else 200_000
    series = "SELECT value::INT AS i FROM TABLE(FLATTEN(ARRAY_GENERATE_RANGE(1, :count + 1)))"

    @pytest.fixture
    def database(self, database: SnowflakeConnector) -> Database:
        return database


class TestTasks(TaskSuite):
    plugin = "snowflake"

    @pytest.fixture
    def examples(
        self, login: SnowflakeCredentials, database: SnowflakeConnector, emulated: Snowflake
    ) -> Mapping[str, Example]:
        def connect() -> SnowflakeConnector:
            return database.model_copy(
                update={"credentials": login.model_copy(update={"login_timeout_seconds": 1})}
            )

        return {
            "snowflake_multiquery": lambda: {
                "queries": ["SELECT 1", "SELECT 2"],
                "snowflake_connector": connect(),
                "as_transaction": True,
            },
            "snowflake_query": lambda: {
                "query": "SELECT ? AS a",
                "snowflake_connector": connect(),
                "params": [1],
            },
            "snowflake_query_sync": lambda: {
                "query": "SELECT 1",
                "snowflake_connector": connect(),
            },
        }
