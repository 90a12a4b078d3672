"""Logins: a client of the Blob service for each set of values, opened once and shared."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import parse_qs, urlsplit

from flowstone.blocks import LoginCache
from flowstone.errors import AccessDenied, CredentialsError
from flowstone.records.redaction import register
from flowstone_azure.errors import NARROW, read_code, translate_errors
from flowstone_azure.identities import Kind, describe_identity, make_token_credential
from flowstone_azure.logs import keep_secrets
from flowstone_azure.rules import NO_DELEGATION
from flowstone_azure.sas import read_sas

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from azure.core.credentials import TokenCredential
    from azure.storage.blob import BlobServiceClient, UserDelegationKey

T = TypeVar("T")

#: The OAuth scope of tokens for the Blob service.
SCOPE = "https://storage.azure.com/.default"
#: The maximum validity of a user delegation key, and of URLs signed by it.
LONGEST_DELEGATED = timedelta(days=7)
#: Tolerance for a clock of this machine that is ahead.
SKEW = timedelta(minutes=5)
#: Kinds of credentials that use a token of Microsoft Entra.
TOKEN_KINDS = frozenset({"service principal", "certificate", "managed identity", "default chain"})


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobLoginFields:
    """The values of a login; logins with equal values are shared.

    Attributes:
        url: the URL of the account's Blob service, without a trailing slash.
        account: the account's name; empty if the URL does not contain it.
        secret: a key, a SAS, a client secret, or a certificate: PEM, or PKCS #12 in base64.
        password: the password of the certificate's key.
        options: the `repr` of the client options.
        around: the environment variables that the SDK's default chain reads.
    """

    kind: Kind
    url: str
    account: str
    client_id: str | None = None
    tenant_id: str | None = None
    secret: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    options: str = ""
    around: str = field(default="", repr=False)


class BlobLogin:
    """Credentials for one account's Blob service, with its client; thread-safe.

    Attributes:
        values: the values of the login.
        options: options of the SDK's clients, instead of the defaults.
        sas: the parsed SAS, if the credentials are one.
        takes_batches: whether to send batch requests; False after the service refused one.
    """

    def __init__(self, values: BlobLoginFields, options: dict[str, Any]) -> None:
        self.values, self.options = values, options
        self._lock, self._signing = threading.RLock(), threading.Lock()
        self._client: BlobServiceClient | None = None
        self._token: TokenCredential | None = None
        self.takes_batches = True
        self._is_hierarchical: bool | None = None
        self._delegation: tuple[UserDelegationKey, datetime] | None = None
        self._kept: dict[str, object] = {}
        for secret in (values.secret, values.password):
            if secret:
                register(secret)
        self.sas = read_sas(values.secret or "") if values.kind == "SAS" else None
        if self.sas:
            for signature in parse_qs(values.secret or "").get("sig", ()):
                register(signature)

    def __repr__(self) -> str:
        return f"<BlobLogin of {self.who()}>"

    def who(self) -> str:
        """Describe the credentials in use, without secrets."""
        values = self.values
        whose = values.account or urlsplit(values.url).hostname or "?"
        match values.kind:
            case "account key":
                return f"the account key of {whose!r}"
            case "SAS" if self.sas is not None:
                rights = f" with permissions {self.sas.rights!r}" if self.sas.rights else ""
                return f"a SAS of {self.sas.reach} in {whose!r}{rights}"
            case _:
                return describe_identity(values)

    def find_problem(self) -> str:
        """Return a problem that is known without a request, such as an expired SAS, or ""."""
        return self.sas.find_problem(datetime.now(UTC)) if self.sas else ""

    def translate_errors(self) -> AbstractContextManager[None]:
        """Translate errors of the SDK, in operations on the account."""
        return translate_errors(self.values.url, self)

    def client(self) -> BlobServiceClient:
        """Return the shared client."""
        with self._lock:
            if self._client is None:
                self._client = self.open_client()
            return self._client

    def open_client(self, **overrides: Any) -> BlobServiceClient:
        """Return a new client, with additional options."""
        # Importing the SDK takes 0.3 s, which flows that only refer to a container don't need.
        from azure.storage.blob import BlobServiceClient

        from flowstone_azure.transfers import CLIENT_DEFAULTS, open_transport

        options = {**CLIENT_DEFAULTS, **self.options, **overrides}
        if "transport" not in options:
            options["transport"] = open_transport(options)
        with self.translate_errors():
            try:
                client = BlobServiceClient(
                    self.values.url, credential=self._make_credential(), **options
                )
            except ValueError as error:
                remedy = "Check account_url and the fields of the credentials."
                raise CredentialsError(
                    f"Azure, with {self.who()}", f"can't create a client: {error}", remedy
                ) from error
        keep_secrets()
        return client

    def get_or_make(self, name: str, make: Callable[[], T]) -> T:
        """Return the cached object of this name; create it at first."""
        with self._lock:
            if name not in self._kept:
                self._kept[name] = make()
            return cast("T", self._kept[name])

    def get_token(self) -> str:
        """Return a valid token of Microsoft Entra; the SDK caches and renews it."""
        with self.translate_errors():
            token = self._find_token_credential().get_token(SCOPE).token
        keep_secrets()
        register(token)
        return token

    def is_hierarchical(self, container: str) -> bool:
        """Return whether the account has a hierarchical namespace; False if access is denied.

        Args:
            container: a container that the credentials have access to.
        """
        with self._lock:
            if self._is_hierarchical is None:
                try:
                    with self.translate_errors():
                        client = self.client().get_container_client(container)
                        found = client.get_account_information()
                except (AccessDenied, CredentialsError):
                    found = {}
                self._is_hierarchical = bool(found.get("is_hns_enabled"))
            return self._is_hierarchical

    def find_delegation_key(self, ends: datetime) -> UserDelegationKey:
        """Return a user delegation key, valid until `ends` at least; keys are cached.

        Raises:
            AccessDenied: the credentials lack the role for user delegation keys.
        """
        with self._signing:
            if self._delegation is None or self._delegation[1] < ends:
                now = datetime.now(UTC)
                ends = max(ends, now + timedelta(days=1))
                begins = max(now - SKEW, ends - LONGEST_DELEGATED)
                self._delegation = self._ask_for_key(begins, ends), ends
            return self._delegation[0]

    def _ask_for_key(self, begins: datetime, ends: datetime) -> UserDelegationKey:
        try:
            with self.translate_errors():
                key = self.client().get_user_delegation_key(begins, ends)
        except AccessDenied as error:
            if read_code(error.__cause__) not in NARROW:
                raise
            problem = f"{NO_DELEGATION.problem}, with {self.who()}"
            raise AccessDenied(self.values.url, problem, NO_DELEGATION.remedy) from error.__cause__
        register(key.value or "")
        return key

    def _make_credential(self) -> Any:
        from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential  # see above

        values = self.values
        if values.kind == "account key":
            return AzureNamedKeyCredential(values.account, values.secret or "")
        if values.kind == "SAS":
            return AzureSasCredential(values.secret or "")
        return self._find_token_credential()

    def _find_token_credential(self) -> TokenCredential:
        with self._lock:
            if self._token is None:
                # A proxy with its own certificate also intercepts the connection to Entra.
                verify = self.options.get("connection_verify", True)
                self._token = make_token_credential(
                    self.values, self.who, {"connection_verify": verify}
                )
            return self._token


#: The logins of this process.
LOGINS: LoginCache[BlobLogin] = LoginCache()
