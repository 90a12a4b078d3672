"""AWS Secrets Manager: a provider for references, and one secret as a block."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from flowstone.blocks import Block, SecretProvider, SecretStoreProvider
from flowstone.errors import SecretMissing, SecretStoreError
from flowstone.records.redaction import register
from flowstone_aws.credentials import AwsCredentials
from flowstone_aws.errors import read_code, translate_errors
from flowstone_aws.logs import keep_secrets
from flowstone_aws.rules import NO_SECRET

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from flowstone_aws.records import Client, JsonValue, Record

#: Ids of versions are at least as long as UUIDs; shorter ones are stages, such as AWSPREVIOUS.
SHORTEST_ID = 32


class SecretsManager:
    """The calls of the service, with Flowstone's errors."""

    def __init__(self, credentials: AwsCredentials) -> None:
        self._credentials = credentials

    @property
    def where(self) -> str:
        """Return the place, for messages."""
        endpoint = self._credentials.aws_client_parameters.endpoint_url
        region = self._credentials.region_name
        place = f" at {endpoint}" if endpoint else f" in {region}" if region else ""
        return f"AWS Secrets Manager{place}"

    def client(self) -> Client:
        """Return boto3's client, whose log records are redacted."""
        client = self._credentials.client("secretsmanager")
        keep_secrets()
        return client

    def translate_errors(self, name: str | None = None) -> AbstractContextManager[None]:
        """Translate the service's errors into Flowstone's."""
        return translate_errors(self.where, self._credentials.describe_login, name)

    def read(self, name: str, **wanted: JsonValue) -> str | bytes:
        """Return a secret as it is stored: text or bytes."""
        try:
            with self.translate_errors(name):
                answer = self.client().get_secret_value(SecretId=name, **wanted)
        except SecretStoreError as error:
            if read_code(error.__cause__) != "InvalidRequestException":
                raise
            # AWS says that it is "marked for deletion", or has no version in that stage.
            raise SecretMissing(error.where, error.problem, NO_SECRET.remedy) from error.__cause__
        found: str | bytes = answer.get("SecretString", answer.get("SecretBinary"))
        register(found if isinstance(found, str) else found.decode("utf-8", "backslashreplace"))
        return found

    def write(self, name: str, value: str | bytes, **options: JsonValue) -> Record:
        """Write a new version of a secret; create the secret if it does not exist."""
        content = _encode_content(value)
        try:
            with self.translate_errors(name):
                return self._put(name, {**content, **options})
        except SecretMissing:
            with self.translate_errors(name):
                created: Record = self.client().create_secret(Name=name, **content, **options)
                return created

    def _put(self, name: str, content: dict[str, object]) -> dict[str, object]:
        client = self.client()
        try:
            is_deleted = "DeletedDate" in client.describe_secret(SecretId=name)
        except Exception as error:
            if read_code(error) != "AccessDeniedException":
                raise
            is_deleted = False  # the credentials may write, but not describe
        if is_deleted:
            client.restore_secret(SecretId=name)  # it can be had back for a while
        found: Record = client.put_secret_value(SecretId=name, **content)
        return found

    def create(self, name: str, value: str | bytes, **options: object) -> Record:
        """Create a secret, and return the response of AWS."""
        content = _encode_content(value)
        with self.translate_errors(name):
            return _drop_metadata(self.client().create_secret(Name=name, **content, **options))

    def update(self, name: str, value: str | bytes, **options: JsonValue) -> Record:
        """Update an existing secret, and return the response of AWS."""
        content = _encode_content(value)
        with self.translate_errors(name):
            return _drop_metadata(self.client().update_secret(SecretId=name, **content, **options))

    def delete(
        self,
        name: str,
        recovery_window_in_days: int = 30,
        *,
        force: bool = False,
        **options: object,
    ) -> Record:
        """Delete a secret, permanently or recoverably, and return the response of AWS."""
        when: Record = {"RecoveryWindowInDays": recovery_window_in_days}
        if force:
            when = {"ForceDeleteWithoutRecovery": True}
            self.find_arn(name)  # with force, AWS also accepts names that do not exist
        with self.translate_errors(name):
            return _drop_metadata(self.client().delete_secret(SecretId=name, **when, **options))

    def find_arn(self, name: str) -> str:
        """Return the ARN of a secret."""
        with self.translate_errors(name):
            return str(self.client().describe_secret(SecretId=name)["ARN"])

    def list_names(self, prefix: str) -> Iterator[str]:
        """Yield the names of secrets, page by page."""
        wanted = {"Filters": [{"Key": "name", "Values": [prefix]}]} if prefix else {}
        with self.translate_errors():
            for page in self.client().get_paginator("list_secrets").paginate(**wanted):
                for secret in page["SecretList"]:
                    if secret["Name"].startswith(prefix) and "DeletedDate" not in secret:
                        yield secret["Name"]


def _drop_metadata(answer: Record) -> Record:
    """Return a response without its metadata."""
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def _encode_content(value: str | bytes) -> dict[str, str | bytes]:
    text = value if isinstance(value, str) else value.decode("utf-8", "backslashreplace")
    register(text)
    keep_secrets()
    return {"SecretString": value} if isinstance(value, str) else {"SecretBinary": value}


def parse_version(version: str | None) -> dict[str, str]:
    """Return the parameters that select a version: by its id, or by its stage."""
    if version is None:
        return {}
    return {"VersionId" if len(version) >= SHORTEST_ID else "VersionStage": version}


