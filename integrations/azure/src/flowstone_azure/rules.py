"""What errors of Azure's mean: our kind of them, the problem in words, and what to do."""

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
class AzureErrorRule:
    """What an error of Azure's means: our kind of it, its problem and what to do."""

    kind: type[StorageError | CredentialsError]
    problem: str
    remedy: str


NO_CONTAINER = AzureErrorRule(
    BucketMissing,
    "there is no such container",
    "Check the container's name, and that account_url is the account it was made in.",
)
NO_OBJECT = AzureErrorRule(
    ObjectMissing, "there is no such object", "`list_objects` shows what is there."
)
DENIED = AzureErrorRule(
    AccessDenied,
    "access is denied",
    "Give this login the role 'Storage Blob Data Contributor' (or Reader) on the container, or a "
    "SAS with the right; then check that the account's firewall lets this machine in.",
)
NO_DELEGATION = AzureErrorRule(
    AccessDenied,
    "the login may not ask for a user delegation key, which a presigned URL takes",
    "Give it the role 'Storage Blob Delegator' on the storage account, not only on a container; "
    "or use a login with account_key.",
)
PROTECTED = AzureErrorRule(
    AccessDenied,
    "a retention policy or a legal hold protects it",
    "Write under another name, or wait until the policy lets go of it.",
)
LEASED = AzureErrorRule(
    AccessDenied,
    "another program holds a lease on it",
    "Wait until the lease ends, or break it.",
)
SNAPSHOTS = AzureErrorRule(
    StorageError,
    "it has snapshots, which would be deleted with it",
    "Delete its snapshots first.",
)
REFUSED = AzureErrorRule(
    CredentialsError,
    "the login was refused",
    "Check the key, the SAS or the secret, that they belong to this account, and this machine's "
    "clock.",
)
EXPIRED = AzureErrorRule(
    CredentialsError,
    "the SAS has expired, or is not good yet",
    "Make a new SAS, and check this machine's clock.",
)
NO_LOGIN = AzureErrorRule(
    CredentialsError,
    "no login was found",
    "Log in by `az login`, give the machine a managed identity, or set connection_string, "
    "account_key, sas_token, or tenant_id with client_id and client_secret or a certificate.",
)
BAD_LOGIN = AzureErrorRule(
    CredentialsError,
    "Microsoft Entra gave no token",
    "Check tenant_id, client_id, and client_secret or the certificate, or the identity of this "
    "machine.",
)
DOWN = AzureErrorRule(
    Unreachable,
    "the service can't be reached, or the connection broke",
    "Check the account's name, account_url and the network, and try again.",
)
BUSY = AzureErrorRule(
    Unreachable,
    "the service is overloaded or failed",
    "Try again later, with fewer parallel requests or more attempts: "
    'client_options={"retry_total": 8}.',
)
DAMAGED = AzureErrorRule(Unreachable, "the content was damaged on its way", "Try again.")
CHANGED = AzureErrorRule(StorageError, "it was changed meanwhile", "Try again.")
UNCOMMITTED = AzureErrorRule(
    StorageError,
    "blocks that another program has uploaded and not committed are in the way",
    "Write a small object under that name first, or another name; they expire after a week.",
)
THERE = AzureErrorRule(
    StorageError,
    "this object already exists",
    "Choose another name, or overwrite it.",
)
FILE_AND_FOLDER = AzureErrorRule(
    StorageError,
    "the account has a hierarchical namespace, where a name can't be a file and a folder at once",
    "Choose another name, or delete the folder of this name, or the file that is in its path.",
)
NOT_EMPTY = AzureErrorRule(
    StorageError,
    "the folder is not empty",
    "`delete_folder` deletes what is in it, too.",
)
WRONG_KIND = AzureErrorRule(
    StorageError,
    "an object of another kind is there: a page blob, an append blob, or a file that the Data Lake "
    "API wrote",
    "Delete it first, or choose another name.",
)
ARCHIVED = AzureErrorRule(
    StorageError,
    "the object is archived",
    "Set its tier to hot or cool first, and wait until it is there.",
)
TOO_BIG = AzureErrorRule(
    StorageError,
    "its size is not allowed",
    "An object holds 50,000 blocks at most, of 4 GB each.",
)
BAD_REQUEST = AzureErrorRule(
    StorageError,
    "the request can't be made like this",
    "Check the names of container and object, and the options.",
)
UNSUPPORTED = AzureErrorRule(
    StorageError,
    "the service does not know this request",
    "Check that account_url is that of the Blob service, and that the account offers this.",
)
MISUSED = AzureErrorRule(
    StorageError,
    "the Azure SDK was used in a way it does not allow",
    "Update azure-storage-blob and flowstone-azure; if it stays, report it with the traceback.",
)
