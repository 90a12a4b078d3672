"""Logins of BigQuery, what importing it loads, and that secrets stay."""

from __future__ import annotations

import subprocess
import sys
import traceback

import pytest
from tests.services.bigquery import Emulator
from tests.services.tokens import Tokens

from flowstone.errors import DatabaseDenied, DatabaseUnreachable
from flowstone_gcp import BigQueryWarehouse, GcpCredentials
from flowstone_testing import reserve_closed_port


def test_importing_it_loads_no_sdk() -> None:
    program = (
        "import sys; from flowstone_gcp import BigQueryWarehouse, bigquery_query\n"
        "BigQueryWarehouse(dataset='shop').make_driver()\n"
        "print([m for m in ('google', 'grpc', 'pyarrow', 'requests') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_missing_extra_is_told() -> None:
    program = (
        "import sys; sys.modules['google.cloud.bigquery'] = None\n"
        "from flowstone_gcp import BigQueryWarehouse, GcpCredentials\n"
        "login = GcpCredentials(anonymous=True, project='p')\n"
        "for attempt in (BigQueryWarehouse(gcp_credentials=login).fetch_all, login.client):\n"
        "    try:\n"
        "        attempt('SELECT 1' if attempt != login.client else 'bigquery')\n"
        "    except ImportError as error:\n"
        "        print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.count("pip install 'flowstone-gcp[bigquery]'") == 2


def test_a_key_is_used(bigquery: Emulator, key: dict[str, str], tokens: Tokens) -> None:
    login = GcpCredentials(service_account_info=key)
    with BigQueryWarehouse(gcp_credentials=login, endpoint=bigquery.url) as warehouse:
        assert warehouse.fetch_one("SELECT 1") == (1,)
        assert str(warehouse.driver_calls.driver.where) == "BigQuery"
    assert len(tokens.given) == 1


def test_a_refused_key_is_told_without_secrets(
    bigquery: Emulator, key: dict[str, str], refusing: Tokens
) -> None:
    wrong = {**key, "token_uri": f"{refusing.url}/token"}
    login = GcpCredentials(service_account_info=wrong)
    warehouse = BigQueryWarehouse(gcp_credentials=login, endpoint=bigquery.url)
    with pytest.raises(DatabaseDenied, match="refused") as caught:
        warehouse.fetch_all("SELECT 1")
    said = "".join(traceback.format_exception(caught.value)) + repr(vars(caught.value))
    said += repr(warehouse) + warehouse.model_dump_json()
    for secret in (key["private_key_id"], key["private_key"].splitlines()[1]):
        assert secret not in said


def test_a_service_that_can_not_be_reached_is_told(key: dict[str, str]) -> None:
    nowhere = f"http://127.0.0.1:{reserve_closed_port()}"
    login = GcpCredentials(anonymous=True, project="p", timeout_seconds=1.5)
    with pytest.raises(DatabaseUnreachable):
        BigQueryWarehouse(gcp_credentials=login, endpoint=nowhere).fetch_all("SELECT 1")
    lost = {**key, "token_uri": f"{nowhere}/token"}
    login = GcpCredentials(service_account_info=lost, timeout_seconds=1.5)
    with pytest.raises(DatabaseUnreachable):
        BigQueryWarehouse(gcp_credentials=login).fetch_all("SELECT 1")


def test_a_login_without_a_project_is_told() -> None:
    login = GcpCredentials(anonymous=True)
    with pytest.raises(DatabaseDenied, match="no project"):
        BigQueryWarehouse(gcp_credentials=login).fetch_all("SELECT 1")


def test_an_address_with_a_login_in_it_is_refused() -> None:
    for field in ("endpoint", "storage_endpoint"):
        with pytest.raises(ValueError, match="credentials"):
            BigQueryWarehouse.model_validate({field: "http://me:secret@localhost"})
        with pytest.raises(ValueError, match="http"):
            BigQueryWarehouse.model_validate({field: "localhost:9050"})
