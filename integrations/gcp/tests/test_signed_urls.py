"""Signed URLs without a private key: IAM signs for an impersonated account, or an error says so."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request, urlopen
from uuid import uuid4

import pytest
from tests.services.tokens import Tokens, sign

from flowstone.errors import CredentialsError, StorageError, Unreachable
from flowstone_gcp import GcpCredentials, GcsBucket

FIRST, LAST = (f"{name}@example-project.iam.gserviceaccount.com" for name in "ab")
IAM = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts"
Fields = dict[str, Any]


@pytest.fixture
def google(googleapis: Tokens, bucket: GcsBucket) -> Tokens:
    """Google's services, of which only the bucket's own login has asked for something."""
    googleapis.asked.clear()
    googleapis.given.clear()
    return googleapis


def make_user() -> dict[str, str]:
    """Return a user's login that no other test has: equal ones share their tokens."""
    names = ("client_id", "client_secret", "refresh_token")
    return {"type": "authorized_user", **{name: f"{name}-{uuid4().hex}" for name in names}}


def with_chain() -> Fields:
    return {"service_account_info": make_user(), "impersonation_chain": [FIRST, LAST]}


def with_configuration() -> Fields:
    info = {
        "type": "impersonated_service_account",
        "service_account_impersonation_url": f"{IAM}/{LAST}:generateAccessToken",
        "delegates": [f"projects/-/serviceAccounts/{FIRST}"],
        "source_credentials": make_user(),
    }
    return {"service_account_info": info}


def reach(bucket: GcsBucket, **fields: Any) -> GcsBucket:
    """Return the same bucket with another login."""
    endpoint = bucket.gcp_credentials.endpoint
    login = GcpCredentials(endpoint=endpoint, project="example-project", **fields)
    return bucket.model_copy(update={"gcp_credentials": login})


@pytest.mark.parametrize("make", [with_chain, with_configuration])
def test_iam_signs_for_an_impersonated_account(
    bucket: GcsBucket, google: Tokens, make: Callable[[], Fields], emulated: str
) -> None:
    url = reach(bucket, **make()).presigned_url("a b/ü", expires_seconds=600)
    asked = google.asked[-1]
    assert asked.host.startswith("iamcredentials.googleapis.com")
    assert asked.path.endswith(f"/serviceAccounts/{LAST}:signBlob")
    assert asked.body["delegates"] == [f"projects/-/serviceAccounts/{FIRST}"]
    # The first token is the user's: who signs is the account before the last one.
    assert asked.token == google.given[0]
    found = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    assert found["X-Goog-Credential"].startswith(f"{LAST}/")
    assert found["X-Goog-Expires"] == "600"
    payload = asked.body["payload"]
    assert b64decode(payload).startswith(b"GOOG4-RSA-SHA256\n")
    assert found["X-Goog-Signature"] == b64decode(sign(LAST, payload)).hex()


def test_such_a_url_reads_and_writes(bucket: GcsBucket, google: Tokens, emulated: str) -> None:
    signing = reach(bucket, **with_chain())
    put = Request(signing.presigned_url("a", method="PUT"), data=b"content", method="PUT")
    urlopen(put).close()
    assert bucket.read_path("a") == b"content"
    with urlopen(signing.presigned_url("a")) as answer:
        assert answer.read() == b"content"


def test_a_login_that_only_signs_asks_for_no_token_of_the_account(
    bucket: GcsBucket, google: Tokens, emulated: str
) -> None:
    """To sign takes the role of the source alone: a login that only signs needs no token."""
    signing = reach(bucket, **with_chain())
    for _ in range(2):
        signing.presigned_url("a")
    ends = [asked.path.rpartition(":")[2] for asked in google.asked]
    assert ends == ["/token", "signBlob", "signBlob"]


def test_who_may_not_sign_is_told_which_role_is_missing(
    bucket: GcsBucket, google: Tokens, emulated: str
) -> None:
    google.denied.add(LAST)
    signing = reach(bucket, **with_chain())
    with pytest.raises(CredentialsError, match=r"roles/iam\.serviceAccountTokenCreator") as caught:
        signing.presigned_url("a")
    assert LAST in str(caught.value)
    assert "iam.serviceAccounts.signBlob" in str(caught.value)
    assert not [token for token in google.given if token in str(caught.value)]


def test_iam_that_fails_is_no_refusal(bucket: GcsBucket, google: Tokens, emulated: str) -> None:
    words = {"error": {"code": 500, "message": "Internal error", "status": "INTERNAL"}}
    signing = reach(bucket, **with_chain())
    signing.presigned_url("a")
    google.refusal = 501, words
    with pytest.raises(Unreachable):
        signing.presigned_url("a")


def anonymous(_: Path) -> Fields:
    return {"anonymous": True}


def user(_: Path) -> Fields:
    return {"service_account_info": make_user()}


def workload(folder: Path) -> Fields:
    (folder / "token").write_text("token-of-the-workload")
    info = {
        "type": "external_account",
        "audience": "//iam.googleapis.com/p",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": {"file": str(folder / "token")},
        "service_account_impersonation_url": f"{IAM}/{LAST}:generateAccessToken",
    }
    return {"service_account_info": json.dumps(info)}


@pytest.mark.parametrize("make", [anonymous, user, workload])
def test_without_a_key_or_an_impersonated_account_an_error_says_so(
    bucket: GcsBucket, google: Tokens, make: Callable[[Path], Fields], tmp_path: Path, emulated: str
) -> None:
    with pytest.raises(StorageError, match=r"presigned.*private key.*impersonation_chain"):
        reach(bucket, **make(tmp_path)).presigned_url("a")
    assert not google.asked
