"""GcpCredentials: the block, its validation, and its login."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from flowstone.blocks import Credentials
from flowstone.errors import AccessDenied, CredentialsError
from flowstone_gcp.access import make_database_access
from flowstone_gcp.errors import translate_errors
from flowstone_gcp.logins import LOGINS, GcpLogin, GcpLoginFields

if TYPE_CHECKING:
    from google.auth.credentials import Credentials as GoogleCredentials
    from google.cloud.bigquery import Client as BigQueryClient
    from google.cloud.secretmanager_v1 import SecretManagerServiceClient

    from flowstone.records.access import DatabaseAccess

CLOUD_PLATFORM = "https://www.googleapis.com/auth/cloud-platform"
#: Variables that the SDK's default chain depends on, besides its files.
_AROUND = ("GOOGLE_", "GCLOUD_", "GCE_", "CLOUDSDK_", "NO_GCE_CHECK", "STORAGE_EMULATOR_HOST")


class GcpCredentials(Credentials):
    """Credentials for Google Cloud.

    If no field is set, it uses application default credentials, as Google's SDK finds them: from
    the environment, ``gcloud``, a virtual machine, Cloud Run or workload identity. Tokens are
    renewed automatically.
    """

    _block_type_name: ClassVar[str | None] = "GCP Credentials"
    _description: ClassVar[str | None] = (
        "Credentials for Google Cloud: application default credentials, a key, or impersonation."
    )
    _code_example: ClassVar[str | None] = (
        'GcpCredentials(service_account_file="~/key.json").save("data")\n'
        'GcpCredentials.load("data").client("storage").list_buckets()'
    )

    service_account_file: Path | None = Field(
        default=None, description="A JSON file with a key, or with another kind of credentials."
    )
    service_account_info: SecretStr | None = Field(
        default=None,
        description="The same, as JSON or as a dict: a service account's key, an external account "
        "(workload identity), an authorized user.",
    )
    project: str | None = Field(
        default=None, description="The project; by default the key's or the environment's."
    )
    impersonation_chain: list[str] = Field(
        default_factory=list,
        description="Service accounts, each impersonated by the previous one; the last is used.",
    )
    scopes: list[str] = Field(
        default_factory=lambda: [CLOUD_PLATFORM], description="The OAuth scopes of tokens."
    )
    quota_project: str | None = Field(
        default=None, description="The project to bill, such as for requester-pays buckets."
    )
    endpoint: str | None = Field(
        default=None, description="The URL of Cloud Storage, such as that of an emulator."
    )
    anonymous: bool = Field(
        default=False, description="Whether to use no credentials, which works for public data."
    )
    timeout_seconds: float = Field(default=60.0, gt=0, description="Seconds to retry a request.")

    @field_validator("service_account_info", mode="before")
    @classmethod
    def _is_json(cls, value: object) -> object:
        return json.dumps(dict(value)) if isinstance(value, Mapping) else value

    @field_validator("impersonation_chain", mode="before")
    @classmethod
    def _is_a_list(cls, value: object) -> object:
        return [name.strip() for name in value.split(",")] if isinstance(value, str) else value

    @field_validator("endpoint")
    @classmethod
    def _is_a_url(cls, value: str | None) -> str | None:
        return clean_endpoint(value)

    def client(self, kind: str = "storage", **overrides: Any) -> Any:
        """Return the SDK's client, which is shared and thread-safe.

        Args:
            kind: ``storage``, also known as ``cloud_storage``, ``bigquery``, ``secret_manager``,
                ``cloud_run_jobs``, ``cloud_run_executions``, ``cloud_run_tasks`` or ``logging``.
            **overrides: arguments of `google.cloud.storage.Client` or
                `google.cloud.bigquery.Client`, instead of this block's. With them, it returns a
                new client. Others take ``endpoint`` only: the address of a region, or an emulator.

        Raises:
            CredentialsError: the fields are not valid credentials, or there is no such client.
            MissingExtra: the client's package is not installed.
        """
        return self._login().client(kind, **overrides)

    def get_client(self, client_type: str, **get_client_kwargs: Any) -> Any:
        """Same as `client`."""
        return self.client(getattr(client_type, "value", client_type), **get_client_kwargs)

    def get_cloud_storage_client(self, project: str | None = None) -> Any:
        """Same as ``client("storage")``, optionally for another project."""
        return self.client("storage", **({"project": project} if project else {}))

    def get_bigquery_client(
        self, project: str | None = None, location: str | None = None
    ) -> BigQueryClient:
        """Return a `google.cloud.bigquery.Client`.

        Args:
            project: the project in which its jobs run and are billed; by default the credentials'.
            location: where its jobs run; by default where the data is.

        Raises:
            CredentialsError: no credentials were found, or no project.
            MissingExtra: google-cloud-bigquery is not installed.
        """
        given = {"project": project, "location": location}
        found: BigQueryClient = self.client(
            "bigquery", **{name: value for name, value in given.items() if value}
        )
        return found

    def get_login(self) -> GcpLogin:
        """Return the login, whose clients and credentials are shared by equal blocks."""
        return self._login()

    def get_secret_manager_client(self) -> SecretManagerServiceClient:
        """Return a `google.cloud.secretmanager.SecretManagerServiceClient`, which is shared.

        Raises:
            CredentialsError: no credentials were found.
            MissingExtra: google-cloud-secret-manager is not installed.
        """
        found: SecretManagerServiceClient = self.client("secret_manager")
        return found

    def get_job_service_client(self, client_options: Any = None) -> Any:
        """Raise an error that shows how to create one: this package does not support Vertex AI."""
        return self.client("job_service", client_options=client_options)

    def get_job_service_async_client(self, client_options: Any = None) -> Any:
        """Raise an error that shows how to create one: this package does not support Vertex AI."""
        return self.client("job_service_async", client_options=client_options)

    def get_credentials(self) -> GoogleCredentials:
        """Return the google-auth credentials, for any of Google's clients; they renew themselves.

        Raises:
            CredentialsError: there are no credentials, or they can't be read.
        """
        return self._login().credentials()

    def get_credentials_from_service_account(self) -> GoogleCredentials:
        """Same as `get_credentials`."""
        return self.get_credentials()

    def get_access_token(self) -> str | None:
        """Return a new token, valid for up to an hour; None for an anonymous access."""
        return self._login().refresh()

    def access(self) -> DatabaseAccess:
        """Return the address and the credentials for another tool to connect to BigQuery.

        Raises:
            CredentialsError: the fields are not valid credentials.
        """
        return make_database_access(self._login(), self.project, {}, self.access)

    async def aaccess(self) -> DatabaseAccess:
        """Async version of `access`."""
        return await asyncio.to_thread(self.access)

    def find_project(self) -> str | None:
        """Return the project: the field's, the key's, or the environment's; None without one."""
        return self._login().project()

    def _login(self) -> GcpLogin:
        emulator = os.environ.get("STORAGE_EMULATOR_HOST")
        info = self.service_account_info
        text = info.get_secret_value().strip() if info is not None else ""
        file = self.service_account_file
        if text and file:
            raise CredentialsError(
                "Google Cloud",
                "service_account_info and service_account_file are both set",
                "Set only one of them.",
            )
        given = bool(text or file or self.impersonation_chain)
        if self.anonymous and given:
            raise CredentialsError(
                "Google Cloud",
                "anonymous=True can't be combined with credentials",
                "Remove anonymous, or the credentials.",
            )
        values = GcpLoginFields(
            info=text or None,
            file=str(file) if file else None,
            project=self.project or None,
            usual_project=_find_usual_project(),
            chain=tuple(self.impersonation_chain),
            scopes=tuple(self.scopes),
            quota_project=self.quota_project or None,
            endpoint=self.endpoint or _make_url(emulator),
            # Like the SDK, use no credentials for an emulator named by the environment.
            anonymous=self.anonymous or bool(emulator and not given and not self.endpoint),
            timeout=self.timeout_seconds,
            around=_describe_surroundings(file),
        )
        return LOGINS.find(values, lambda: GcpLogin(values))

    def _check(self) -> str:
        login = self._login()
        login.refresh()
        who, project = login.who(), login.project()
        where = self.endpoint or "Cloud Storage"
        if project is None and not self.anonymous and self.endpoint is None:
            return f"{who} got a token; without a project, Cloud Storage was not checked"
        try:
            with translate_errors(where, login.who):
                client = login.client("storage")
                buckets = client.list_buckets(
                    max_results=1, project=project or "-", timeout=login.timeout, retry=None
                )
                next(iter(buckets), None)
        except AccessDenied:
            return f"{who} can log in at {where}, but may not list the buckets of {project}"
        except CredentialsError:
            if not self.anonymous or self.endpoint is not None:
                raise
            return f"{where} can be reached with {who}: public data only"
        return f"{who} can log in at {where}" + (f", project {project}" if project else "")


