"""Credentials for AWS and for MinIO: blocks whose fields become logins."""

from __future__ import annotations

import os
import re
from abc import abstractmethod
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar, overload

from pydantic import Field, SecretStr, field_validator

from flowstone.blocks import Credentials
from flowstone.errors import AccessDenied, CredentialsError, FlowstoneError, Unreachable
from flowstone_aws.errors import translate_errors
from flowstone_aws.logins import FALLBACK_REGION, LOGINS, Login, LoginFields
from flowstone_aws.parameters import AssumeRoleParameters, AwsClientParameters

if TYPE_CHECKING:
    from collections.abc import Callable

    import boto3
    from types_boto3_s3.client import S3Client

T = TypeVar("T")

#: A check returns quickly: it makes two attempts at most.
_PATIENCE: dict[str, Any] = {
    "retries": {"total_max_attempts": 2},
    "connect_timeout": 5,
    "read_timeout": 10,
}
_OF_OBSTORE = re.compile(
    "AWS_(CHECKSUM_ALGORITHM|DEFAULT_CONTENT_TYPE|DEFAULT_HEADERS|HTTP|PROXY|ROOT_CERT"
    "|SERVER_SIDE_ENCRYPTION|SSE_).*"
)


class _Login(Credentials):
    """The part that both share: a region, how to connect, and clients."""

    region_name: str | None = Field(
        default=None, description="The region, such as 'eu-central-1'; by default, boto3's."
    )
    aws_client_parameters: AwsClientParameters = Field(
        default_factory=AwsClientParameters, description="How clients connect: endpoint, config."
    )

    @overload
    def client(self, service: Literal["s3"], **overrides: Any) -> S3Client: ...
    @overload
    def client(self, service: str, **overrides: Any) -> Any: ...
    def client(self, service: str, **overrides: Any) -> Any:
        """Return a client of boto3, the same one each time; it is thread-safe.

        Args:
            service: the service, as boto3 names it: ``s3``, ``sts``, ``secretsmanager``, …
            **overrides: arguments of `boto3.Session.client`, instead of those of this block.

        Raises:
            CredentialsError: the fields are not valid, or there is no such client.
        """
        return self._login().client(service, **overrides)

    def get_boto3_session(self) -> boto3.Session:
        """Return the boto3 session of the clients, which renews temporary credentials.

        `aws_client_parameters` do not apply to it; they are for clients.
        """
        return self._login().session()

    def get_client(self, client_type: str) -> Any:
        """Same as `client`."""
        return self.client(getattr(client_type, "value", client_type))

    def get_s3_client(self) -> S3Client:
        """Same as ``client("s3")``."""
        return self.client("s3")

    def get_secrets_manager_client(self) -> Any:
        """Same as ``client("secretsmanager")``."""
        return self.client("secretsmanager")

    @abstractmethod
    def _values(self) -> dict[str, Any]:
        """Return the fields for `LoginFields`, by name, and `role` as a dict."""

    def _login(self) -> Login:
        values, new = self._find_login()
        return LOGINS.find(values, new)

    def _find_login(self) -> tuple[LoginFields, Any]:
        found = self._values()
        role = found.pop("role", {})
        parameters = self.aws_client_parameters.get_params_override()
        values = LoginFields(
            **found,
            region=self.region_name or None,
            role=repr(sorted(role.items())),
            client=repr(sorted(parameters.items())),
            around=_describe_surroundings(),
        )
        return values, lambda: Login(values, parameters, role)

    def get_or_make(self, name: str, make: Callable[[], T]) -> T:
        """Return an object that all blocks with equal credentials share; create it at first."""
        return self._login().get_or_make(name, make)

    def describe_login(self) -> str:
        """Return a description of the credentials, without secrets."""
        return self._login().who()

    def _open_fresh(self) -> Login:
        """Return a login with empty caches."""
        login: Login = self._find_login()[1]()
        return login

    def _by_s3(self, login: Login) -> str:
        """Check the access to S3."""
        where = self.aws_client_parameters.endpoint_url or "AWS's S3"
        client = login.client("s3", **_limit_waiting(self.aws_client_parameters))
        try:
            with translate_errors(where, login.who):
                client.list_buckets(MaxBuckets=1)
        except AccessDenied:
            return f"{login.who()} can log in at {where}, but may not list buckets"
        return f"{login.who()} can log in at {where}"


