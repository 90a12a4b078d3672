"""AWS Secrets Manager as tasks: read, create, update and delete, each with an async version.

Results of reads are never cached or stored: each run reads again.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Secret, SecretBytes, SecretStr

from flowstone import make_async_twin, task
from flowstone_aws.credentials import AwsCredentials
from flowstone_aws.secrets import SecretsManager, select_versions

#: A masked secret is not in logs, nor in the record of the run.
Value = str | bytes | SecretStr | SecretBytes | Secret[Any]


@task(persist_result=False)
def aws_secret_read(
    secret_name: str,
    aws_credentials: AwsCredentials | None = None,
    version_id: str | None = None,
    version_stage: str | None = None,
) -> str | bytes:
    """Return a secret as it is stored: text or bytes.

    Args:
        secret_name: its name, or its ARN.
        aws_credentials: the credentials; by default those that boto3 finds.
        version_id: which version, by its id.
        version_stage: which version, by its stage; by default AWSCURRENT.

    Raises:
        SecretMissing: there is no such secret or version.
        AccessDenied: the credentials have no permission to read it.
        CredentialsError: no credentials were found, or they were refused.
        Unreachable: AWS can't be reached.

    Example:
        password = aws_secret_read(secret_name, aws_credentials)
    """
    return _service(aws_credentials).read(secret_name, **select_versions(version_id, version_stage))


@task(persist_result=False)
def aws_secret_create(
    secret_name: str,
    secret_value: Value,
    aws_credentials: AwsCredentials | None = None,
    description: str | None = None,
    tags: list[dict[str, str]] | None = None,
) -> dict[str, str]:
    """Create a secret, and return its ``ARN``, ``Name`` and ``VersionId``.

    Args:
        secret_name: its name.
        secret_value: text or bytes; preferably a `SecretStr`, such as a block's.
        aws_credentials: the credentials; by default those that boto3 finds.
        description: its description.
        tags: the tags in AWS's format: ``[{"Key": "team", "Value": "data"}]``.

    Raises:
        SecretStoreError: the secret exists already, or AWS refused the request.
        AccessDenied: the credentials have no permission to create it.
        CredentialsError: no credentials were found, or they were refused.

    Example:
        arn = aws_secret_create(secret_name, secret_value, aws_credentials)["ARN"]
    """
    options = {"Description": description, "Tags": tags}
    given = {name: value for name, value in options.items() if value is not None}
    return _service(aws_credentials).create(secret_name, _reveal(secret_value), **given)


@task(persist_result=False)
def aws_secret_update(
    secret_name: str,
    secret_value: Value,
    aws_credentials: AwsCredentials | None = None,
    description: str | None = None,
) -> dict[str, str]:
    """Update an existing secret, and return its ``ARN``, ``Name`` and ``VersionId``.

    Args:
        secret_name: its name, or its ARN.
        secret_value: text or bytes; preferably a `SecretStr`, such as a block's.
        aws_credentials: the credentials; by default those that boto3 finds.
        description: its description.

    Raises:
        SecretMissing: there is no such secret.
        SecretStoreError: AWS refused the request.
        CredentialsError: no credentials were found, or they were refused.

    Example:
        version = aws_secret_update(secret_name, secret_value, aws_credentials)["VersionId"]
    """
    given = {} if description is None else {"Description": description}
    return _service(aws_credentials).update(secret_name, _reveal(secret_value), **given)


@task(persist_result=False)
def aws_secret_delete(
    secret_name: str,
    aws_credentials: AwsCredentials | None = None,
    recovery_window_in_days: int = 30,
    force_delete_without_recovery: bool = False,
) -> dict[str, str | datetime]:
    """Delete a secret, and return its ``ARN``, ``Name`` and ``DeletionDate``.

    Args:
        secret_name: its name, or its ARN.
        aws_credentials: the credentials; by default those that boto3 finds.
        recovery_window_in_days: days in which it can be restored, 7 to 30.
        force_delete_without_recovery: delete it permanently, at once.

    Raises:
        SecretMissing: there is no such secret.
        SecretStoreError: AWS refused the request.
        CredentialsError: no credentials were found, or they were refused.

    Example:
        aws_secret_delete(secret_name, aws_credentials, recovery_window_in_days=7)
    """
    return _service(aws_credentials).delete(
        secret_name, recovery_window_in_days, force=force_delete_without_recovery
    )


aaws_secret_read = make_async_twin(aws_secret_read)
aaws_secret_create = make_async_twin(aws_secret_create)
aaws_secret_update = make_async_twin(aws_secret_update)
aaws_secret_delete = make_async_twin(aws_secret_delete)


#: Aliases of the tasks.
read_secret, aread_secret = aws_secret_read, aaws_secret_read
create_secret, acreate_secret = aws_secret_create, aaws_secret_create
update_secret, aupdate_secret = aws_secret_update, aaws_secret_update
delete_secret, adelete_secret = aws_secret_delete, aaws_secret_delete


def _service(login: AwsCredentials | None) -> SecretsManager:
    return SecretsManager(login or AwsCredentials())


def _reveal(value: Value) -> str | bytes:
    return value if isinstance(value, (str, bytes)) else value.get_secret_value()