def clean_endpoint(value: str | None) -> str | None:
    """Strip spaces and a trailing slash from the address of a service; return None for none.

    Raises:
        ValueError: it is not a URL, or contains credentials.
    """
    if value is None or not value.strip():
        return None
    parts = urlsplit(value.strip())
    if parts.scheme not in {"http", "https"}:
        raise ValueError("it must start with http:// or https://")
    if "@" in parts.netloc:
        raise ValueError("it must not contain credentials, which would be saved as plain text")
    return value.strip().rstrip("/")


def _find_usual_project() -> str | None:
    return os.environ.get("GOOGLE_CLOUD_PROJECT") or os.environ.get("GCLOUD_PROJECT") or None


def _make_url(host: str | None) -> str | None:
    if not host:
        return None
    return host.rstrip("/") if "://" in host else f"http://{host}"


def _describe_surroundings(file: Path | None) -> str:
    """Return the environment that a login depends on, as part of its cache key."""
    variables = sorted(item for item in os.environ.items() if item[0].startswith(_AROUND))
    config = os.environ.get("CLOUDSDK_CONFIG") or "~/.config/gcloud"
    files = (
        file,
        os.environ.get("GOOGLE_APPLICATION_CREDENTIALS"),
        f"{config}/application_default_credentials.json",
    )
    return repr((variables, [_read_mtime(path) for path in files if path]))


def _read_mtime(path: Path | str) -> int:
    try:
        return Path(path).expanduser().stat().st_mtime_ns
    except (OSError, RuntimeError):
        return 0
