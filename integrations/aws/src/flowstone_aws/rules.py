"""Rules for AWS's errors: the error class, the problem and the remedy."""

from __future__ import annotations

from dataclasses import dataclass

from flowstone.errors import (
    AccessDenied,
    BucketMissing,
    CredentialsError,
    JobError,
    ObjectMissing,
    SecretMissing,
    SecretStoreError,
    StorageError,
    Unreachable,
)


@dataclass(frozen=True, slots=True)
class ErrorRule:
    """A rule for an error of AWS: the error class, the problem and the remedy."""

    kind: type[StorageError | CredentialsError | SecretStoreError | JobError]
    problem: str
    remedy: str


NO_BUCKET = ErrorRule(
    BucketMissing,
    "there is no such bucket",
    "Check the bucket's name, and that region and endpoint are those of the bucket.",
)
NO_OBJECT = ErrorRule(
    ObjectMissing, "there is no such object", "`list_objects` shows what is there."
)
NO_SECRET = ErrorRule(
    SecretMissing,
    "there is no such secret, or it has no such version",
    "Check its name and version, and that region_name of the credentials is its region.",
)
SECRET_THERE = ErrorRule(
    SecretStoreError, "the secret already exists", "Update it, or choose another name."
)
SECRET_STATE = ErrorRule(
    SecretStoreError,
    "the secret's current state does not allow this",
    "See AWS's message; a deleted secret can be restored, or written again.",
)
SECRET_KEY = ErrorRule(
    SecretStoreError,
    "the KMS key of the secret can't be used",
    "Check that the key is enabled, and that these credentials may use it.",
)
BAD_SECRET = ErrorRule(
    SecretStoreError,
    "the request is invalid",
    "Check the name (letters, digits and /_+=.@-), the value and its size.",
)
DENIED = ErrorRule(
    AccessDenied,
    "access is denied",
    "Allow this in the policy of the user, role, bucket or key. S3 also denies access to a missing "
    "object if the credentials may not list the bucket.",
)
REFUSED = ErrorRule(
    CredentialsError,
    "the credentials were refused",
    "Check the access key, its secret and the session token; a new key takes a few seconds.",
)
EXPIRED = ErrorRule(
    CredentialsError,
    "the credentials have expired",
    "Log in again (`aws sso login`, `aws login`), or set a new session token.",
)
CLOCK = ErrorRule(
    CredentialsError,
    "this machine's clock differs too much from AWS's",
    "Set this machine's clock.",
)
NO_LOGIN = ErrorRule(
    CredentialsError,
    "no credentials were found",
    "Set aws_access_key_id and aws_secret_access_key, or profile_name, or configure the "
    'environment; for public data, AwsClientParameters(config={"signature_version": "unsigned"}).',
)
BAD_LOGIN = ErrorRule(
    CredentialsError,
    "the credentials can't be loaded",
    "Check the profile in ~/.aws/config and ~/.aws/credentials, or the service that provides "
    "the credentials.",
)
WRONG_REGION = ErrorRule(
    StorageError,
    "the bucket is in another region",
    "Set region_name of the credentials to the bucket's.",
)
NO_REGION = ErrorRule(
    CredentialsError,
    "the region is missing or unknown",
    "Set region_name, such as 'eu-central-1', or AWS_DEFAULT_REGION.",
)
CONFIGURATION = ErrorRule(
    CredentialsError,
    "the client's settings can't be used",
    "Check aws_client_parameters, ~/.aws/config and the AWS_* variables.",
)
DOWN = ErrorRule(
    Unreachable,
    "the service can't be reached, or the connection broke",
    "Check endpoint, region and network, and try again.",
)
BUSY = ErrorRule(
    Unreachable,
    "the service is overloaded or failed",
    "Try again later, with fewer parallel requests or more attempts: "
    'AwsClientParameters(config={"retries": {"total_max_attempts": 8}}); if it never works, check '
    "that endpoint_url is an S3 endpoint.",
)
CERTIFICATE = ErrorRule(
    Unreachable,
    "the TLS connection can't be trusted",
    "Check use_ssl and endpoint_url, or set the certificate of your authority as verify_cert_path.",
)
DAMAGED = ErrorRule(Unreachable, "the content was damaged in transit", "Try again.")
CHANGED = ErrorRule(StorageError, "it was changed during the request", "Try again.")
ARCHIVED = ErrorRule(
    StorageError,
    "the object is archived",
    "Restore it first: `client('s3').restore_object(...)`.",
)
TOO_BIG = ErrorRule(
    StorageError,
    "its size is not allowed",
    "An object holds 5 TB at most, and its parts 5 MB to 5 GB.",
)
BAD_REQUEST = ErrorRule(
    StorageError,
    "the request is invalid",
    "Check the names of bucket and object, and the options.",
)
BARE = ErrorRule(
    StorageError,
    "the request was refused without a message",
    "The token may have expired, or the region may be wrong: call the credentials' `check()`.",
)
UNSUPPORTED = ErrorRule(
    StorageError,
    "the service does not support this request",
    "Check that endpoint_url is an S3 endpoint, and that it supports this request.",
)
NO_SERVICE = ErrorRule(
    CredentialsError,
    "there is no such service, or not in this region",
    "Check the service's name, the region and boto3's version.",
)
MISUSED = ErrorRule(
    StorageError,
    "the AWS SDK was used in a way it does not allow",
    "Update boto3 and flowstone-aws; if it still fails, report it with the traceback.",
)
