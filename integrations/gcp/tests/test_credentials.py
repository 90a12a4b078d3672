"""What credentials make of their fields; `test_logins` has each way to log in."""

from __future__ import annotations

from typing import Any

import pytest

from flowstone.errors import BlockInvalid, CredentialsError
from flowstone_gcp import GcpCredentials, GcsBucket

Key = dict[str, str]


def test_the_project_is_found(key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    by_key = GcpCredentials(service_account_info=key)
    assert by_key.find_project() == by_key.client().project == "example-project"
    other = GcpCredentials(service_account_info=key, project="other")
    assert other.client().project == "other"
    assert by_key.get_cloud_storage_client(project="third").project == "third"
    assert GcpCredentials(anonymous=True).find_project() is None
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "around")
    assert GcpCredentials(anonymous=True).find_project() == "around"


def test_the_emulator_of_the_environment_needs_no_login(
    emulated: str, bucket_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulated)
    bucket = GcsBucket(bucket=bucket_name)
    assert bucket.write_path("a", b"1") == "a"
    assert bucket.read_path("a") == b"1"
    assert GcpCredentials().check().ok


def test_equal_logins_share_their_clients(key: Key) -> None:
    one, same = GcpCredentials(service_account_info=key), GcpCredentials(service_account_info=key)
    assert one.client("storage") is same.get_client("cloud_storage")
    assert one.client() is not GcpCredentials(service_account_info=key, project="p").client()


def test_clients_of_other_services_are_shared_by_their_address(key: Key) -> None:
    login = GcpCredentials(service_account_info=key)
    assert login.get_secret_manager_client() is login.client("secret_manager")
    nearby = "https://secretmanager.europe-west3.rep.googleapis.com"
    regional = login.client("secret_manager", endpoint=nearby)
    assert regional is login.client("secret_manager", endpoint=nearby)
    assert regional is not login.client("secret_manager")


@pytest.mark.parametrize(
    "name",
    ["job_service", "job_service_async"],
)
def test_clients_that_are_not_here_are_refused_with_the_way_to_make_them(name: str) -> None:
    login = GcpCredentials(anonymous=True)
    for ask in (lambda: login.get_client(name), getattr(login, f"get_{name}_client")):
        with pytest.raises(CredentialsError, match=f"{name}.*get_credentials"):
            ask()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"service_account_info": "no json"}, "not a JSON object"),
        ({"service_account_info": "[1]"}, "not a JSON object"),
        ({"service_account_info": {"type": "new"}}, "'new'"),
        ({"service_account_info": {"type": "service_account"}}, "incomplete or malformed"),
        ({"service_account_file": "/no/such/key.json"}, "/no/such/key.json"),
        ({"service_account_file": "/"}, "can't be read"),
        ({"service_account_file": "a", "service_account_info": "{}"}, "both set"),
        ({"anonymous": True, "service_account_info": "{}"}, "anonymous"),
        ({}, "no credentials were found"),
    ],
)
def test_bad_logins_say_what_is_wrong(fields: dict[str, Any], words: str, live: bool) -> None:
    if live and not fields:
        pytest.skip("there is a login")
    with pytest.raises(CredentialsError, match=words):
        GcpCredentials(**fields).get_credentials()


@pytest.mark.parametrize("endpoint", ["localhost:4443", "http://me:secret@localhost"])
def test_an_endpoint_is_a_url_without_a_login(endpoint: str) -> None:
    with pytest.raises(BlockInvalid) as caught:
        GcpCredentials(endpoint=endpoint)
    assert "secret" not in str(caught.value)
