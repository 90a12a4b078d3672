"""AzureBlobStorageCredentials: the block, its validation, and its login."""

from __future__ import annotations

import os
import re
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from flowstone.blocks import Credentials
from flowstone.errors import AccessDenied, CredentialsError
from flowstone_azure.errors import NARROW, read_code
from flowstone_azure.identities import Kind
from flowstone_azure.logins import LOGINS, BlobLogin, BlobLoginFields
from flowstone_azure.rules import EXPIRED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azure.storage.blob import BlobClient, BlobServiceClient, ContainerClient

#: Options that make `check` fail fast.
_CHECK_OPTIONS: dict[str, object] = {"retry_total": 1, "connection_timeout": 5, "read_timeout": 10}
#: The allowed options of the SDK's clients.
_OPTIONS = frozenset(
    {
        "api_version",
        "connection_timeout",
        "connection_verify",
        "increment_base",
        "initial_backoff",
        "read_timeout",
        "retry_connect",
        "retry_read",
        "retry_status",
        "retry_total",
    }
)
#: Variables for which obstore would write objects differently; others are passed to it.
_OF_OBSTORE = re.compile(
    "AZURE_(STORAGE_)?(DEFAULT_CONTENT_TYPE|DEFAULT_HEADERS|ENCRYPTION_KEY|HTTP|PROXY|ROOT_CERT).*"
)
#: The fields that are set, besides account_url, and the kind of credentials for them.
_KINDS: dict[frozenset[str], Kind] = {
    frozenset({"account_key"}): "account key",
    frozenset({"sas_token"}): "SAS",
    frozenset({"tenant_id", "client_id", "client_secret"}): "service principal",
    frozenset({"tenant_id", "client_id", "client_certificate"}): "certificate",
    frozenset({"tenant_id", "client_id", "client_certificate_path"}): "certificate",
    frozenset({"client_id"}): "managed identity",
    frozenset(): "default chain",
}


