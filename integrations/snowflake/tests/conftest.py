"""A Snowflake of this machine; or with `--live` an account of yours.

Live, the login is the connector's default connection (``connections.toml``), and
FLOWSTONE_SNOWFLAKE_DATABASE and FLOWSTONE_SNOWFLAKE_WAREHOUSE say where. Each test makes a schema
of its own there, and drops it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from tests.services.snowflake import ACCOUNT, PASSWORD, USER, Snowflake

from flowstone.testing import flowstone_test_harness
from flowstone_snowflake import SnowflakeConnector, SnowflakeCredentials

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def live(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--live"))


@pytest.fixture(autouse=True)
def _home() -> Iterator[None]:
    with flowstone_test_harness():
        yield


@pytest.fixture(autouse=True)
def no_login_of_yours(live: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the developer's own set-up of Snowflake is seen by a test."""
    if live:
        return
    for name in [name for name in os.environ if name.startswith("SNOWFLAKE_")]:
        monkeypatch.delenv(name)
    # Or each login would ask this machine's network which cloud it is in.
    monkeypatch.setenv("SNOWFLAKE_DISABLE_PLATFORM_DETECTION", "true")


@pytest.fixture
def emulated(live: bool, request: pytest.FixtureRequest) -> Snowflake:
    """The emulator, for tests of what an account can't be asked for."""
    if live:
        pytest.skip("only against the emulator")
    found: Snowflake = request.getfixturevalue("snowflake")
    return found


@pytest.fixture
def login(live: bool, request: pytest.FixtureRequest) -> SnowflakeCredentials:
    if live:
        return SnowflakeCredentials()
    service: Snowflake = request.getfixturevalue("snowflake")
    return SnowflakeCredentials(
        account=ACCOUNT,
        user=USER,
        password=PASSWORD,
        server_url=service.url,
        login_timeout_seconds=5,
    )


@pytest.fixture
def database(live: bool, login: SnowflakeCredentials) -> Iterator[SnowflakeConnector]:
    """A schema that is empty and fresh."""
    name = f"T{uuid4().hex[:16].upper()}"
    connector = SnowflakeConnector(
        credentials=login,
        database=os.environ["FLOWSTONE_SNOWFLAKE_DATABASE"] if live else name,
        warehouse=os.environ["FLOWSTONE_SNOWFLAKE_WAREHOUSE"] if live else "TESTING",
        schema_=name if live else "PUBLIC",
    )
    if live:
        connector.execute(f"CREATE SCHEMA {name}")
    with connector:
        yield connector
        if live:
            connector.execute(f"DROP SCHEMA {name}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What logs in needs the emulator, which is started while a test runs: it counts as slow."""
    for item in items:
        if item.path.is_relative_to(HERE) and "login" in getattr(item, "fixturenames", ()):
            item.add_marker("slow")
