"""DbtCloudCredentials: credentials of dbt Cloud; only this module reads the token."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar, Literal, TypeVar

from pydantic import Field, SecretStr, field_validator

from flowstone.blocks import Credentials
from flowstone.errors import CredentialsError, JobLost
from flowstone_dbt.cloud.clients import (
    MAX_RETRIES,
    TIMEOUT_SECONDS,
    DbtCloudAdministrativeClient,
    DbtCloudMetadataClient,
    read_data,
)
from flowstone_dbt.cloud.domains import DOMAIN, clean_domain, make_url
from flowstone_dbt.cloud.ending import end_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from flowstone.records.events import ExternalHandle

T = TypeVar("T")
ClientType = Literal["administrative", "metadata"]
Client = DbtCloudAdministrativeClient | DbtCloudMetadataClient


class DbtCloudCredentials(Credentials):
    """Credentials of dbt Cloud.

    Without `api_key`, the environment variables of dbt Labs' Terraform provider are used:
    ``DBT_CLOUD_TOKEN``, and for fields that are not set, ``DBT_CLOUD_ACCOUNT_ID`` and
    ``DBT_CLOUD_HOST_URL``.
    """

    _block_type_name: ClassVar[str | None] = "dbt Cloud Credentials"
    _block_type_slug: ClassVar[str | None] = "dbt-cloud-credentials"
    _description: ClassVar[str | None] = "Credentials of dbt Cloud: a token and an account."
    _documentation_url: ClassVar[str | None] = (
        "https://docs.getdbt.com/docs/dbt-cloud-apis/authentication"
    )
    _code_example: ClassVar[str | None] = (
        "DbtCloudCredentials(\n"
        '    api_key="env:DBT_CLOUD_TOKEN", account_id=12345, domain="ab123.us1.dbt.com"\n'
        ').save("analytics")'
    )

    _tried_again: ClassVar[tuple[str, ...]] = ("client", "_check", "ask")

    api_key: SecretStr | None = Field(
        default=None, description="A service token, or a personal access token."
    )
    account_id: int | None = Field(default=None, description="The id of the account.")
    domain: str = Field(
        default=DOMAIN,
        description="The host of the account's access URL, such as 'ab123.us1.dbt.com'.",
    )
    metadata_domain: str | None = Field(
        default=None,
        description="The host of the Discovery API; by default derived from `domain`.",
    )
    timeout_seconds: float = Field(
        default=TIMEOUT_SECONDS, gt=0, description="Timeout of connects and of reads, in seconds."
    )
    max_retries: int = Field(
        default=MAX_RETRIES,
        ge=0,
        description="Maximum number of retries if dbt Cloud is busy or does not answer.",
    )

    @field_validator("domain", "metadata_domain")
    @classmethod
    def _clean(cls, value: str | None) -> str | None:
        return None if value is None else clean_domain(value)

    def client(self, client_type: ClientType = "administrative") -> Client:
        """Open a client; close it when you are done, preferably with `with`.

        Args:
            client_type: ``administrative`` or ``metadata``.

        Raises:
            CredentialsError: there is no token, or no account.
        """
        openings: dict[str, Callable[[], Client]] = {
            "administrative": self.get_administrative_client,
            "metadata": self.get_metadata_client,
        }
        if (opening := openings.get(client_type)) is None:
            problem = f"there is no client {client_type!r}"
            remedy = f"Ask for {' or '.join(map(repr, openings))}."
            raise CredentialsError(type(self).__name__, problem, remedy)
        return opening()

    def get_client(self, client_type: ClientType = "administrative") -> Client:
        """Alias of `client`."""
        return self.client(client_type)

    def get_administrative_client(self) -> DbtCloudAdministrativeClient:
        """Open a client of the administrative API: jobs, runs, artifacts.

        Raises:
            CredentialsError: there is no token, or no account.
        """
        return DbtCloudAdministrativeClient(
            self._find_key(),
            self._find_account(),
            self.find_domain(),
            timeout_seconds=self.timeout_seconds,
            max_retries=self.max_retries,
        )

    def get_metadata_client(self) -> DbtCloudMetadataClient:
        """Open a client of the Discovery API.

        Raises:
            CredentialsError: there is no token.
        """
        named = self.metadata_domain
        url = None if named is None else f"{make_url(named)}/graphql"
        return DbtCloudMetadataClient(
            self._find_key(),
            self.find_domain(),
            metadata_url=url,
            timeout_seconds=self.timeout_seconds,
            max_retries=self.max_retries,
        )

    def ask(self, question: Callable[[DbtCloudAdministrativeClient], T]) -> T:
        """Call a function with a client of the administrative API, close it, and return the result.

        Args:
            question: called with the client. If the token is refused, and is a reference that
                resolves to another one by now, it is called once more.

        Raises:
            FlowstoneError: an error of the function.
        """
        with self.get_administrative_client() as client:
            return question(client)

    def cancel_external(self, handle: ExternalHandle) -> None:
        """Cancel a run by its handle; called by `flowstone run cleanup`.

        A run that no longer exists counts as ended.

        Raises:
            FlowstoneError: it can't be cancelled.
        """
        with suppress(JobLost):
            self.ask(lambda client: end_run(client, handle.id))

    def find_domain(self) -> str:
        """Return the host of requests."""
        named = os.environ.get("DBT_CLOUD_HOST_URL")
        if self.api_key is None and self.domain == DOMAIN and named:
            try:
                return clean_domain(named)
            except ValueError as error:
                problem = f"DBT_CLOUD_HOST_URL is not a domain: {error}"
            raise CredentialsError(type(self).__name__, problem, "Set it, or `domain`.")
        return self.domain

    def _find_key(self) -> str:
        if self.api_key is not None:
            return self.api_key.get_secret_value()
        if key := os.environ.get("DBT_CLOUD_TOKEN"):
            return key
        remedy = "Set it, or the environment variable DBT_CLOUD_TOKEN."
        raise CredentialsError(type(self).__name__, "`api_key` is not set", remedy)

    def _find_account(self) -> int:
        if self.account_id is not None:
            return self.account_id
        named = os.environ.get("DBT_CLOUD_ACCOUNT_ID", "").strip()
        if self.api_key is None and named.isdigit():
            return int(named)
        remedy = "Set it, or, together with DBT_CLOUD_TOKEN, DBT_CLOUD_ACCOUNT_ID: a number."
        raise CredentialsError(type(self).__name__, "`account_id` is not set", remedy)

    def _check(self) -> str:
        # A check should be quick, and can be repeated.
        hasty = self.model_copy(update={"max_retries": min(self.max_retries, 1)})
        with hasty.get_administrative_client() as client:
            account = read_data(client.get_account())
        return f"account {account['name']!r} ({account['id']}) at {self.find_domain()}"
