"""Rules for Google's errors: the error class, the problem and the remedy."""

from __future__ import annotations

from dataclasses import dataclass

from flowstone.errors import (
    AccessDenied,
    BucketMissing,
    CredentialsError,
    JobError,
    JobLost,
    ObjectMissing,
    SecretMissing,
    SecretStoreError,
    StorageError,
    Unreachable,
)


@dataclass(frozen=True, slots=True)
class GcpErrorRule:
    """A rule for an error of Google: the error class, the problem and the remedy."""

    kind: type[StorageError | CredentialsError | SecretStoreError | JobError]
    problem: str
    remedy: str


NO_BUCKET = GcpErrorRule(
    BucketMissing,
    "there is no such bucket",
    "Check the bucket's name, or create it with `create_bucket`.",
)
NO_OBJECT = GcpErrorRule(
    ObjectMissing, "there is no such object", "`list_objects` shows what is there."
)
DENIED = GcpErrorRule(
    AccessDenied,
    "access is denied",
    "Give this identity a role on the bucket: roles/storage.objectViewer to read, "
    "roles/storage.objectUser to write and delete, too.",
)
REFUSED = GcpErrorRule(
    CredentialsError,
    "the credentials were refused",
    "Check that the key still exists and its account is enabled, or log in again: "
    "`gcloud auth application-default login`.",
)
NO_LOGIN = GcpErrorRule(
    CredentialsError,
    "no credentials were found, or they can't be read",
    "Run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS, "
    "service_account_file or service_account_info. For public data, set anonymous=True.",
)
IMPERSONATION = GcpErrorRule(
    CredentialsError,
    "this service account does not exist, or the credentials may not impersonate it",
    "Grant roles/iam.serviceAccountTokenCreator on it to the account before it in the chain, and "
    "enable the API iamcredentials.googleapis.com in its project.",
)
BAD_LOGIN = GcpErrorRule(
    CredentialsError,
    "the credentials are invalid",
    "Check the fields of the credentials and the key file.",
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
    "Check endpoint, or set REQUESTS_CA_BUNDLE to your certificate authority's certificates.",
)
UNFINISHED = GcpErrorRule(
    Unreachable,
    "the upload session ended before the upload was complete",
    "Try again: the object is unchanged.",
)
DAMAGED = GcpErrorRule(Unreachable, "the content was damaged in transit", "Try again.")
CHANGED = GcpErrorRule(
    StorageError, "it was changed during the request, or a condition does not hold", "Try again."
)
CONFLICT = GcpErrorRule(
    StorageError,
    "it already exists, or is being changed",
    "Try again, or choose another name; names of buckets are unique among all of Google's users.",
)
RETAINED = GcpErrorRule(
    StorageError,
    "a retention policy or a hold protects the object",
    "Wait until the retention ends, release the hold, or write to another path.",
)
PAYS = GcpErrorRule(
    StorageError,
    "the bucket has requester pays, and no project to bill was given",
    "Set requester_pays in the block, or quota_project in the credentials.",
)
BILLING = GcpErrorRule(
    StorageError,
    "the project's billing is off, or the service is not enabled in it",
    "Enable billing and the Cloud Storage API in the project.",
)
BAD_REQUEST = GcpErrorRule(
    StorageError,
    "the request is invalid",
    "Check the names of bucket and object, and the options.",
)
UNSUPPORTED = GcpErrorRule(
    StorageError,
    "the service does not support this request",
    "Check that endpoint is the address of Cloud Storage.",
)
MISUSED = GcpErrorRule(
    StorageError,
    "the SDK was used in a way it does not allow",
    "Update google-cloud-storage and flowstone-gcp. If it still fails, report it with the "
    "traceback.",
)

#: Rules for errors about a secret.
NO_SECRET = GcpErrorRule(
    SecretMissing,
    "there is no such secret, or it has no such version",
    "Check its name, its version and the project; `ls` shows what is there.",
)
DISABLED_VERSION = GcpErrorRule(
    SecretMissing,
    "this version is disabled or destroyed",
    "Read another version; or, if it is only disabled, enable it in the console.",
)
_SECRET_THERE = GcpErrorRule(
    SecretStoreError,
    "it already exists, or is being changed",
    "Choose another name, or write a new version with `update_secret`.",
)
_SECRET_DENIED = GcpErrorRule(
    AccessDenied,
    "access is denied",
    "Give this identity a role on the secret: roles/secretmanager.secretAccessor to read, "
    "roles/secretmanager.admin to write and delete, too.",
)
_BAD_SECRET = GcpErrorRule(
    SecretStoreError,
    "the request is invalid",
    "Check the name (letters, digits, hyphens and underscores) and the size of the value (up to "
    "64 KiB).",
)
_NO_SECRETS_HERE = GcpErrorRule(
    SecretStoreError,
    "the project's billing is off, or the service is not enabled in it",
    "Enable billing and the Secret Manager API in the project.",
)
OF_SECRETS = {
    NO_OBJECT: NO_SECRET,
    NO_BUCKET: NO_SECRET,
    CONFLICT: _SECRET_THERE,
    CHANGED: _SECRET_THERE,
    DENIED: _SECRET_DENIED,
    BAD_REQUEST: _BAD_SECRET,
    BILLING: _NO_SECRETS_HERE,
    UNSUPPORTED: GcpErrorRule(
        SecretStoreError,
        "the service does not support this request",
        "Check that endpoint is an address of Secret Manager.",
    ),
    MISUSED: GcpErrorRule(
        SecretStoreError,
        "the SDK was used in a way it does not allow",
        "Update google-cloud-secret-manager and flowstone-gcp.",
    ),
}

#: Rules for errors about a Cloud Run job.
NO_JOB = GcpErrorRule(
    JobLost,
    "there is no such job or execution",
    "Check job name, region and project; executions are deleted with their job.",
)
_BAD_JOB = GcpErrorRule(
    JobError, "the request is invalid", "Check the fields of the block that the message names."
)
OF_JOBS = {
    NO_OBJECT: NO_JOB,
    NO_BUCKET: NO_JOB,
    CONFLICT: GcpErrorRule(JobError, "it already exists, or is being changed", "Try again."),
    CHANGED: GcpErrorRule(JobError, "it is being changed", "Try again."),
    DENIED: GcpErrorRule(
        AccessDenied,
        "access is denied",
        "Give this identity roles/run.developer in the project, roles/iam.serviceAccountUser on "
        "the job's service account, and roles/logging.viewer to read its output.",
    ),
    BAD_REQUEST: _BAD_JOB,
    BILLING: GcpErrorRule(
        JobError,
        "the project's billing is off, or the service is not enabled in it",
        "Enable billing, the Cloud Run Admin API and the Cloud Logging API in the project.",
    ),
    UNSUPPORTED: GcpErrorRule(
        JobError,
        "the service does not support this request",
        "Check that endpoint is an address of Cloud Run.",
    ),
    MISUSED: GcpErrorRule(
        JobError,
        "the SDK was used in a way it does not allow",
        "Update google-cloud-run and flowstone-gcp.",
    ),
}
