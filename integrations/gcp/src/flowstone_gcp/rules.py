"""What errors of Google Cloud mean: our kind of them, the problem in words, and what to do."""

from __future__ import annotations

from dataclasses import dataclass

from flowstone.errors import (
    AccessDenied,
    BucketMissing,
    CredentialsError,
    ObjectMissing,
    StorageError,
    Unreachable,
)


@dataclass(frozen=True, slots=True)
class GcpErrorRule:
    """What an error of Google's means: our kind of it, its problem and what to do."""

    kind: type[StorageError | CredentialsError]
    problem: str
    remedy: str


NO_BUCKET = GcpErrorRule(
    BucketMissing,
    "there is no such bucket",
    "Check the bucket's name; `create_bucket` makes it.",
)
NO_OBJECT = GcpErrorRule(
    ObjectMissing, "there is no such object", "`list_objects` shows what is there."
)
DENIED = GcpErrorRule(
    AccessDenied,
    "access is denied",
    "Give this identity a role on the bucket: roles/storage.objectViewer to read, "
    "roles/storage.objectUser to write and delete too.",
)
REFUSED = GcpErrorRule(
    CredentialsError,
    "the login was refused",
    "Check the key, which may have been deleted or its account disabled, or log in again: "
    "`gcloud auth application-default login`.",
)
NO_LOGIN = GcpErrorRule(
    CredentialsError,
    "no login was found, or it can't be read",
    "Run `gcloud auth application-default login`, set GOOGLE_APPLICATION_CREDENTIALS, give "
    "service_account_file or service_account_info; for public data, anonymous=True.",
)
IMPERSONATION = GcpErrorRule(
    CredentialsError,
    "this service account does not exist, or the login may not act as it",
    "Grant roles/iam.serviceAccountTokenCreator on it to the account before it in the chain, and "
    "enable the API iamcredentials.googleapis.com in its project.",
)
BAD_LOGIN = GcpErrorRule(
    CredentialsError,
    "the login can't be made",
    "Check the fields of the credentials and the file that they name.",
)
BUSY = GcpErrorRule(
    Unreachable,
    "the service is overloaded or failed",
    "Try again later, with fewer parallel requests or a longer timeout_seconds.",
)
DOWN = GcpErrorRule(
    Unreachable,
    "the service can't be reached, or the connection broke",
    "Check endpoint and network, and try again.",
)
CERTIFICATE = GcpErrorRule(
    Unreachable,
    "the TLS connection can't be trusted",
    "Check endpoint, or give the certificates of your authority in REQUESTS_CA_BUNDLE.",
)
UNFINISHED = GcpErrorRule(
    Unreachable,
    "the upload session ended before the upload did",
    "Try again: nothing was written over what is there.",
)
DAMAGED = GcpErrorRule(Unreachable, "the content was damaged on its way", "Try again.")
CHANGED = GcpErrorRule(
    StorageError, "it was changed meanwhile, or a condition does not hold", "Try again."
)
CONFLICT = GcpErrorRule(
    StorageError,
    "it is there already, or is being changed",
    "Bucket names are shared by everybody: choose another one, or try again.",
)
RETAINED = GcpErrorRule(
    StorageError,
    "a retention policy or a hold keeps the object as it is",
    "Wait until its retention ends, or have the hold released; or write to another path.",
)
PAYS = GcpErrorRule(
    StorageError,
    "who asks pays for this bucket, and no project was given that pays",
    "Set quota_project of the credentials.",
)
BILLING = GcpErrorRule(
    StorageError,
    "the project's billing is off, or the service is not enabled in it",
    "Enable billing and the Cloud Storage API in the project.",
)
BAD_REQUEST = GcpErrorRule(
    StorageError,
    "the request can't be made like this",
    "Check the names of bucket and object, and the options.",
)
UNSUPPORTED = GcpErrorRule(
    StorageError,
    "the service does not know this request",
    "Check that endpoint is one of Cloud Storage, and that it offers this.",
)
MISUSED = GcpErrorRule(
    StorageError,
    "the SDK was used in a way it does not allow",
    "Update google-cloud-storage and flowstone-gcp; if it stays, report it with the traceback.",
)
