"""SnowflakeCredentials: the block, its validation, and the arguments of connections."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from flowstone.blocks import Credentials
from flowstone_snowflake.errors import is_of_configuration, refuse_login, translate_errors
from flowstone_snowflake.keys import decode_key, encode_key, read_key_file

if TYPE_CHECKING:
    from snowflake.connector import SnowflakeConnection

Authenticator = Literal[
    "snowflake",
    "snowflake_jwt",
    "externalbrowser",
    "okta_endpoint",
    "oauth",
    "oauth_client_credentials",
    "programmatic_access_token",
    "username_password_mfa",
    "workload_identity",
]
Provider = Literal["AWS", "AZURE", "GCP", "OIDC"]
#: The fields that each authenticator needs, besides the account.
_NEEDS: dict[str, tuple[str, ...]] = {
    "snowflake": ("user", "password"),
    "snowflake_jwt": ("user",),
    "externalbrowser": ("user",),
    "okta_endpoint": ("user", "password", "endpoint"),
    "oauth": ("token",),
    "oauth_client_credentials": (
        "oauth_client_id",
        "oauth_client_secret",
        "oauth_token_request_url",
    ),
    "programmatic_access_token": ("token",),
    "username_password_mfa": ("user", "password"),
    "workload_identity": ("workload_identity_provider",),
}
WHO = "SELECT CURRENT_USER(), CURRENT_ROLE()"


class SnowflakeCredentials(Credentials):
    """Credentials for Snowflake: a password, a key pair, a token, a browser or a workload identity.

    Without an account, the connector's own default is used: the connection ``default`` of
    ``connections.toml``, or the one that SNOWFLAKE_DEFAULT_CONNECTION_NAME names.
    """

    _block_type_name: ClassVar[str | None] = "Snowflake Credentials"
    _description: ClassVar[str | None] = (
        "Credentials for Snowflake: a password, a key pair, a token, or a workload identity."
    )
    _code_example: ClassVar[str | None] = (
        "SnowflakeCredentials(\n"
        '    account="acme-prod", user="loader", private_key_path="~/loader.p8"\n'
        ').save("warehouse")'
    )

    account: str | None = Field(
        default=None,
        description="The account identifier, such as 'acme-prod' or 'xy12345.eu-west-1'.",
    )
    user: str | None = Field(default=None, description="The user's name.")
    password: SecretStr | None = Field(default=None, description="The user's password.")
    private_key: SecretStr | None = Field(
        default=None, description="An RSA key: PEM text, or DER as bytes or base64."
    )
    private_key_path: Path | None = Field(
        default=None, description="A file with an RSA key, PEM or DER."
    )
    private_key_passphrase: SecretStr | None = Field(
        default=None, description="The passphrase of an encrypted key."
    )
    authenticator: Authenticator = Field(
        default="snowflake",
        description="How to log in; with a private key, the default is key-pair authentication.",
    )
    workload_identity_provider: Provider | None = Field(
        default=None, description="The identity provider of this machine, for 'workload_identity'."
    )
    token: SecretStr | None = Field(
        default=None,
        description="An OAuth token, a programmatic access token, or an OIDC token of a workload.",
    )
    endpoint: str | None = Field(default=None, description="Okta's URL, for 'okta_endpoint'.")
    role: str | None = Field(default=None, description="The role; by default the user's.")
    autocommit: bool | None = Field(
        default=None,
        description="Whether clients commit each statement; by default the account's setting.",
    )
    passcode: SecretStr | None = Field(
        default=None, description="A code of a second factor, for 'username_password_mfa'."
    )
    oauth_client_id: str | None = Field(default=None, description="The OAuth client's id.")
    oauth_client_secret: SecretStr | None = Field(
        default=None, description="The OAuth client's secret."
    )
    oauth_token_request_url: str | None = Field(
        default=None, description="The URL from which the OAuth client gets tokens."
    )
    oauth_scope: str | None = Field(
        default=None, description="The OAuth scope; by default that of the role."
    )
    connection_name: str | None = Field(
        default=None, description="A connection of connections.toml; other fields override it."
    )
    connections_file: Path | None = Field(
        default=None,
        description="The file with connections; by default ~/.snowflake/connections.toml.",
    )
    server_url: str | None = Field(
        default=None,
        description="The service's URL, such as that of PrivateLink; by default the account's.",
    )
    login_timeout_seconds: int = Field(default=60, gt=0, description="Seconds to retry a login.")

    @field_validator("private_key", mode="before")
    @classmethod
    def _is_text(cls, value: object) -> object:
        return encode_key(value) if isinstance(value, bytes) else value

    @field_validator("server_url", "endpoint", "oauth_token_request_url")
    @classmethod
    def _is_a_url(cls, value: str | None) -> str | None:
        if value is None or not value.strip():
            return None
        parts = urlsplit(value.strip())
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("it must start with https:// or http://, and name a host")
        if "@" in parts.netloc:
            raise ValueError("it must not contain credentials, which would be saved as plain text")
        return value.strip().rstrip("/")

    @property
    def where(self) -> str:
        """The account, for messages."""
        return f"Snowflake {self.account}" if self.account else "Snowflake"

    def resolve_private_key(self) -> bytes | None:
        """Return the private key as unencrypted DER; None without one.

        Raises:
            CredentialsError: it can't be read, or the passphrase is missing or wrong.
        """
        key, path = _reveal(self.private_key), self.private_key_path
        if key and path:
            raise refuse_login(
                "private_key and private_key_path are both set", "Set only one of them."
            )
        if not key and not path:
            return None
        content = key or read_key_file(path or Path())
        return decode_key(content, _reveal(self.private_key_passphrase))

    def client(self, *args: object, **connect_kwargs: Any) -> SnowflakeConnection:
        """Open a connection of `snowflake.connector`; the caller closes it.

        Args:
            *args: must be empty; Snowflake has one kind of client.
            **connect_kwargs: arguments of `snowflake.connector.connect`, instead of this block's.

        Raises:
            CredentialsError: the fields are not valid credentials.
            DatabaseError: the service refused the connection, or can't be reached.
        """
        if args:
            raise TypeError(f"client() takes no positional arguments, and got {len(args)}")
        arguments = {**self.make_arguments(), **connect_kwargs}
        import snowflake.connector  # a block is created, saved and loaded without it

        with translate_errors(self.where):
            try:
                return snowflake.connector.connect(**arguments)
            except snowflake.connector.errors.Error as error:
                if not is_of_configuration(error):
                    raise
                named = arguments.get("connection_name")
                problem = f"there is no connection {named!r} in connections.toml"
        raise refuse_login(problem, "Set `account`, or add the connection to the file.")

    def get_client(self, **connect_kwargs: Any) -> SnowflakeConnection:
        """Same as `client`."""
        return self.client(**connect_kwargs)

    def make_arguments(self) -> dict[str, Any]:
        """Return the arguments of `snowflake.connector.connect`, with secrets as plain text.

        Raises:
            CredentialsError: the fields are not valid credentials.
        """
        arguments: dict[str, Any] = {
            "application": "Flowstone",
            "login_timeout": self.login_timeout_seconds,
            "role": self.role or None,
            "autocommit": self.autocommit,
            # Version 5 requires this option; a session ends when its connection is closed.
            "enable_server_session_keep_alive_auto_detection": False,
            **_split_url(self.server_url),
        }
        named = self.connection_name
        if not self.account and not named:
            named = os.environ.get("SNOWFLAKE_DEFAULT_CONNECTION_NAME") or "default"
        if named:
            arguments |= {"connection_name": named, "connections_file_path": self._find_file()}
        arguments |= {"account": self.account or None, "user": self.user or None}
        arguments |= self._make_login(is_named=named is not None)
        return {name: value for name, value in arguments.items() if value is not None}

    def _find_file(self) -> Path | None:
        return self.connections_file and self.connections_file.expanduser()

    def _make_login(self, *, is_named: bool) -> dict[str, Any]:
        """Return the arguments that authenticate."""
        key = self.resolve_private_key()
        kind = "snowflake_jwt" if key and self.authenticator == "snowflake" else self.authenticator
        if not is_named or kind != "snowflake":
            self._check_fields(kind, has_key=key is not None)
        given: dict[str, Any] = {
            "password": _reveal(self.password),
            "private_key": key,
            "token": _reveal(self.token),
            "passcode": _reveal(self.passcode),
            "workload_identity_provider": self.workload_identity_provider,
            "oauth_client_id": self.oauth_client_id,
            "oauth_client_secret": _reveal(self.oauth_client_secret),
            "oauth_token_request_url": self.oauth_token_request_url,
            "oauth_scope": self.oauth_scope,
        }
        if kind == "okta_endpoint":
            given["authenticator"] = self.endpoint
        elif kind != "snowflake" or not is_named:
            given["authenticator"] = kind
        return {name: value for name, value in given.items() if value}

    def _check_fields(self, kind: str, *, has_key: bool) -> None:
        missing = [name for name in _NEEDS[kind] if not _is_set(getattr(self, name))]
        if kind == "snowflake_jwt" and not has_key:
            missing.append("private_key")
        if kind == "workload_identity" and self.workload_identity_provider == "OIDC":
            missing += [] if _is_set(self.token) else ["token"]
        if not missing:
            return
        remedy = f"Set {' and '.join(missing)}, or another authenticator."
        if kind == "snowflake" and _is_set(self.token):
            remedy = "Set authenticator to 'programmatic_access_token' or 'oauth' for the token."
        raise refuse_login(f"authenticator {kind!r} needs {' and '.join(missing)}", remedy)

    def _check(self) -> str:
        with (
            translate_errors(self.where),
            closing(self.client()) as connection,
            connection.cursor() as cursor,
        ):
            cursor.execute(WHO)
            user, role = cursor.fetchone() or ("the user", None)
        return f"{user} can log in at {self.where}" + (f" with role {role}" if role else "")


def _reveal(secret: SecretStr | None) -> str | None:
    return (secret.get_secret_value() or None) if secret is not None else None


def _is_set(value: object) -> bool:
    return bool(value.get_secret_value() if isinstance(value, SecretStr) else value)


def _split_url(url: str | None) -> dict[str, Any]:
    if url is None:
        return {}
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return {"protocol": parts.scheme, "host": parts.hostname, "port": port}
