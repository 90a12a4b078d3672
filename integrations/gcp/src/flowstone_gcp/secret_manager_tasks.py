"""Google's Secret Manager as tasks: create, update, read and delete, each with an async version.

Results of reads are never cached or stored: each run reads again.
"""

from __future__ import annotations

from pydantic import Secret, SecretBytes, SecretStr

from flowstone import make_async_twin, task
from flowstone_gcp.credentials import GcpCredentials
from flowstone_gcp.secret_manager import LATEST, GcpSecrets, SecretManager

#: A masked secret is not in logs, nor in the record of the run.
Value = str | bytes | SecretStr | SecretBytes | Secret[object]
#: A block of the provider has its own endpoint.
Login = GcpCredentials | GcpSecrets


@task(persist_result=False)
def create_secret(
    secret_name: str,
    gcp_credentials: Login,
    timeout: float = 60,
    project: str | None = None,
) -> str:
    """Create a secret without a value, and return its path; `update_secret` sets a value.

    Args:
        secret_name: the name of the secret.
        gcp_credentials: the credentials.
        timeout: how long the request may take, in seconds.
        project: the project of the secret; by default that of the credentials.

    Raises:
        SecretStoreError: it exists already, or Google refused the request.
        AccessDenied: the credentials have no permission to create it.
        CredentialsError: no credentials were found, or they were refused.

    Example:
        path = create_secret(secret_name, gcp_credentials)
    """
    return _service(gcp_credentials, timeout, project).create(secret_name)


@task(persist_result=False)
def update_secret(
    secret_name: str,
    secret_value: Value,
    gcp_credentials: Login,
    timeout: float = 60,
    project: str | None = None,
) -> str:
    """Add a version to a secret that exists, and return the version's path.

    Args:
        secret_name: the name of the secret, or its path.
        secret_value: text or bytes; preferably a `SecretStr`, which is not recorded in plain text.
        gcp_credentials: the credentials.
        timeout: how long the request may take, in seconds.
        project: the project of the secret; by default that of the credentials.

    Raises:
        SecretMissing: there is no such secret.
        SecretStoreError: Google refused the request.
        CredentialsError: no credentials were found, or they were refused.

    Example:
        path = update_secret(secret_name, secret_value, gcp_credentials)
    """
    return _service(gcp_credentials, timeout, project).add_version(
        secret_name, _reveal(secret_value)
    )


@task(persist_result=False)
def read_secret(
    secret_name: str,
    gcp_credentials: Login,
    version_id: str = LATEST,
    timeout: float = 60,
    project: str | None = None,
) -> str:
    """Return a secret as text.

    Args:
        secret_name: the name of the secret, or its path.
        gcp_credentials: the credentials.
        version_id: the number of the version, or an alias.
        timeout: how long the request may take, in seconds.
        project: the project of the secret; by default that of the credentials.

    Raises:
        SecretMissing: there is no such secret or version.
        SecretStoreError: it is not UTF-8 text; read it as bytes with `GcpSecret`.
        AccessDenied: the credentials have no permission to read it.
        CredentialsError: no credentials were found, or they were refused.

    Example:
        password = read_secret(secret_name, gcp_credentials)
    """
    service = _service(gcp_credentials, timeout, project)
    return service.read_text(secret_name, str(version_id))


@task(persist_result=False)
def delete_secret(
    secret_name: str,
    gcp_credentials: Login,
    timeout: float = 60,
    project: str | None = None,
) -> str:
    """Delete a secret with all its versions, and return its path.

    Args:
        secret_name: the name of the secret, or its path.
        gcp_credentials: the credentials.
        timeout: how long the request may take, in seconds.
        project: the project of the secret; by default that of the credentials.

    Raises:
        SecretMissing: there is no such secret.
        SecretStoreError: Google refused the request.
        CredentialsError: no credentials were found, or they were refused.

    Example:
        path = delete_secret(secret_name, gcp_credentials)
    """
    return _service(gcp_credentials, timeout, project).delete(secret_name)


@task(persist_result=False)
def delete_secret_version(
    secret_name: str,
    version_id: str,
    gcp_credentials: Login,
    timeout: float = 60,
    project: str | None = None,
) -> str:
    """Destroy a version of a secret permanently, and return the version's path.

    Args:
        secret_name: the name of the secret, or its path.
        version_id: the number of the version; ``latest`` is refused.
        gcp_credentials: the credentials.
        timeout: how long the request may take, in seconds.
        project: the project of the secret; by default that of the credentials.

    Raises:
        SecretMissing: there is no such secret or version.
        SecretStoreError: Google refused the request.
        CredentialsError: no credentials were found, or they were refused.

    Example:
        path = delete_secret_version(secret_name, version_id, gcp_credentials)
    """
    return _service(gcp_credentials, timeout, project).destroy_version(secret_name, str(version_id))


acreate_secret = make_async_twin(create_secret)
aupdate_secret = make_async_twin(update_secret)
aread_secret = make_async_twin(read_secret)
adelete_secret = make_async_twin(delete_secret)
adelete_secret_version = make_async_twin(delete_secret_version)


def _service(login: Login, timeout: float, project: str | None) -> SecretManager:
    place = login if isinstance(login, GcpSecrets) else GcpSecrets(gcp_credentials=login)
    return place.open_service(project, timeout)


def _reveal(value: Value) -> bytes:
    found = value if isinstance(value, (str, bytes)) else value.get_secret_value()
    return found if isinstance(found, bytes) else str(found).encode()
