"""Azure Key Vault as tasks: read, write and delete a secret, each with an async version.

Results of reads are never cached or stored: each run reads again.
"""

from __future__ import annotations

from pydantic import Secret, SecretBytes, SecretStr

from flowstone import make_async_twin, task
from flowstone_azure.key_vault import AzureKeyVault

#: A masked secret is not in logs, nor in the record of the run.
Value = str | bytes | SecretStr | SecretBytes | Secret[object]


@task(persist_result=False)
def key_vault_read_secret(
    secret_name: str, key_vault: AzureKeyVault, version: str | None = None
) -> str:
    """Return a secret as text.

    Args:
        secret_name: the name of the secret.
        key_vault: the vault.
        version: the id of the version; by default the current one.

    Raises:
        SecretMissing: there is no such secret or version.
        AccessDenied: the credentials have no permission to read it.
        CredentialsError: no credentials were found, or they were refused.

    Example:
        password = key_vault_read_secret(secret_name, key_vault)
    """
    return key_vault.open_vault().read(secret_name, version)


@task(persist_result=False)
def key_vault_write_secret(secret_name: str, secret_value: Value, key_vault: AzureKeyVault) -> str:
    """Write a secret, which is created if it does not exist, and return its new version.

    Args:
        secret_name: the name of the secret.
        secret_value: text, or bytes in UTF-8; preferably a `SecretStr`, which is not recorded in
            plain text.
        key_vault: the vault.

    Raises:
        SecretStoreError: it is not UTF-8 text, or Azure refused the request.
        AccessDenied: the credentials have no permission to write it.
        CredentialsError: no credentials were found, or they were refused.

    Example:
        version = key_vault_write_secret(secret_name, secret_value, key_vault)
    """
    return key_vault.open_vault().write(secret_name, _reveal(secret_value))


@task(persist_result=False)
def key_vault_delete_secret(secret_name: str, key_vault: AzureKeyVault) -> None:
    """Delete a secret; it can be recovered for a while.

    Args:
        secret_name: the name of the secret.
        key_vault: the vault.

    Raises:
        SecretMissing: there is no such secret.
        SecretStoreError: Azure refused the request.
        CredentialsError: no credentials were found, or they were refused.

    Example:
        key_vault_delete_secret(secret_name, key_vault)
    """
    key_vault.open_vault().delete(secret_name)


akey_vault_read_secret = make_async_twin(key_vault_read_secret)
akey_vault_write_secret = make_async_twin(key_vault_write_secret)
akey_vault_delete_secret = make_async_twin(key_vault_delete_secret)


def _reveal(value: Value) -> bytes:
    found = value if isinstance(value, (str, bytes)) else value.get_secret_value()
    return found if isinstance(found, bytes) else str(found).encode()
