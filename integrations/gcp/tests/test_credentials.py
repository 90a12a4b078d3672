"""Each way to log in, one test a row; the token services are on loopback, as the SDK allows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.services.tokens import Tokens

from flowstone.errors import BlockInvalid, CredentialsError
from flowstone_gcp import GcpCredentials, GcsBucket

Key = dict[str, str]
Row = Callable[[Key, Tokens, Path, pytest.MonkeyPatch], dict[str, Any]]


def by_info(key: Key, tokens: Tokens, folder: Path, _: pytest.MonkeyPatch) -> dict[str, Any]:
    return {"service_account_info": key}


def by_text(key: Key, tokens: Tokens, folder: Path, _: pytest.MonkeyPatch) -> dict[str, Any]:
    return {"service_account_info": json.dumps(key)}


def by_file(key: Key, tokens: Tokens, folder: Path, _: pytest.MonkeyPatch) -> dict[str, Any]:
    (folder / "key.json").write_text(json.dumps(key))
    return {"service_account_file": folder / "key.json"}


def by_default(key: Key, tokens: Tokens, folder: Path, m: pytest.MonkeyPatch) -> dict[str, Any]:
    (folder / "adc.json").write_text(json.dumps(key))
    m.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(folder / "adc.json"))
    return {}


def by_workload(key: Key, tokens: Tokens, folder: Path, _: pytest.MonkeyPatch) -> dict[str, Any]:
    (folder / "token").write_text("token-of-the-workload")
    pool = "projects/1/locations/global/workloadIdentityPools/p/providers/q"
    info = {
        "type": "external_account",
        "audience": f"//iam.googleapis.com/{pool}",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": f"{tokens.url}/v1/token",
        "credential_source": {"file": str(folder / "token")},
    }
    return {"service_account_info": info, "project": "example-project"}


def by_impersonation(
    key: Key, tokens: Tokens, folder: Path, m: pytest.MonkeyPatch
) -> dict[str, Any]:
    found = by_workload(key, tokens, folder, m)
    where = f"{tokens.url}/v1/projects/-/serviceAccounts/b@p.iam.gserviceaccount.com"
    found["service_account_info"]["service_account_impersonation_url"] = (
        f"{where}:generateAccessToken"
    )
    return found


@pytest.mark.parametrize(
    "row", [by_info, by_text, by_file, by_default, by_workload, by_impersonation]
)
def test_each_login_gets_tokens_and_works(
    row: Row,
    key: Key,
    tokens: Tokens,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    emulated: str,
) -> None:
    login = GcpCredentials(endpoint=emulated, **row(key, tokens, tmp_path, monkeypatch))
    check = login.check()
    assert check.ok, check.reason
    assert login.find_project() == "example-project"
    assert tokens.given
    assert login.get_access_token() in tokens.given
    assert not [token for token in tokens.given if token in check.reason]


def test_a_login_outlives_its_first_token(
    key: Key, tokens: Tokens, emulated: str, bucket_name: str
) -> None:
    tokens.seconds = 1  # less than what the SDK takes for good enough
    login = GcpCredentials(service_account_info=key, endpoint=emulated, project="another")
    bucket = GcsBucket(bucket=bucket_name, gcp_credentials=login)
    before = len(tokens.given)
    for number in range(3):
        bucket.write_path("a", b"%d" % number)
    assert len(tokens.given) - before >= 3
    assert bucket.read_path("a") == b"2"


def test_logins_that_only_google_answers_are_made(key: Key) -> None:
    """The SDK has the addresses of these token services inside: `--live` asks them."""
    names = ("client_id", "client_secret", "refresh_token")
    person = {"type": "authorized_user", **{name: f"{name}-of-a-person" for name in names}}
    made: Any = GcpCredentials(service_account_info=person).get_credentials()
    assert made.refresh_token == "refresh_token-of-a-person"
    where = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/b@p.com"
    info = {
        "type": "impersonated_service_account",
        "service_account_impersonation_url": f"{where}:generateAccessToken",
        "source_credentials": key,
    }
    made = GcpCredentials(service_account_info=info).get_credentials()
    assert made.service_account_email == "b@p.com"


def test_a_chain_of_service_accounts_is_told_to_the_sdk(key: Key) -> None:
    login = GcpCredentials(
        service_account_info=key, impersonation_chain="a@p.com, b@p.com, c@p.com"
    )
    assert login.impersonation_chain == ["a@p.com", "b@p.com", "c@p.com"]
    made: Any = login.get_credentials()
    assert made.service_account_email == made.signer_email == "c@p.com"
    assert login._login().who() == "service account c@p.com, impersonated by a key"


def test_scopes_and_the_paying_project_reach_the_sdk(key: Key) -> None:
    scope = "https://www.googleapis.com/auth/devstorage.read_only"
    made: Any = GcpCredentials(
        service_account_info=key, scopes=[scope], quota_project="paying"
    ).get_credentials()
    assert list(made.scopes) == [scope]
    assert made.quota_project_id == "paying"


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


@pytest.mark.parametrize(
    "name",
    ["bigquery", "secret_manager", "job_service", "job_service_async"],
)
def test_clients_that_are_not_here_are_refused_with_the_way_to_make_them(name: str) -> None:
    login = GcpCredentials(anonymous=True)
    for ask in (lambda: login.get_client(name), getattr(login, f"get_{name}_client")):
        with pytest.raises(CredentialsError, match=f"{name}.*get_credentials"):
            ask()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"service_account_info": "no json"}, "no JSON object"),
        ({"service_account_info": "[1]"}, "no JSON object"),
        ({"service_account_info": {"type": "new"}}, "'new'"),
        ({"service_account_info": {"type": "service_account"}}, "not whole"),
        ({"service_account_file": "/no/such/key.json"}, "/no/such/key.json"),
        ({"service_account_file": "/"}, "can't be read"),
        ({"service_account_file": "a", "service_account_info": "{}"}, "both set"),
        ({"anonymous": True, "service_account_info": "{}"}, "anonymous"),
        ({}, "no login was found"),
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
