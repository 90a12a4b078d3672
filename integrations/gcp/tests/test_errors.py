"""The table of Google's errors is whole, and each message says what, by whom, and what to do."""

from __future__ import annotations

import inspect
import json
from typing import Any

import google.api_core.exceptions
import google.auth.exceptions
import google.cloud.storage.exceptions
import pytest
import requests.exceptions
from google.api_core.exceptions import RetryError, from_http_status

from flowstone.errors import (
    AccessDenied,
    BucketMissing,
    CredentialsError,
    FlowstoneError,
    ObjectMissing,
    StorageError,
    Unreachable,
)
from flowstone_gcp import errors

MODULES = (
    google.api_core.exceptions,
    google.auth.exceptions,
    google.cloud.storage.exceptions,
    requests.exceptions,
)


def sdk_errors() -> list[type[Exception]]:
    return [
        found
        for module in MODULES
        for _, found in inspect.getmembers(module, inspect.isclass)
        if issubclass(found, Exception)
        and not issubclass(found, Warning)
        and found.__module__ == module.__name__
    ]


def told(error: Exception, key: str | None = "a/b.txt") -> FlowstoneError:
    found = errors.translate(error, "gs://raw", lambda: "service account a@b", key)
    assert found is not None
    return found


@pytest.mark.parametrize("kind", sdk_errors(), ids=lambda kind: kind.__name__)
def test_every_error_of_the_sdk_is_in_the_table(kind: type[Exception]) -> None:
    """A new one has to be thought about: it is never told as a guess."""
    own = [each.__name__ for each in kind.__mro__ if each.__name__ in errors.BY_EXCEPTION]
    assert kind.__name__ in errors.BY_EXCEPTION, own


def test_the_two_tables_are_sound() -> None:
    for rule in {*errors.BY_EXCEPTION.values(), *errors.BY_REASON.values()}:
        assert issubclass(rule.kind, (StorageError, CredentialsError))
        assert rule.problem
        assert rule.remedy.endswith(".")


@pytest.mark.parametrize(
    ("status", "reason", "kind", "says"),
    [
        (404, "notFound", ObjectMissing, "no such object"),
        (403, "forbidden", AccessDenied, "roles/storage.objectViewer"),
        (401, "authError", CredentialsError, "gcloud auth application-default login"),
        (403, "retentionPolicyNotMet", StorageError, "retention"),
        (400, "userProjectMissing", StorageError, "quota_project"),
        (403, "accountDisabled", StorageError, "billing"),
        (403, "userRateLimitExceeded", Unreachable, "later"),
        (412, "conditionNotMet", StorageError, "changed during the request"),
        (409, "conflict", StorageError, "already exists"),
        (429, "somethingNew", Unreachable, "later"),
        (503, "somethingNew", Unreachable, "later"),
        (400, "somethingNew", StorageError, "the request is invalid"),
    ],
)
def test_an_answer_is_told_by_its_reason_first(
    status: int, reason: str, kind: type[FlowstoneError], says: str
) -> None:
    answer = from_http_status(status, "the service's words", errors=[{"reason": reason}])
    found = told(answer)
    assert type(found) is kind
    for words in (says, "service account a@b", "the service's words", "gs://raw/a/b.txt"):
        assert words in str(found)


def test_what_pays_is_known_by_the_words_too() -> None:
    words = "Bucket is a requester pays bucket but no user project provided."
    found = told(from_http_status(400, words, errors=[{"reason": "required"}]))
    assert "quota_project" in str(found)


def test_without_a_key_it_is_the_bucket_that_is_missing() -> None:
    assert type(told(from_http_status(404, "Not Found"), None)) is BucketMissing


def test_retries_that_ended_are_told_as_what_they_met() -> None:
    ended = RetryError("Timeout of 20s exceeded", requests.exceptions.ConnectionError("refused"))
    assert type(told(ended)) is Unreachable
    assert "refused" in str(told(ended))


def from_iam(code: int, status: str) -> list[Exception]:
    """What the SDK raises where IAM answers so, to a request for a token and for a signature."""
    answer = {"error": {"code": code, "message": "in words", "status": status}}
    refresh = google.auth.exceptions.RefreshError(
        "Unable to acquire impersonated credentials", json.dumps(answer)
    )
    sign = google.auth.exceptions.TransportError(f"Error calling sign_bytes: {answer}")
    return [refresh, sign]


@pytest.mark.parametrize(
    ("code", "status", "kind", "says"),
    [
        (400, "INVALID_ARGUMENT", CredentialsError, "fields of the credentials"),
        (401, "UNAUTHENTICATED", CredentialsError, "Check that the key"),
        (403, "PERMISSION_DENIED", CredentialsError, "roles/iam.serviceAccountTokenCreator"),
        (404, "NOT_FOUND", CredentialsError, "roles/iam.serviceAccountTokenCreator"),
        (429, "RESOURCE_EXHAUSTED", Unreachable, "later"),
        (503, "UNAVAILABLE", Unreachable, "later"),
    ],
)
def test_an_answer_of_iam_is_told_by_its_code(
    code: int, status: str, kind: type[FlowstoneError], says: str
) -> None:
    for error in from_iam(code, status):
        found = told(error)
        assert type(found) is kind
        assert says in str(found)
        assert "in words" in str(found)


def test_a_token_service_that_is_down_is_no_refusal() -> None:
    """The key is good; what has to be looked at is the network, or the service later."""
    lost = google.auth.exceptions.TransportError("no answer")
    busy = google.auth.exceptions.RefreshError("internal_failure", {}, retryable=True)
    assert type(told(google.auth.exceptions.RefreshError(lost))) is Unreachable
    assert type(told(busy)) is Unreachable
    nobody = google.auth.exceptions.TransportError("no service account here", object())
    found = told(google.auth.exceptions.RefreshError(nobody))
    assert type(found) is CredentialsError
    assert "(no service account here)" in str(found)


def test_an_answer_that_may_be_a_token_is_not_shown() -> None:
    kinds = (
        "No access token in response.",
        "Unable to acquire impersonated credentials: No access",
    )
    for words in kinds:
        error = google.auth.exceptions.RefreshError(words, json.dumps({"accessToken": "ya29.x"}))
        assert "ya29" not in str(told(error))
        assert words.rstrip(".") in str(told(error))


@pytest.mark.parametrize("error", [ValueError("mine"), OSError("mine"), KeyError("mine")])
def test_errors_of_others_pass(error: Exception) -> None:
    assert errors.translate(error, "gs://raw", lambda: "nobody") is None
    with pytest.raises(type(error)), errors.translate_errors("gs://raw", lambda: "nobody"):
        raise error


def test_long_answers_are_cut() -> None:
    answer: Any = from_http_status(502, "<html>" * 1000)
    assert len(str(told(answer))) < 1000


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (from_http_status(503, "later"), True),
        (from_http_status(429, "slower"), True),
        (from_http_status(403, "slower", errors=[{"reason": "rateLimitExceeded"}]), True),
        (requests.exceptions.ReadTimeout(), True),
        (ConnectionResetError(), True),
        (google.auth.exceptions.TransportError("no answer"), True),
        (google.auth.exceptions.RefreshError("invalid_grant"), False),
        (from_http_status(403, "no"), False),
        (from_http_status(412, "changed"), False),
        (ValueError("mine"), False),
    ],
)
def test_what_may_pass_is_tried_again(error: Exception, passes: bool) -> None:
    assert errors.is_passing(error) is passes
