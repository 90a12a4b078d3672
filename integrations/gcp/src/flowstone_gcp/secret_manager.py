"""Google's Secret Manager: a provider for references, and a single secret as a block."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, field_validator

from flowstone.blocks import Block, SecretProvider, SecretStoreProvider
from flowstone.errors import CredentialsError, SecretMissing, SecretStoreError
from flowstone.records.redaction import register
from flowstone_gcp.credentials import GcpCredentials, clean_endpoint
from flowstone_gcp.errors import translate_errors
from flowstone_gcp.rules import OF_SECRETS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from google.cloud.secretmanager_v1 import SecretManagerServiceClient

_NAME = re.compile(r"(?:projects/(?P<project>[^/]+)/secrets/)?(?P<name>[A-Za-z0-9_-]{1,255})")
#: The alias of the newest version.
LATEST = "latest"


class SecretManager:
    """The calls of the service, with Flowstone's errors.

    Args:
        credentials: the credentials.
        project: the project of the secrets; by default that of the credentials.
        endpoint: the address of a region's service, or of an emulator.
        timeout_seconds: seconds that each request may take; by default as in the credentials.
        replica_locations: the regions in which new secrets are stored; empty to let Google choose.
    """

    def __init__(
        self,
        credentials: GcpCredentials,
        project: str | None = None,
        endpoint: str | None = None,
        *,
        timeout_seconds: float | None = None,
        replica_locations: list[str] | None = None,
    ) -> None:
        self._login, self._project, self._endpoint = credentials.get_login(), project, endpoint
        self._timeout = timeout_seconds or credentials.timeout_seconds
        self._locations = replica_locations or []

    @property
    def where(self) -> str:
        """The place, for messages."""
        place = f" at {self._endpoint}" if self._endpoint else ""
        project = self._project or self._login.usual_project
        return f"Secret Manager{place}" + (f", project {project}" if project else "")

    def read(self, name: str, version: str = LATEST) -> bytes:
        """Return the value of a version."""
        path = f"{self._find_path(name)}/versions/{self._check_version(name, version)}"
        with self._translate(f"{name}, version {version}"):
            answer = self._client().access_secret_version(name=path, timeout=self._timeout)
        found: bytes = answer.payload.data
        register(found.decode("utf-8", "backslashreplace"))
        return found

    def read_text(self, name: str, version: str = LATEST) -> str:
        """Return the value of a version as text."""
        try:
            return self.read(name, version).decode()
        except UnicodeDecodeError:
            problem = f"version {version} is not UTF-8 text"
        remedy = "Read it as bytes, with `GcpSecret.read_secret`."
        raise SecretStoreError(f"{self.where}/{name}", problem, remedy)

    def add_version(self, name: str, value: bytes) -> str:
        """Add a version to an existing secret, and return the version's path."""
        register(value.decode("utf-8", "backslashreplace"))
        path = self._find_path(name)
        with self._translate(name):
            made = self._client().add_secret_version(
                request={"parent": path, "payload": {"data": value}}, timeout=self._timeout
            )
            return str(made.name)

    def write(self, name: str, value: bytes) -> str:
        """Add a version to a secret, which is created if it does not exist; return its path."""
        try:
            return self.add_version(name, value)
        except SecretMissing:
            self.create(name)
        return self.add_version(name, value)

    def create(self, name: str) -> str:
        """Create a secret without a version, and return its path."""
        parent, _, secret_id = self._find_path(name).rpartition("/secrets/")
        with self._translate(name):
            made = self._client().create_secret(
                request={
                    "parent": parent,
                    "secret_id": secret_id,
                    "secret": {"replication": self._make_replication()},
                },
                timeout=self._timeout,
            )
            return str(made.name)

    def delete(self, name: str) -> str:
        """Delete a secret with all its versions, and return its path."""
        path = self._find_path(name)
        with self._translate(name):
            self._client().delete_secret(name=path, timeout=self._timeout)
        return path

    def destroy_version(self, name: str, version: str) -> str:
        """Destroy a version permanently, and return its path."""
        if version == LATEST:
            problem = "a version that is destroyed must be named by its number, not 'latest'"
            raise SecretStoreError(f"{self.where}/{name}", problem, "Pass a number, such as '3'.")
        path = f"{self._find_path(name)}/versions/{self._check_version(name, version)}"
        with self._translate(f"{name}, version {version}"):
            self._client().destroy_secret_version(name=path, timeout=self._timeout)
        return path

    def list_names(self, prefix: str) -> Iterator[str]:
        """Yield the names of secrets, page by page."""
        request: dict[str, object] = {"parent": f"projects/{self._find_project()}"}
        if prefix:
            request["filter"] = f"name:{prefix}"  # matches anywhere in the name
        with self._translate():
            for secret in self._client().list_secrets(request=request, timeout=self._timeout):
                name = secret.name.rpartition("/")[2]
                if name.startswith(prefix):
                    yield name

    def _make_replication(self) -> dict[str, object]:
        if not self._locations:
            return {"automatic": {}}
        return {"user_managed": {"replicas": [{"location": each} for each in self._locations]}}

    def _find_path(self, name: str) -> str:
        found = _NAME.fullmatch(name)
        if found is None:
            raise SecretStoreError(
                self.where,
                f"{name!r} is not the name of a secret",
                "Use letters, digits, hyphens and underscores; or projects/PROJECT/secrets/NAME.",
            )
        return f"projects/{found['project'] or self._find_project()}/secrets/{found['name']}"

    def _check_version(self, name: str, version: str) -> str:
        if not re.fullmatch(r"[\w-]+", version):
            problem = f"{version!r} is not a version"
            raise SecretStoreError(f"{self.where}/{name}", problem, "Pass a number, or an alias.")
        return version

    def _find_project(self) -> str:
        project = self._project or self._login.find_project()
        if not project:
            raise CredentialsError(
                "Secret Manager",
                f"there is no project to search, with {self._login.who()}",
                "Set project here or in the credentials, or GOOGLE_CLOUD_PROJECT.",
            )
        return project

    def _client(self) -> SecretManagerServiceClient:
        found: SecretManagerServiceClient = self._login.client(
            "secret_manager", endpoint=self._endpoint
        )
        return found

    def _translate(self, name: str | None = None) -> AbstractContextManager[None]:
        return translate_errors(self.where, self._login.who, name, OF_SECRETS)


