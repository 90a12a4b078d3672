"""The meaning of Azure's errors: the Flowstone error to raise, the problem, and the remedy."""

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
    """The Flowstone error to raise for an Azure error, its problem and its remedy."""

    kind: type[StorageError | CredentialsError]
    problem: str
    remedy: str


NO_CONTAINER = AzureErrorRule(
    BucketMissing,
    "there is no such container",
    "Check the container's name, and that account_url is the right account.",
)
NO_OBJECT = AzureErrorRule(
    ObjectMissing, "there is no such object", "`list_objects` shows what is there."
)
DENIED = AzureErrorRule(
    AccessDenied,
    "access is denied",
    "Give this login the role 'Storage Blob Data Contributor' (or Reader) on the container, or use "
    "a SAS with this permission. Check that the account's firewall allows this machine.",
)
NO_DELEGATION = AzureErrorRule(
    AccessDenied,
    "the login may not get a user delegation key, which it needs to sign URLs",
    "Give it the role 'Storage Blob Delegator' on the storage account, not only on a container; "
    "or use a login with account_key.",
)
PROTECTED = AzureErrorRule(
    AccessDenied,
    "a retention policy or a legal hold protects it",
    "Write under another name, or wait until the policy or the hold ends.",
)
LEASED = AzureErrorRule(
    AccessDenied,
    "another program holds a lease on it",
    "Wait until the lease expires, or break it.",
)
SNAPSHOTS = AzureErrorRule(
    StorageError,
    "it has snapshots, which would be deleted with it",
    "Delete its snapshots first.",
)
REFUSED = AzureErrorRule(
    CredentialsError,
    "the login was refused",
    "Check that the key, SAS or secret is valid and belongs to this account, and that this "
    "machine's clock is right.",
)
EXPIRED = AzureErrorRule(
    CredentialsError,
    "the SAS has expired, or is not valid yet",
    "Create a new SAS, and check this machine's clock.",
)
NO_LOGIN = AzureErrorRule(
    CredentialsError,
    "no login was found",
    "Run `az login`, give the machine a managed identity, or set connection_string, "
    "account_key, sas_token, or tenant_id with client_id and client_secret or a certificate.",
)
BAD_LOGIN = AzureErrorRule(
    CredentialsError,
    "Microsoft Entra did not issue a token",
    "Check tenant_id, client_id, and client_secret or the certificate, or this machine's managed "
    "identity.",
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
DAMAGED = AzureErrorRule(Unreachable, "the content was damaged in transit", "Try again.")
CHANGED = AzureErrorRule(StorageError, "it was changed during the request", "Try again.")
UNCOMMITTED = AzureErrorRule(
    StorageError,
    "it has uncommitted blocks of another program, which conflict with this upload",
    "Write a small object under that name first, or use another name. Uncommitted blocks expire "
    "after a week.",
)
THERE = AzureErrorRule(
    StorageError,
    "this object already exists",
    "Choose another name, or overwrite it.",
)
FILE_AND_FOLDER = AzureErrorRule(
    StorageError,
    "the account has a hierarchical namespace, where a name can't be a file and a folder at once",
    "Choose another name, or delete the folder of this name or the file in its path.",
)
NOT_EMPTY = AzureErrorRule(
    StorageError,
    "the folder is not empty",
    "Use `delete_folder` to delete its content, too.",
)
WRONG_KIND = AzureErrorRule(
    StorageError,
    "there is an object of another type: a page blob, an append blob, or a file written by the "
    "Data Lake API",
    "Delete it first, or choose another name.",
)
ARCHIVED = AzureErrorRule(
    StorageError,
    "the object is archived",
    "Set its tier to hot or cool, and wait until it is rehydrated.",
)
TOO_BIG = AzureErrorRule(
    StorageError,
    "its size is not allowed",
    "An object has at most 50,000 blocks of 4 GB each.",
)
BAD_REQUEST = AzureErrorRule(
    StorageError,
    "the request is invalid",
    "Check the names of container and object, and the options.",
)
UNSUPPORTED = AzureErrorRule(
    StorageError,
    "the service does not support this request",
    "Check that account_url is the address of the Blob service, and that the account has this "
    "feature.",
)
MISUSED = AzureErrorRule(
    StorageError,
    "the Azure SDK was used in a way it does not allow",
    "Update azure-storage-blob and flowstone-azure. If it still fails, report it with the "
    "traceback.",
)
