"""Each way to log in, one row of one test: Google's token services are on this machine.

The SDK finds them by its own variables and by those of any HTTPS client; nothing is patched.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import subprocess
import sys
from base64 import urlsafe_b64decode
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.services.proxy import Proxy
from tests.services.tokens import MACHINE, Tokens

from flowstone.errors import CredentialsError
from flowstone.records.access import DatabaseAccess
from flowstone_gcp import BigQueryWarehouse, GcpCredentials

Fields = dict[str, Any]
LOADER = "loader@example-project.iam.gserviceaccount.com"
FIRST, SECOND, LAST = (f"{name}@example-project.iam.gserviceaccount.com" for name in "abc")
IAM = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts"
READ_ONLY = "https://www.googleapis.com/auth/devstorage.read_only"
USER = {
    "type": "authorized_user",
    "client_id": "client-of-a-person",
    "client_secret": "secret-of-a-person",
    "refresh_token": "refresh-of-a-person",
}


@dataclass
class Place:
    """Where a row logs in.

    Attributes:
        environment: variables that the row sets.
    """

    key: dict[str, str]
    tokens: Tokens
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def write(self, name: str, content: object) -> str:
        path = self.folder / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)


@dataclass(frozen=True)
class Row:
    """A way to log in.

    Attributes:
        make: returns the fields of `GcpCredentials`.
        who: what the check says of the login.
        asks: ends of paths that are asked for, in this order.
        in_child: whether the SDK reads the variables as it is imported.
    """

    make: Callable[[Place], Fields]
    who: str
    asks: tuple[str, ...]
    in_child: bool = False


def with_default_key(place: Place) -> Fields:
    place.environment["GOOGLE_APPLICATION_CREDENTIALS"] = place.write("adc.json", place.key)
    return {}


def with_user_of_gcloud(place: Place) -> Fields:
    place.write("application_default_credentials.json", USER)
    place.environment["CLOUDSDK_CONFIG"] = str(place.folder)
    place.environment["GOOGLE_CLOUD_PROJECT"] = "example-project"
    return {}


def on_a_machine(place: Place) -> Fields:
    host = place.tokens.url.removeprefix("http://")
    place.environment |= {"GCE_METADATA_HOST": host, "GCE_METADATA_IP": host, "NO_GCE_CHECK": ""}
    return {}


def with_workload(place: Place, source: object, **more: object) -> Fields:
    pool = "projects/1/locations/global/workloadIdentityPools/p/providers/q"
    info = {
        "type": "external_account",
        "audience": f"//iam.googleapis.com/{pool}",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": f"{place.tokens.url}/v1/token",
        "credential_source": source,
        **more,
    }
    return {"service_account_info": info, "project": "example-project"}


def with_workload_file(place: Place, **more: object) -> Fields:
    return with_workload(place, {"file": place.write("token", "token-of-the-workload")}, **more)


def with_workload_url(place: Place) -> Fields:
    form = {"type": "json", "subject_token_field_name": "access_token"}
    return with_workload(place, {"url": f"{place.tokens.url}/of-the-workload", "format": form})


def with_workload_executable(place: Place) -> Fields:
    answer = {
        "version": 1,
        "success": True,
        "token_type": "urn:ietf:params:oauth:token-type:jwt",
        "id_token": "token-of-the-workload",
        "expiration_time": 4102444800,
    }
    place.write("token.json", answer)
    script = place.write("token.py", f"print(open({str(place.folder / 'token.json')!r}).read())")
    place.environment["GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES"] = "1"
    command = f"{sys.executable} {script}"
    return with_workload(place, {"executable": {"command": command, "timeout_millis": 20000}})


def with_workload_on_aws(place: Place) -> Fields:
    place.environment |= {
        "AWS_ACCESS_KEY_ID": "AKIAFLOWSTONETESTKEY",
        "AWS_SECRET_ACCESS_KEY": "secret-of-aws",
        "AWS_REGION": "eu-west-1",
    }
    check = "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15"
    source = {"environment_id": "aws1", "regional_cred_verification_url": check}
    kind = "urn:ietf:params:aws:token-type:aws4_request"
    return with_workload(place, source, subject_token_type=kind)


def with_workload_that_impersonates(place: Place) -> Fields:
    where = f"{place.tokens.url}/v1/projects/-/serviceAccounts/{LAST}:generateAccessToken"
    return with_workload_file(place, service_account_impersonation_url=where)


def with_impersonated_info(place: Place) -> Fields:
    info = {
        "type": "impersonated_service_account",
        "service_account_impersonation_url": f"{IAM}/{LAST}:generateAccessToken",
        "source_credentials": USER,
    }
    return {"service_account_info": info, "project": "example-project"}


def with_chain(place: Place) -> Fields:
    return {"service_account_info": place.key, "impersonation_chain": [FIRST, SECOND, LAST]}


def with_chain_of_a_user(place: Place) -> Fields:
    return {**with_user_of_gcloud(place), "impersonation_chain": LAST}


def with_chain_on_a_machine(place: Place) -> Fields:
    return {**on_a_machine(place), "impersonation_chain": LAST}


OF_MACHINE = ("/", "/project-id", "/service-accounts/default/", "/default/token")
ROWS = {
    "key_as_dict": Row(lambda place: {"service_account_info": place.key}, LOADER, ("/token",)),
    "key_as_json": Row(
        lambda place: {"service_account_info": json.dumps(place.key)}, LOADER, ("/token",)
    ),
    "key_in_a_file": Row(
        lambda place: {"service_account_file": place.write("key.json", place.key)},
        LOADER,
        ("/token",),
    ),
    "default_key": Row(with_default_key, LOADER, ("/token",)),
    "default_user": Row(with_user_of_gcloud, "application default credentials", ("/token",)),
    "default_machine": Row(on_a_machine, MACHINE, OF_MACHINE, in_child=True),
    "user_as_dict": Row(
        lambda _: {"service_account_info": USER, "project": "example-project"},
        "a key",
        ("/token",),
    ),
    "workload_file": Row(with_workload_file, "a key", ("/v1/token",)),
    "workload_url": Row(with_workload_url, "a key", ("/of-the-workload", "/v1/token")),
    "workload_executable": Row(with_workload_executable, "a key", ("/v1/token",)),
    "workload_on_aws": Row(with_workload_on_aws, "a key", ("/v1/token",)),
    "workload_impersonating": Row(
        with_workload_that_impersonates, LAST, ("/v1/token", f"{LAST}:generateAccessToken")
    ),
    "impersonated_as_dict": Row(
        with_impersonated_info, LAST, ("/token", f"{LAST}:generateAccessToken")
    ),
    "chain_of_a_key": Row(
        with_chain, f"{LAST}, impersonated", ("/token", f"{LAST}:generateAccessToken")
    ),
    "chain_of_a_user": Row(
        with_chain_of_a_user, f"{LAST}, impersonated", ("/token", f"{LAST}:generateAccessToken")
    ),
    "chain_on_a_machine": Row(
        with_chain_on_a_machine,
        f"{LAST}, impersonated",
        (*OF_MACHINE, f"{LAST}:generateAccessToken"),
        in_child=True,
    ),
    "scopes": Row(
        lambda place: {"service_account_info": place.key, "scopes": [READ_ONLY]},
        LOADER,
        ("/token",),
    ),
    "quota_project": Row(
        lambda place: {"service_account_info": place.key, "quota_project": "paying"},
        LOADER,
        ("/token",),
    ),
    "anonymous": Row(
        lambda _: {"anonymous": True, "project": "example-project"}, "no credentials", ()
    ),
}


@pytest.fixture
def place(key: dict[str, str], googleapis: Tokens, tmp_path: Path) -> Place:
    return Place(key, googleapis, tmp_path)


def use(fields: dict[str, Any], bucket_name: str) -> dict[str, Any]:
    from flowstone_gcp import GcpCredentials, GcsBucket

    login = GcpCredentials(**fields)
    check = login.check()
    bucket = GcsBucket(bucket=bucket_name, gcp_credentials=login)
    bucket.write_path("a", b"1")
    read = [bucket.read_path("a").decode() for _ in range(2)]
    found = {"ok": check.ok, "reason": check.reason, "project": login.find_project()}
    return {**found, "read": read}


def use_in_child(fields: Fields, bucket_name: str) -> dict[str, Any]:
    code = (
        f"from __future__ import annotations\nimport json, sys\n{inspect.getsource(use)}\n"
        "print(json.dumps(use(*json.load(sys.stdin))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps([fields, bucket_name]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.returncode, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def log_in(
    row: Row, place: Place, monkeypatch: pytest.MonkeyPatch, endpoint: str, bucket_name: str
) -> dict[str, Any]:
    fields = {"endpoint": endpoint, **row.make(place)}
    for name, value in place.environment.items():
        monkeypatch.setenv(name, value)
    return (use_in_child if row.in_child else use)(fields, bucket_name)


def find_tokens(requests: bytes) -> list[str]:
    """Return the tokens that Cloud Storage was shown, in order."""
    return [found.decode() for found in re.findall(rb"(?i)\bauthorization: Bearer (\S+)", requests)]


@pytest.mark.parametrize(
    "seconds",
    [
        pytest.param(3600, id="one_token"),
        pytest.param(1, id="short_tokens", marks=pytest.mark.check),
    ],
)
@pytest.mark.parametrize("name", ROWS)
def test_each_login_gets_tokens_and_works(
    name: str,
    seconds: int,
    place: Place,
    monkeypatch: pytest.MonkeyPatch,
    emulated: str,
    bucket_name: str,
) -> None:
    """Where tokens last a second, which is too short to be used twice, each request has its own."""
    row, tokens = ROWS[name], place.tokens
    tokens.given.clear()
    tokens.asked.clear()
    tokens.seconds = seconds
    with Proxy(emulated) as proxy:
        found = log_in(row, place, monkeypatch, proxy.url, bucket_name)
        requests = bytes(proxy.seen[0])
    shown = find_tokens(requests)
    assert found["ok"], found["reason"]
    assert found["read"] == ["1", "1"]
    assert found["project"] == "example-project"
    assert row.who in found["reason"]
    assert not [token for token in tokens.given if token in found["reason"]]
    paths = iter([asked.path for asked in tokens.asked])
    assert not [end for end in row.asks if not any(path.endswith(end) for path in paths)]
    assert set(shown) <= set(tokens.given)
    if not row.asks:
        assert not shown
    elif seconds == 1:
        assert len(set(shown)) >= 3
    else:
        assert len(shown) >= 3


def test_what_tokens_are_for_reaches_google(
    place: Place, monkeypatch: pytest.MonkeyPatch, emulated: str, bucket_name: str
) -> None:
    log_in(ROWS["scopes"], place, monkeypatch, emulated, bucket_name)
    claims = place.tokens.asked[-1].body["assertion"].split(".")[1]
    assert json.loads(urlsafe_b64decode(f"{claims}=="))["scope"] == READ_ONLY


def test_each_account_of_a_chain_reaches_google(
    place: Place, monkeypatch: pytest.MonkeyPatch, emulated: str, bucket_name: str
) -> None:
    log_in(ROWS["chain_of_a_key"], place, monkeypatch, emulated, bucket_name)
    last = place.tokens.asked[-1]
    assert last.host.startswith("iamcredentials.googleapis.com")
    delegates = [f"projects/-/serviceAccounts/{name}" for name in (FIRST, SECOND)]
    assert last.body["delegates"] == delegates
    assert last.body["scope"] == ["https://www.googleapis.com/auth/cloud-platform"]


def test_who_pays_reaches_cloud_storage(
    place: Place, monkeypatch: pytest.MonkeyPatch, emulated: str, bucket_name: str
) -> None:
    with Proxy(emulated) as proxy:
        log_in(ROWS["quota_project"], place, monkeypatch, proxy.url, bucket_name)
        requests = bytes(proxy.seen[0]).lower()
    assert requests.count(b"x-goog-user-project: paying") == requests.count(b"authorization: ")


def test_who_may_not_impersonate_is_told_which_role_is_missing(
    place: Place,
) -> None:
    place.tokens.denied.add(LAST)
    login = GcpCredentials(service_account_info=place.key, impersonation_chain=LAST)
    with pytest.raises(CredentialsError, match=r"roles/iam\.serviceAccountTokenCreator") as caught:
        login.get_access_token()
    assert LAST in str(caught.value)
    assert "denied on resource" in str(caught.value)


def make_access(fields: Fields, **settings: Any) -> DatabaseAccess:
    return BigQueryWarehouse(gcp_credentials=GcpCredentials(**fields), **settings).access()


def test_the_access_of_a_key_is_the_key(place: Place) -> None:
    access = make_access(
        {"service_account_info": place.key, "impersonation_chain": [LAST]},
        dataset="other.shop",
        location="EU",
        maximum_bytes_billed=10,
    )
    assert (access.dialect, access.database, access.refresh) == ("bigquery", "other", None)
    assert json.loads(access.reveal("service_account_key") or "") == place.key
    assert access.options == {
        "dataset": "shop",
        "location": "EU",
        "priority": "INTERACTIVE",
        "maximum_bytes_billed": "10",
        "scopes": "https://www.googleapis.com/auth/cloud-platform",
        "impersonate_service_account": LAST,
    }
    assert GcpCredentials(service_account_info=place.key).access().database == "example-project"


def test_the_access_of_a_user_is_the_refresh_token() -> None:
    access = GcpCredentials(service_account_info=USER, project="p", quota_project="paying").access()
    assert access.reveal("refresh_token") == USER["refresh_token"]
    assert access.reveal("client_secret") == USER["client_secret"]
    assert access.options["client_id"] == USER["client_id"]
    assert access.options["quota_project"] == "paying"
    assert USER["client_secret"] not in repr(access)


@pytest.mark.parametrize("make", [with_chain, with_workload_file])
def test_the_access_of_other_logins_is_a_token(
    place: Place, make: Callable[[Place], Fields]
) -> None:
    access = make_access(make(place))
    assert access.reveal("access_token")
    assert set(access.secrets) == {"access_token"}
    assert "impersonate_service_account" not in access.options
    assert access.refresh is not None
    assert access.refresh().reveal("access_token")


def test_the_access_of_the_default_login_is_left_to_the_tool() -> None:
    access = asyncio.run(GcpCredentials(project="p").aaccess())
    assert (access.database, access.secrets) == ("p", {})


def test_an_anonymous_login_gives_no_access() -> None:
    with pytest.raises(CredentialsError, match="remove anonymous=True"):
        make_access({"anonymous": True})