class AwsCredentials(_Login):
    """Credentials for AWS; with no field set, those that boto3 finds.

    boto3 looks in the environment, the profile, SSO, and the role of the container or instance.
    With `assume_role_arn`, the role is assumed with these credentials, and again before it expires.
    """

    _block_type_name: ClassVar[str | None] = "AWS Credentials"
    _description: ClassVar[str | None] = (
        "Credentials for AWS: found by boto3, keys, a profile, or a role that renews itself."
    )
    _code_example: ClassVar[str | None] = (
        'AwsCredentials(profile_name="data", region_name="eu-central-1").save("data")\n'
        'AwsCredentials.load("data").client("s3").list_buckets()'
    )

    aws_access_key_id: str | None = Field(
        default=None, description="The access key's id; if empty, boto3 finds credentials."
    )
    aws_secret_access_key: SecretStr | None = Field(
        default=None, description="The access key's secret."
    )
    aws_session_token: SecretStr | None = Field(
        default=None, description="The token of a temporary access key."
    )
    profile_name: str | None = Field(default=None, description="A profile of ~/.aws/config.")
    assume_role_arn: str | None = Field(
        default=None, description="The ARN of a role to assume; it is renewed before it expires."
    )
    assume_role_kwargs: AssumeRoleParameters = Field(
        default_factory=AssumeRoleParameters, description="The parameters of AssumeRole."
    )

    @field_validator("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
    @classmethod
    def _is_one_line(cls, value: str | SecretStr | None) -> str | SecretStr | None:
        return _one_line(value)

    def _values(self) -> dict[str, Any]:
        key, secret, token = (
            self.aws_access_key_id,
            *map(_reveal, (self.aws_secret_access_key, self.aws_session_token)),
        )
        who = _name_login(key, self.profile_name)
        if bool(key) != bool(secret):
            missing = "aws_secret_access_key" if key else "aws_access_key_id"
            raise CredentialsError(
                f"AWS, with {who}",
                f"an access key consists of an id and a secret, and {missing} is empty",
                f"Set {missing}, or leave both empty to use the SDK's default chain.",
            )
        if token and not key:
            raise CredentialsError(
                f"AWS, with {who}",
                "a session token needs its access key, which is empty",
                "Set aws_access_key_id and aws_secret_access_key too.",
            )
        role = self.assume_role_kwargs
        if self.assume_role_arn and role.SerialNumber and not _reveal(role.TokenCode):
            raise CredentialsError(
                f"AWS, with {who}",
                f"{role.SerialNumber} is an MFA device, and its TokenCode is empty",
                "Set TokenCode together with SerialNumber; it is valid for one session.",
            )
        return {
            "who": f"role {self.assume_role_arn} by {who}" if self.assume_role_arn else who,
            "access_key": key,
            "secret_key": secret,
            "token": token,
            "profile": self.profile_name or None,
            "role_arn": self.assume_role_arn or None,
            "role": role.arguments() if self.assume_role_arn else {},
        }

    def _check(self) -> str:
        login, endpoint = self._open_fresh(), self.aws_client_parameters.endpoint_url
        region = login.session().region_name or FALLBACK_REGION
        sts = login.client("sts", region_name=region, **_limit_waiting(self.aws_client_parameters))
        try:
            with translate_errors(endpoint or f"STS in {region}", login.who):
                found = sts.get_caller_identity()
        except (CredentialsError, AccessDenied, Unreachable):
            raise
        except FlowstoneError:
            if endpoint is None:
                raise
            return self._by_s3(login)  # S3-compatible services have no STS
        return f"{found['Arn']} in account {found['Account']}, by {login.who()}"


class MinIOCredentials(_Login):
    """Credentials for MinIO or another S3-compatible service; set the endpoint as a parameter."""

    _block_type_name: ClassVar[str | None] = "MinIO Credentials"
    # The default slug would be "min-io-credentials".
    _block_type_slug: ClassVar[str | None] = "minio-credentials"
    _description: ClassVar[str | None] = "Credentials for MinIO, or another S3-compatible service."
    _code_example: ClassVar[str | None] = (
        "MinIOCredentials(\n"
        '    minio_root_user="minio",\n'
        '    minio_root_password="…",\n'
        '    aws_client_parameters={"endpoint_url": "http://localhost:9000"},\n'
        ').save("lake")'
    )

    minio_root_user: str | None = Field(default=None, description="The user, or access key.")
    minio_root_password: SecretStr | None = Field(
        default=None, description="The password, or the access key's secret."
    )

    @field_validator("minio_root_user", "minio_root_password")
    @classmethod
    def _is_one_line(cls, value: str | SecretStr | None) -> str | SecretStr | None:
        return _one_line(value)

    def _values(self) -> dict[str, Any]:
        user, password = self.minio_root_user, _reveal(self.minio_root_password)
        if bool(user) != bool(password):
            missing = "minio_root_password" if user else "minio_root_user"
            raise CredentialsError(
                "MinIO", f"{missing} is empty", f"Set {missing}, or leave both empty."
            )
        who = f"user {user!r}" if user else _name_login(None, None)
        return {"who": who, "access_key": user, "secret_key": password}

    def _check(self) -> str:
        return self._by_s3(self._open_fresh())


def _name_login(key: str | None, profile: str | None) -> str:
    if key:
        return f"access key …{key[-4:]}"
    return f"profile {profile!r}" if profile else "the SDK's default chain"


def _reveal(value: SecretStr | None) -> str | None:
    return value.get_secret_value() or None if value is not None else None


def _one_line(value: str | SecretStr | None) -> str | SecretStr | None:
    """Strip the white space around a key, as read from files; refuse line breaks."""
    if value is None:
        return None
    text = (value if isinstance(value, str) else value.get_secret_value()).strip()
    if not text:
        return None
    if not text.isprintable():
        raise ValueError("it must not contain control characters")
    return text if isinstance(value, str) else SecretStr(text)


def has_authorities(login: Login, parameters: AwsClientParameters) -> bool:
    """Return whether trusted certificates are set, in the parameters or in the environment."""
    is_given = parameters.verify is not True or parameters.verify_cert_path is not None
    return is_given or bool(login.find_ca_bundle() or os.environ.get("REQUESTS_CA_BUNDLE"))


def has_variables_of_obstore() -> bool:
    """Return whether variables are set that obstore reads, but the SDK does not."""
    return any(map(_OF_OBSTORE.fullmatch, os.environ))


def _limit_waiting(parameters: AwsClientParameters) -> dict[str, object]:
    return {"config": {**_PATIENCE, **(parameters.config or {})}}


def _describe_surroundings() -> str:
    """Return what else boto3's chain depends on: a change of it means another login."""
    variables = sorted((name, os.environ.get(name)) for name in _list_variables())
    files = [
        _read_mtime(os.environ.get(variable) or f"~/.aws/{name}")
        for variable, name in (
            ("AWS_CONFIG_FILE", "config"),
            ("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
        )
    ]
    return repr((variables, files))


def _list_variables() -> list[str]:
    # Called for each operation: decoding all variables would be slower than everything else here.
    if os.supports_bytes_environ:
        return [os.fsdecode(name) for name in os.environb if name.startswith(b"AWS_")]
    return [name for name in os.environ if name.startswith("AWS_")]


def _read_mtime(path: str) -> int:
    try:
        return _expand(path, os.environ.get("HOME")).stat().st_mtime_ns
    except (OSError, RuntimeError):
        return 0


@lru_cache(16)
def _expand(path: str, home: str | None) -> Path:
    """Return a path without a ``~``, which depends on the home."""
    del home  # only part of the cache key
    return Path(path).expanduser()