class AzureBlobStorageCredentials(Credentials):
    """Credentials for the Blob service of a storage account.

    Set one of these: `connection_string`; or `account_url` with an account key, a SAS, a service
    principal (tenant id and client id, with a secret or a certificate) or a managed identity (a
    client id only); or `account_url` only, to use the SDK's default chain. If no field is set, the
    credentials are taken from the environment.
    """

    _block_type_name: ClassVar[str | None] = "Azure Blob Storage Credentials"
    _description: ClassVar[str | None] = (
        "Credentials for Azure Blob Storage: the SDK's default chain, an identity, a key, or a SAS."
    )
    _code_example: ClassVar[str | None] = (
        "AzureBlobStorageCredentials(\n"
        '    account_url="https://mydata.blob.core.windows.net"\n'
        ').save("data")\n'
        'AzureBlobStorageCredentials.load("data").get_client().list_containers()'
    )

    connection_string: SecretStr | None = Field(
        default=None,
        description="The account's connection string; can't be combined with other fields.",
    )
    account_url: str | None = Field(
        default=None,
        description="The address of the Blob service: https://mydata.blob.core.windows.net.",
    )
    client_id: str | None = Field(
        default=None,
        description="The service principal's client id; alone, that of a managed identity.",
    )
    tenant_id: str | None = Field(default=None, description="The service principal's tenant.")
    client_secret: SecretStr | None = Field(
        default=None, description="The service principal's secret."
    )
    client_certificate: SecretStr | None = Field(
        default=None,
        description="The service principal's certificate with its private key, as PEM; or PKCS #12 "
        "in base64.",
    )
    client_certificate_path: Path | None = Field(
        default=None,
        description="A file with the certificate and its key; it is read again when it changes.",
    )
    client_certificate_password: SecretStr | None = Field(
        default=None, description="The password of the certificate's private key."
    )
    sas_token: SecretStr | None = Field(
        default=None, description="A SAS of the account, or of one container."
    )
    account_key: SecretStr | None = Field(default=None, description="A key of the account.")
    client_options: dict[str, Any] = Field(
        default_factory=dict,
        description='Options of the SDK\'s clients: {"retry_total": 8, "read_timeout": 20}.',
    )

    @field_validator("account_url")
    @classmethod
    def _is_a_url(cls, value: str | None) -> str | None:
        text = (value or "").strip().rstrip("/")
        if not text:
            return None
        parts = urlsplit(text)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("it must start with https:// and have a host")
        if parts.query or parts.username or parts.password:
            raise ValueError(
                "it must not contain credentials, which would be saved as plain text; put the part "
                "after the question mark into sas_token"
            )
        return text

    @field_validator("client_id", "tenant_id")
    @classmethod
    def _is_a_word(cls, value: str | None) -> str | None:
        return (value or "").strip() or None

    @field_validator(
        "connection_string",
        "client_secret",
        "client_certificate_password",
        "sas_token",
        "account_key",
    )
    @classmethod
    def _is_one_line(cls, value: SecretStr | None) -> SecretStr | None:
        text = _reveal(value)
        if text is not None and not text.isprintable():
            raise ValueError("it must not contain control characters")
        return None if text is None else SecretStr(text)

    @field_validator("client_options")
    @classmethod
    def _are_known(cls, value: dict[str, object]) -> dict[str, object]:
        unknown = sorted(set(value) - _OPTIONS)
        if unknown:
            known = ", ".join(sorted(_OPTIONS))
            raise ValueError(f"unknown option {unknown[0]!r}; the options are {known}")
        return value

    def client(self, service: Literal["blob"] = "blob", **overrides: Any) -> BlobServiceClient:
        """Return the SDK's client, which is shared and thread-safe.

        Args:
            service: ``blob`` is the only one.
            **overrides: options of `BlobServiceClient`. With them, it returns a new client, which
                you should close.

        Raises:
            CredentialsError: the fields are not valid credentials.
        """
        if service != "blob":
            raise CredentialsError(
                f"a client of Azure's {service!r}", "it is not supported", "Pass 'blob'."
            )
        login = self.find_login()
        return login.open_client(**overrides) if overrides else login.client()

    def get_client(self) -> BlobServiceClient:
        """Same as `client`."""
        return self.client()

    def get_container_client(self, container: str) -> ContainerClient:
        """Return the SDK's client of a container."""
        return self.client().get_container_client(container)

    def get_blob_client(self, container: str, blob: str) -> BlobClient:
        """Return the SDK's client of a blob."""
        return self.client().get_blob_client(container, blob)

    def find_login(self) -> BlobLogin:
        """Return the login for these fields, which blocks with equal fields share.

        Raises:
            CredentialsError: the fields are not valid credentials.
        """
        values = self._choose()
        return LOGINS.find(values, lambda: BlobLogin(values, self.client_options))

    def _choose(self) -> BlobLoginFields:
        text = _reveal(self.connection_string)
        others = {
            "account_key": _reveal(self.account_key),
            "sas_token": _reveal(self.sas_token),
            "client_secret": _reveal(self.client_secret),
            "client_certificate": _reveal(self.client_certificate),
            "client_certificate_path": self.client_certificate_path,
            "client_certificate_password": _reveal(self.client_certificate_password),
            "tenant_id": self.tenant_id,
            "client_id": self.client_id,
        }
        named = [name for name, value in others.items() if value]
        if text is None and self.account_url is None and not named:
            text = os.environ.get("AZURE_STORAGE_CONNECTION_STRING") or None
        if text is not None:
            if self.account_url or named:
                extra = ", ".join([*(["account_url"] if self.account_url else []), *named])
                raise _refuse(
                    f"connection_string can't be combined with {extra}",
                    "Set either connection_string or the other fields.",
                )
            return self._read_connection_string(text)
        url = self.account_url
        if url is None:
            account = os.environ.get("AZURE_STORAGE_ACCOUNT")
            if not account:
                raise _refuse(
                    "no account is given",
                    "Set account_url or connection_string, or AZURE_STORAGE_ACCOUNT or "
                    "AZURE_STORAGE_CONNECTION_STRING in the environment.",
                )
            url = f"https://{account}.blob.core.windows.net"
        return self._choose_kind(url, named)

    def _choose_kind(self, url: str, named: list[str]) -> BlobLoginFields:
        account = find_account(url)
        if "account_key" in named and not account:
            raise _refuse(
                "account_key needs the account's name, and account_url does not contain it",
                "Set connection_string with AccountName, AccountKey and BlobEndpoint instead.",
            )
        found = set(named)
        if {"client_certificate", "client_certificate_path"} & found:
            found.discard("client_certificate_password")
        kind = _KINDS.get(frozenset(found))
        if kind is None:
            raise _refuse(
                f"these fields are not valid credentials: {', '.join(named)}",
                "Set one of: account_key; sas_token; tenant_id and client_id, with client_secret, "
                "client_certificate or client_certificate_path; client_id alone, for a managed "
                "identity; none, for the SDK's default chain.",
            )
        return self._fields(
            kind=kind,
            url=url,
            account=account,
            secret=self._find_secret(kind),
            password=_reveal(self.client_certificate_password),
            tenant_id=self.tenant_id,
            client_id=self.client_id,
            around=describe_environment() if kind == "default chain" else "",
        )

    def _find_secret(self, kind: Kind) -> str | None:
        match kind:
            case "account key":
                return _reveal(self.account_key)
            case "SAS":
                return (_reveal(self.sas_token) or "").lstrip("?")
            case "service principal":
                return _reveal(self.client_secret)
            case "certificate" if self.client_certificate_path is not None:
                return _read_certificate(self.client_certificate_path)
            case "certificate":
                # In environment variables, newlines are often written as a backslash and an n.
                return (_reveal(self.client_certificate) or "").replace("\\n", "\n")
            case _:
                return None

    def _read_connection_string(self, text: str) -> BlobLoginFields:
        pairs = (part.partition("=") for part in text.split(";") if part.strip())
        words = {name.strip().lower(): value.strip() for name, _, value in pairs}
        if words.get("usedevelopmentstorage", "").lower() == "true":
            raise _refuse(
                "UseDevelopmentStorage is not supported",
                "Use the emulator's full connection string, as in its documentation.",
            )
        account, url = words.get("accountname", ""), words.get("blobendpoint", "").rstrip("/")
        if not url and account:
            scheme = words.get("defaultendpointsprotocol", "https")
            url = f"{scheme}://{account}.blob.{words.get('endpointsuffix', 'core.windows.net')}"
        key, sas = words.get("accountkey"), words.get("sharedaccesssignature")
        if not url or not (key or sas):
            raise _refuse(
                "connection_string is incomplete: it has no account, or neither a key nor a SAS",
                "Copy it from 'Access keys' in the account's page of the Azure portal.",
            )
        account = account or find_account(url)
        if key:
            return self._fields(kind="account key", url=url, account=account, secret=key)
        return self._fields(kind="SAS", url=url, account=account, secret=(sas or "").lstrip("?"))

    def _fields(self, **values: Any) -> BlobLoginFields:
        return BlobLoginFields(**values, options=repr(sorted(self.client_options.items())))

    def _check(self) -> str:
        values = self._choose()
        login = BlobLogin(values, self.client_options)
        if problem := login.find_problem():
            raise CredentialsError(f"Azure, with {login.who()}", problem, EXPIRED.remedy)
        with login.open_client(**{**_CHECK_OPTIONS, **self.client_options}) as client:
            try:
                with login.translate_errors():
                    client.get_account_information()
            except (AccessDenied, CredentialsError) as error:
                if login.sas and login.sas.scope:
                    return (
                        f"{login.who()} has not expired; its signature can't be checked before "
                        f"{login.sas.reach} is used"
                    )
                if read_code(error.__cause__) not in NARROW:
                    raise
                return f"{login.who()} can log in at {values.url}, but may not read account details"
        return f"{login.who()} can log in at {values.url}"


