"""What errors of AWS's mean: our kind of them, the problem in words, and what to do."""

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
    """What an error of AWS's means: our kind of it, its problem and what to do."""

    kind: type[StorageError | CredentialsError | SecretStoreError | JobError]
    problem: str
    remedy: str


NO_BUCKET = ErrorRule(
    BucketMissing,
    "there is no such bucket",
    "Check the bucket's name, and that region and endpoint are those it was made in.",
)
NO_OBJECT = ErrorRule(
    ObjectMissing, "there is no such object", "`list_objects` shows what is there."
)
NO_SECRET = ErrorRule(
    SecretMissing,
    "there is no such secret, or not in that version",
    "Check its name, its version, and that region_name of the credentials is where it is kept.",
)
SECRET_THERE = ErrorRule(
    SecretStoreError, "there is such a secret already", "Update it, or choose another name."
)
SECRET_STATE = ErrorRule(
    SecretStoreError,
    "that can't be done with the secret as it is now",
    "AWS's words tell why; one that was deleted can be restored, or written anew.",
)
SECRET_KEY = ErrorRule(
    SecretStoreError,
    "the KMS key of the secret can't be used",
    "Check that the key is enabled, and that these credentials may use it.",
)
BAD_SECRET = ErrorRule(
    SecretStoreError,
    "the request can't be made like this",
    "Check the name, which may have letters, digits and /_+=.@- in it, the value and its size.",
)
DENIED = ErrorRule(
    AccessDenied,
    "access is denied",
    "Let these credentials do this in the policy of the user, role, bucket or key; S3 says the "
    "same of a missing object where they may not list the bucket.",
)
REFUSED = ErrorRule(
    CredentialsError,
    "the login was refused",
    "Check the access key, its secret and the session token; a new key takes a few seconds.",
)
EXPIRED = ErrorRule(
    CredentialsError,
    "the login has expired",
    "Log in again (`aws sso login`, `aws login`), or give a new session token.",
)
CLOCK = ErrorRule(
    CredentialsError,
    "the request was signed at another time than it is at AWS",
    "Set this machine's clock.",
)
NO_LOGIN = ErrorRule(
    CredentialsError,
    "no login was found",
    "Give aws_access_key_id and aws_secret_access_key, or a profile_name, or set up the "
    'environment; for public data, AwsClientParameters(config={"signature_version": "unsigned"}).',
)
BAD_LOGIN = ErrorRule(
    CredentialsError,
    "the login can't be made",
    "Check the profile in ~/.aws/config and ~/.aws/credentials, or the service that hands out "
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
    "Set region_name, as 'eu-central-1', or AWS_DEFAULT_REGION.",
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
    "Check use_ssl and endpoint_url, or give the certificate of your authority as "
    "verify_cert_path.",
)
DAMAGED = ErrorRule(Unreachable, "the content was damaged on its way", "Try again.")
CHANGED = ErrorRule(StorageError, "it was changed meanwhile", "Try again.")
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
    "the request can't be made like this",
    "Check the names of bucket and object, and the options.",
)
BARE = ErrorRule(
    StorageError,
    "the request was refused without a word",
    "The token may have expired, or the region be another: the credentials' `check()` tells.",
)
UNSUPPORTED = ErrorRule(
    StorageError,
    "the service does not know this request",
    "Check that endpoint_url is an S3 endpoint, and that it offers this.",
)
NO_SERVICE = ErrorRule(
    CredentialsError,
    "there is no such service, or not here",
    "Check the service's name, the region and boto3's version.",
)
MISUSED = ErrorRule(
    StorageError,
    "the AWS SDK was used in a way it does not allow",
    "Update boto3 and flowstone-aws; if it stays, report it with the traceback.",
)
