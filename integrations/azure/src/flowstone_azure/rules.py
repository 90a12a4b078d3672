"""Rules for Azure's errors: the error class, the problem and the remedy."""

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
class AzureErrorRule:
    """A rule for an error of Azure: the error class, the problem and the remedy."""

    kind: type[StorageError | CredentialsError | SecretStoreError | JobError]
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
    "Give this identity the role 'Storage Blob Data Contributor' (or Reader) on the container, or "
    "use a SAS with this permission. Check that the account's firewall allows this machine.",
)
NO_DELEGATION = AzureErrorRule(
    AccessDenied,
    "the credentials may not get a user delegation key, which they need to sign URLs",
    "Give it the role 'Storage Blob Delegator' on the storage account, not only on a container; "
    "or use credentials with account_key.",
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
    "the credentials were refused",
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
    "no credentials were found",
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

#: Rules for errors of services with Microsoft Entra credentials.
OF_IDENTITIES = {
    BAD_LOGIN: AzureErrorRule(
        CredentialsError,
        "the credentials were refused",
        "Check tenant_id, client_id and client_secret, and that the secret has not expired.",
    ),
    NO_LOGIN: AzureErrorRule(
        CredentialsError,
        "no credentials were found",
        "Run `az login`; or set tenant_id, client_id and client_secret, or the client_id of a "
        "managed identity.",
    ),
    DOWN: AzureErrorRule(
        Unreachable,
        "the service can't be reached, or the connection broke",
        "Check the address and the network, and try again.",
    ),
    BUSY: AzureErrorRule(
        Unreachable, "the service is overloaded or failed", "Try again later, or less often."
    ),
}
#: Rules for errors about a secret in a key vault.
NO_SECRET = AzureErrorRule(
    SecretMissing,
    "there is no such secret, or it has no such version",
    "Check its name, its version and the vault; `ls` shows what is there.",
)
DELETED_SECRET = AzureErrorRule(
    SecretStoreError,
    "it was deleted, and can still be recovered",
    "Recover it, which `write` does; or purge it.",
)
_BAD_SECRET = AzureErrorRule(
    SecretStoreError,
    "the request is invalid",
    "Check the name (letters, digits and hyphens) and the size of the value (up to 25 KB).",
)
OF_SECRETS = {
    **OF_IDENTITIES,
    NO_OBJECT: NO_SECRET,
    NO_CONTAINER: NO_SECRET,
    BAD_REQUEST: _BAD_SECRET,
    THERE: _BAD_SECRET,
    CHANGED: _BAD_SECRET,
    DENIED: AzureErrorRule(
        AccessDenied,
        "access is denied",
        "Give this identity the role 'Key Vault Secrets User' on the vault to read, 'Key Vault "
        "Secrets Officer' to write and delete, too. Check that the secret is enabled, and that the "
        "vault's firewall allows this machine.",
    ),
    REFUSED: AzureErrorRule(
        CredentialsError,
        "the vault refused the token",
        "Check that the vault belongs to the identity's tenant, and this machine's clock.",
    ),
    UNSUPPORTED: AzureErrorRule(
        SecretStoreError,
        "the service does not support this request",
        "Check that vault_url is the address of a key vault.",
    ),
    MISUSED: AzureErrorRule(
        SecretStoreError,
        "the SDK was used in a way it does not allow",
        "Update azure-keyvault-secrets and flowstone-azure.",
    ),
}

#: Rules for errors about a container group.
_BAD_GROUP = AzureErrorRule(
    JobError,
    "the request is invalid",
    "Check the fields of the block that the message names.",
)
OF_CONTAINER_GROUPS = {
    **OF_IDENTITIES,
    NO_OBJECT: AzureErrorRule(
        JobLost,
        "there is no such container group",
        "Check subscription_id and resource_group_name; the group may have been deleted.",
    ),
    NO_CONTAINER: AzureErrorRule(
        JobError,
        "there is no such subscription or resource group",
        "Check subscription_id and resource_group_name.",
    ),
    BAD_REQUEST: _BAD_GROUP,
    THERE: _BAD_GROUP,
    CHANGED: AzureErrorRule(JobError, "it is being changed", "Try again."),
    DENIED: AzureErrorRule(
        AccessDenied,
        "access is denied",
        "Give this identity the role 'Azure Container Instances Contributor Role' on the resource "
        "group.",
    ),
    REFUSED: AzureErrorRule(
        CredentialsError,
        "the credentials were refused",
        "Check that the subscription belongs to the identity's tenant, and this machine's clock.",
    ),
    UNSUPPORTED: AzureErrorRule(
        JobError,
        "the service does not support this request",
        "Check that management_url is the address of Azure Resource Manager.",
    ),
    MISUSED: AzureErrorRule(
        JobError,
        "the SDK was used in a way it does not allow",
        "Update azure-mgmt-containerinstance and flowstone-azure.",
    ),
}