def find_account(url: str) -> str:
    """Return the account's name from the URL of its Blob service; "" if there is none."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if ".blob." in host:
        return host.partition(".")[0]
    return parts.path.strip("/")  # the emulator has the account in the path


def describe_environment() -> str:
    """Return the variables that the SDK's default chain reads, as part of a login's cache key."""
    return repr(sorted(item for item in os.environ.items() if item[0].startswith("AZURE_")))


def find_usual_vault() -> str | None:
    """Return the address of the key vault that the environment names; None without one."""
    url, name = os.environ.get("AZURE_KEYVAULT_URL"), os.environ.get("KEY_VAULT_NAME")
    return url or (f"https://{name}.vault.azure.net" if name else None)


def _read_certificate(path: Path) -> str:
    """Return the content of a PEM file, or of any other file in base64."""
    try:
        content = path.expanduser().read_bytes()
    except OSError as error:
        raise _refuse(
            f"client_certificate_path {str(path)!r} can't be read: {error.strerror}",
            "Check the path and its permissions.",
        ) from error
    return content.decode("latin-1") if b"-----BEGIN" in content else b64encode(content).decode()


def _refuse(problem: str, remedy: str) -> CredentialsError:
    return CredentialsError("Azure's Blob Storage", problem, remedy)


def _reveal(value: SecretStr | None) -> str | None:
    return value.get_secret_value().strip() or None if value is not None else None


def has_authorities(options: Mapping[str, object]) -> bool:
    """Return whether trusted certificates are set, in the options or in the environment.

    Args:
        options: options of the SDK's clients.
    """
    around = any(os.environ.get(name) for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"))
    return around or options.get("connection_verify", True) is not True


def has_variables_of_obstore() -> bool:
    """Return whether variables are set that obstore reads, but the SDK does not."""
    return any(map(_OF_OBSTORE.fullmatch, os.environ))
