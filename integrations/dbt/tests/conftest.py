"""dbt Cloud on this machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.services.dbt_cloud import ACCOUNT, DbtCloud, serve_dbt_cloud

from flowstone_dbt import DbtCloudCredentials


@pytest.fixture(autouse=True)
def no_login_of_yours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the developer's own login to dbt Cloud is seen by a test."""
    for name in ("DBT_CLOUD_TOKEN", "DBT_CLOUD_ACCOUNT_ID", "DBT_CLOUD_HOST_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def cloud() -> Iterator[DbtCloud]:
    with serve_dbt_cloud() as cloud:
        yield cloud


@pytest.fixture
def login(cloud: DbtCloud) -> DbtCloudCredentials:
    return DbtCloudCredentials(
        api_key=cloud.token, account_id=ACCOUNT, domain=cloud.url, timeout_seconds=10
    )