class AwsSecrets(SecretProvider):
    """AWS Secrets Manager, for references such as ``aws-secrets:db/password#user@AWSPREVIOUS``.

    A version is an id or a stage. A deleted secret can be restored for 30 days, or written again.
    """

    _block_type_name: ClassVar[str | None] = "AWS Secrets"
    _description: ClassVar[str | None] = "Secrets in AWS Secrets Manager."
    _code_example: ClassVar[str | None] = (
        'AwsSecrets().write("db/password", "s3cr3t")\nAwsSecrets().read("db/password")'
    )

    versions: ClassVar[bool] = True

    credentials: AwsCredentials = Field(
        default_factory=AwsCredentials, description="The credentials; by default, boto3 finds them."
    )

    def make_provider(self) -> SecretsManagerProvider:
        """Return the provider for Secrets Manager, with these credentials."""
        return SecretsManagerProvider(SecretsManager(self.credentials))


class SecretsManagerProvider(SecretStoreProvider):
    """Secrets in AWS Secrets Manager, by name."""

    def __init__(self, service: SecretsManager) -> None:
        self._service = service

    @property
    def where(self) -> str:
        return self._service.where

    def read(self, name: str, version: str | None) -> bytes:
        found = self._service.read(name, **parse_version(version))
        return found.encode() if isinstance(found, str) else found

    def write(self, name: str, value: bytes) -> str:
        try:
            content: str | bytes = value.decode()
        except UnicodeDecodeError:
            content = value
        version: str = self._service.write(name, content)["VersionId"]
        return version

    def delete(self, name: str) -> None:
        self._service.delete(name)

    def list_names(self, prefix: str) -> Iterator[str]:
        return self._service.list_names(prefix)


class AwsSecret(Block):
    """One secret of AWS Secrets Manager."""

    _block_type_name: ClassVar[str | None] = "AWS Secret"
    _description: ClassVar[str | None] = "One secret of AWS Secrets Manager, by its name."
    _code_example: ClassVar[str | None] = (
        'AwsSecret(secret_name="db/password").save("db")\nAwsSecret.load("db").read_secret()'
    )

    secret_name: str = Field(min_length=1, description="The secret's name, or its ARN.")
    aws_credentials: AwsCredentials = Field(
        default_factory=AwsCredentials, description="The credentials; by default, boto3 finds them."
    )

    def read_secret(
        self, version_id: str | None = None, version_stage: str | None = None, **read_kwargs: object
    ) -> str | bytes:
        """Return the secret as it is stored: text or bytes.

        Args:
            version_id: which version, by its id.
            version_stage: which version, by its stage; by default AWSCURRENT.
            **read_kwargs: further arguments of AWS's ``GetSecretValue``.

        Raises:
            SecretMissing: there is no such secret or version.
            AccessDenied: the credentials have no permission to read it.
            CredentialsError: no credentials were found, or they were refused.
        """
        return self._service().read(
            self.secret_name, **select_versions(version_id, version_stage), **read_kwargs
        )

    def write_secret(self, secret_data: str | bytes, **put_or_create_secret_kwargs: object) -> str:
        """Write the secret as text or bytes, create it if necessary, and return its ARN.

        Raises:
            SecretStoreError: AWS refused the request.
            AccessDenied: the credentials have no permission to write it.
            CredentialsError: no credentials were found, or they were refused.
        """
        done = self._service().write(self.secret_name, secret_data, **put_or_create_secret_kwargs)
        arn: str = done["ARN"]
        return arn

    def delete_secret(
        self,
        recovery_window_in_days: int = 30,
        force_delete_without_recovery: bool = False,
        **delete_kwargs: object,
    ) -> str:
        """Delete the secret, and return its ARN.

        Args:
            recovery_window_in_days: days in which it can be restored, 7 to 30.
            force_delete_without_recovery: delete it permanently, at once.
            **delete_kwargs: further arguments of AWS's ``DeleteSecret``.

        Raises:
            SecretMissing: there is no such secret.
            SecretStoreError: AWS refused the request.
        """
        done = self._service().delete(
            self.secret_name,
            recovery_window_in_days,
            force=force_delete_without_recovery,
            **delete_kwargs,
        )
        arn: str = done["ARN"]
        return arn

    async def aread_secret(
        self, version_id: str | None = None, version_stage: str | None = None, **read_kwargs: object
    ) -> str | bytes:
        """Async version of `read_secret`."""
        return await asyncio.to_thread(self.read_secret, version_id, version_stage, **read_kwargs)

    async def awrite_secret(
        self, secret_data: str | bytes, **put_or_create_secret_kwargs: object
    ) -> str:
        """Async version of `write_secret`."""
        return await asyncio.to_thread(
            self.write_secret, secret_data, **put_or_create_secret_kwargs
        )

    async def adelete_secret(
        self,
        recovery_window_in_days: int = 30,
        force_delete_without_recovery: bool = False,
        **delete_kwargs: object,
    ) -> str:
        """Async version of `delete_secret`."""
        return await asyncio.to_thread(
            self.delete_secret,
            recovery_window_in_days,
            force_delete_without_recovery,
            **delete_kwargs,
        )

    def _service(self) -> SecretsManager:
        return SecretsManager(self.aws_credentials)


def select_versions(version_id: str | None, version_stage: str | None) -> dict[str, str]:
    """Return the arguments for AWS that are set."""
    given = {"VersionId": version_id, "VersionStage": version_stage}
    return {name: value for name, value in given.items() if value is not None}
