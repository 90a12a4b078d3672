"""The table of AWS's errors is complete; messages name the problem, credentials and remedy."""

from __future__ import annotations

import inspect
from typing import Any

import boto3.exceptions
import botocore.exceptions
import pytest
import s3transfer.exceptions
from botocore.exceptions import ClientError

from flowstone.errors import (
    AccessDenied,
    BucketMissing,
    CredentialsError,
    FlowstoneError,
    ObjectMissing,
    SecretMissing,
    SecretStoreError,
    StorageError,
    Unreachable,
)
from flowstone_aws import errors

MODULES = (botocore.exceptions, boto3.exceptions, s3transfer.exceptions)


def sdk_errors() -> list[type[Exception]]:
    return [
        found
        for module in MODULES
        for _, found in inspect.getmembers(module, inspect.isclass)
        if issubclass(found, Exception)
        and not issubclass(found, Warning)
        and found.__module__ == module.__name__
    ]


def answer(code: str, status: int = 400, **more: Any) -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": "the service's words", **more},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {}},
    }
    return ClientError(response, "PutObject")


def told(error: Exception, key: str | None = "a/b.txt") -> FlowstoneError:
    found = errors.translate(error, "s3://raw", lambda: "access key …WXYZ", key)
    assert found is not None
    return found


@pytest.mark.parametrize("kind", sdk_errors(), ids=lambda kind: kind.__name__)
def test_every_error_of_the_sdk_is_in_the_table(kind: type[Exception]) -> None:
    """A new code needs a rule: it never gets a guessed one."""
    assert kind.__name__ in errors.BY_EXCEPTION or issubclass(kind, ClientError)


def test_the_table_has_nothing_else() -> None:
    known = {kind.__name__ for kind in sdk_errors()} | {"ResponseParserError"}
    assert set(errors.BY_EXCEPTION) <= known


def test_the_two_tables_are_sound() -> None:
    for rule in {*errors.BY_EXCEPTION.values(), *errors.BY_CODE.values()}:
        assert issubclass(rule.kind, (StorageError, CredentialsError, SecretStoreError))
        assert rule.problem
        assert rule.remedy.endswith(".")


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("NoSuchBucket", 404, BucketMissing),
        ("NoSuchKey", 404, ObjectMissing),
        ("404", 404, ObjectMissing),
        ("AccessDenied", 403, AccessDenied),
        ("403", 403, AccessDenied),
        ("InvalidAccessKeyId", 403, CredentialsError),
        ("SignatureDoesNotMatch", 403, CredentialsError),
        ("ExpiredToken", 400, CredentialsError),
        ("RequestTimeTooSkewed", 403, CredentialsError),
        ("SlowDown", 503, Unreachable),
        ("InternalError", 500, Unreachable),
        ("SomethingNew", 503, Unreachable),
        ("SomethingNew", 403, AccessDenied),
        ("SomethingNew", 429, Unreachable),
        ("SomethingNew", 400, StorageError),
        ("PreconditionFailed", 412, StorageError),
        ("EntityTooLarge", 400, StorageError),
        ("InvalidObjectState", 403, StorageError),
        ("ResourceNotFoundException", 400, SecretMissing),
        ("ParameterVersionNotFound", 400, SecretMissing),
        ("ResourceExistsException", 400, SecretStoreError),
        ("InvalidRequestException", 400, SecretStoreError),
        ("DecryptionFailure", 400, SecretStoreError),
        ("AccessDeniedException", 400, AccessDenied),
        ("UnrecognizedClientException", 400, CredentialsError),
        ("InternalServiceError", 500, Unreachable),
    ],
)
def test_an_answer_of_s3_is_told_as_ours(code: str, status: int, kind: type[Exception]) -> None:
    error = told(answer(code, status))
    assert isinstance(error, kind)
    text = str(error)
    assert "s3://raw" in text
    assert "access key …WXYZ" in text
    assert "the service's words" in text
    assert text.endswith(".")


def test_a_missing_thing_without_a_key_is_the_bucket() -> None:
    assert isinstance(told(answer("404", 404), key=None), BucketMissing)


def test_the_bucket_s_region_is_told() -> None:
    error = told(answer("AuthorizationHeaderMalformed", 400, Region="eu-west-3"))
    assert str(error).endswith("Set region_name='eu-west-3' in its credentials.")
    redirect = answer("PermanentRedirect", 301)
    redirect.response["ResponseMetadata"]["HTTPHeaders"] = {"x-amz-bucket-region": "eu-west-1"}
    assert "'eu-west-1'" in str(told(redirect))


def test_an_error_of_somebody_else_passes() -> None:
    with (
        pytest.raises(ZeroDivisionError),
        errors.translate_errors("s3://raw", lambda: "nobody"),
    ):
        raise ZeroDivisionError


def test_the_cause_is_kept() -> None:
    cause = answer("NoSuchKey", 404)
    with (
        pytest.raises(ObjectMissing) as caught,
        errors.translate_errors("s3://raw", lambda: "the SDK's default chain", "a"),
    ):
        raise cause
    assert caught.value.__cause__ is cause
    assert caught.value.where == "s3://raw/a"


def test_a_long_answer_is_cut() -> None:
    page = answer("Oops", 502)
    page.response["Error"]["Message"] = "<html>" * 1000
    assert len(str(told(page))) < 1000