class GcpSecrets(SecretProvider):
    """Google's Secret Manager, for references such as ``gcp-secret:db-password#user@3``.

    A version is a number, or an alias of one.
    """

    _block_type_name: ClassVar[str | None] = "GCP Secrets"
    _description: ClassVar[str | None] = "Secrets in Google's Secret Manager."
    _code_example: ClassVar[str | None] = (
        'GcpSecrets().write("db-password", "s3cr3t")\nGcpSecrets().read("db-password")'
    )

    versions: ClassVar[bool] = True

    gcp_credentials: GcpCredentials = Field(
        default_factory=GcpCredentials,
        description="The credentials; by default, application default credentials.",
    )
    project: str | None = Field(
        default=None, description="The project of the secrets; by default the credentials'."
    )
    endpoint: str | None = Field(
        default=None,
        description="The address of a region's service, "
        "https://secretmanager.europe-west3.rep.googleapis.com, or of an emulator.",
    )
    replica_locations: list[str] = Field(
        default_factory=list,
        description="The regions in which new secrets are stored; by default Google chooses.",
    )

    @field_validator("endpoint")
    @classmethod
    def _is_a_url(cls, value: str | None) -> str | None:
        return clean_endpoint(value)

    def make_provider(self) -> GcpSecretsProvider:
        """Return the provider that reads from Secret Manager."""
        return GcpSecretsProvider(self)

    def open_service(
        self, project: str | None = None, timeout_seconds: float | None = None
    ) -> SecretManager:
        """Return the calls of the service, optionally for another project."""
        return SecretManager(
            self.gcp_credentials,
            project or self.project,
            self.endpoint,
            timeout_seconds=timeout_seconds,
            replica_locations=self.replica_locations,
        )


class GcpSecretsProvider(SecretStoreProvider):
    """Secrets in Secret Manager, by name."""

    def __init__(self, block: GcpSecrets) -> None:
        self._block = block

    @property
    def where(self) -> str:
        return self._block.open_service().where

    def read(self, name: str, version: str | None) -> bytes:
        return self._block.open_service().read(name, version or LATEST)

    def write(self, name: str, value: bytes) -> str:
        return self._block.open_service().write(name, value).rpartition("/")[2]

    def delete(self, name: str) -> None:
        self._block.open_service().delete(name)

    def list_names(self, prefix: str) -> Iterator[str]:
        return self._block.open_service().list_names(prefix)


class GcpSecret(Block):
    """A single secret in Google's Secret Manager."""

    _block_type_name: ClassVar[str | None] = "GCP Secret"
    _description: ClassVar[str | None] = "A single secret in Google's Secret Manager."
    _code_example: ClassVar[str | None] = (
        'GcpSecret(secret_name="db-password").save("db")\nGcpSecret.load("db").read_secret()'
    )

    gcp_credentials: GcpCredentials = Field(
        default_factory=GcpCredentials,
        description="The credentials; by default, application default credentials.",
    )
    secret_name: str = Field(
        min_length=1, description="The secret's name, or projects/PROJECT/secrets/NAME."
    )
    secret_version: str = Field(default=LATEST, description="The version to read.")
    endpoint: str | None = Field(
        default=None, description="The address of a region's service, or of an emulator."
    )

    @field_validator("endpoint")
    @classmethod
    def _is_a_url(cls, value: str | None) -> str | None:
        return clean_endpoint(value)

    def read_secret(self) -> bytes:
        """Return the secret.

        Raises:
            SecretMissing: there is no such secret or version.
            AccessDenied: the credentials have no permission to read it.
            CredentialsError: no credentials were found, or they were refused.
        """
        return self._service().read(self.secret_name, self.secret_version)

    def write_secret(self, secret_data: bytes) -> str:
        """Write a new version of the secret, and return the version's path.

        A secret that does not exist is created.

        Raises:
            SecretStoreError: Google refused the request.
            AccessDenied: the credentials have no permission to write it.
            CredentialsError: no credentials were found, or they were refused.
        """
        return self._service().write(self.secret_name, secret_data)

    def delete_secret(self) -> str:
        """Delete the secret with all its versions, and return its path.

        Raises:
            SecretMissing: there is no such secret.
            SecretStoreError: Google refused the request.
        """
        return self._service().delete(self.secret_name)

    async def aread_secret(self) -> bytes:
        """Async version of `read_secret`."""
        return await asyncio.to_thread(self.read_secret)

    async def awrite_secret(self, secret_data: bytes) -> str:
        """Async version of `write_secret`."""
        return await asyncio.to_thread(self.write_secret, secret_data)

    async def adelete_secret(self) -> str:
        """Async version of `delete_secret`."""
        return await asyncio.to_thread(self.delete_secret)

    def _service(self) -> SecretManager:
        return SecretManager(self.gcp_credentials, endpoint=self.endpoint)
