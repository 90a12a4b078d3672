"""The table of Azure's errors is whole, and each message says what, by whom, and what to do."""

from __future__ import annotations

import inspect

import azure.core.exceptions
import azure.identity
import azure.storage.blob
import pytest
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ServiceRequestError,
)
from azure.identity import CredentialUnavailableError
from azure.storage.blob import StorageErrorCode

from flowstone.errors import (
    AccessDenied,
    BucketMissing,
    CredentialsError,
    FlowstoneError,
    ObjectMissing,
    StorageError,
    Unreachable,
)
from flowstone_azure import errors

MODULES = (azure.core.exceptions, azure.identity, azure.storage.blob)


def sdk_errors() -> list[type[Exception]]:
    found = {
        kind
        for module in MODULES
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, AzureError)
    }
    return sorted(found, key=lambda kind: kind.__name__)


def answer(code: str, status: int, words: str = "the service's words") -> HttpResponseError:
    error = HttpResponseError(f"{words}\nRequestId:1\nTime:2026")
    error.error_code, error.status_code = code, status  # type: ignore[attr-defined]
    return error


class Key:
    """A login, as far as an error tells of it."""

    def who(self) -> str:
        return "the account key of 'raw'"

    def find_problem(self) -> str:
        return ""


def tell(error: Exception, key: str | None = "a/b.txt") -> FlowstoneError:
    found = errors.translate(error, "https://raw", Key(), key)
    assert found is not None
    return found


@pytest.mark.parametrize("kind", sdk_errors(), ids=lambda kind: kind.__name__)
def test_every_error_of_the_sdk_is_in_the_table(kind: type[Exception]) -> None:
    """A new one has to be thought about: it is never told as a guess."""
    assert kind.__name__ in errors.BY_EXCEPTION


def test_every_code_of_the_blob_service_is_in_the_table() -> None:
    """The SDK's list has the queues' and the files' codes, too, after the blobs'."""
    codes = [str(code.value) for code in StorageErrorCode]
    blobs = codes[: codes.index("InvalidMarker")]
    assert len(blobs) > 90
    assert not [code for code in blobs if code not in errors.BY_CODE | {"ResourceNotFound": 0}]


def test_the_two_tables_are_sound() -> None:
    for rule in {*errors.BY_EXCEPTION.values(), *errors.BY_CODE.values()}:
        assert issubclass(rule.kind, (StorageError, CredentialsError))
        assert rule.problem
        assert rule.remedy.endswith((".", "}."))


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (answer("ContainerNotFound", 404), BucketMissing, "no such container"),
        (answer("BlobNotFound", 404), ObjectMissing, "no such object"),
        (answer("ResourceNotFound", 404), ObjectMissing, "no such object"),
        (answer("AuthorizationPermissionMismatch", 403), AccessDenied, "Storage Blob Data"),
        (answer("AuthorizationFailure", 403), AccessDenied, "firewall"),
        (answer("AuthenticationFailed", 403), CredentialsError, "were refused"),
        (
            answer("AuthenticationFailed", 403, "Signature not valid in the specified time frame"),
            CredentialsError,
            "has expired",
        ),
        (answer("BlobImmutableDueToPolicy", 409), AccessDenied, "retention policy"),
        (answer("LeaseIdMissing", 412), AccessDenied, "lease"),
        (answer("SnapshotsPresent", 409), StorageError, "snapshots"),
        (answer("BlobArchived", 409), StorageError, "archived"),
        (answer("ConditionNotMet", 412), StorageError, "changed during the request"),
        (answer("ServerBusy", 503), Unreachable, "overloaded"),
        (answer("SomethingNew", 500), Unreachable, "overloaded"),
        (answer("SomethingNew", 400), StorageError, "the request is invalid"),
        (answer("", 401), CredentialsError, "were refused"),
        (ServiceRequestError("no route"), Unreachable, "can't be reached"),
        (CredentialUnavailableError(message="none"), CredentialsError, "no credentials were found"),
        (
            ClientAuthenticationError("AADSTS7000215"),
            CredentialsError,
            "Entra did not issue",
        ),
    ],
)
def test_errors_become_ours(error: Exception, kind: type[Exception], says: str) -> None:
    told = tell(error)
    assert type(told) is kind
    assert says in str(told)
    assert "the account key of 'raw'" in str(told)
    assert "RequestId" not in str(told)


def test_nobody_else_s_error_is_taken() -> None:
    assert errors.translate(ValueError("x"), "https://raw", Key()) is None


def test_without_a_key_a_missing_resource_is_the_container() -> None:
    assert type(tell(answer("ResourceNotFound", 404), key=None)) is BucketMissing
