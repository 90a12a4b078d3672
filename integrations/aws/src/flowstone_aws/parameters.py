"""Parameters of clients and of roles: plain models inside the credentials blocks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, field_validator


def _as_dict(value: object) -> object:
    """Return the options of a botocore `Config`, which can't be serialized as JSON, as a dict."""
    defaults = getattr(value, "OPTION_DEFAULTS", None)
    if not isinstance(defaults, Mapping):
        return value
    # `inject_host_prefix` is True by default, which can't be told from True set by the user.
    names = [name for name in defaults if name != "inject_host_prefix" or not getattr(value, name)]
    found = {name: getattr(value, name, defaults[name]) for name in names}
    return {name: option for name, option in found.items() if option != defaults[name]}


def _no_login_in(value: object) -> None:
    if isinstance(value, str) and "://" in value and "@" in urlsplit(value).netloc:
        raise ValueError(
            "a URL must not contain credentials, which would be saved as plain text; set them in "
            "the credentials' fields, a proxy's in HTTPS_PROXY"
        )
    if isinstance(value, Mapping):
        for item in value.values():
            _no_login_in(item)


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", validate_assignment=True, hide_input_in_errors=True)

    def __hash__(self) -> int:
        # Users cache clients by their parameters; dicts and lists are skipped: not hashable.
        plain = (each for each in self.__dict__.values() if not isinstance(each, (dict, list)))
        return hash((type(self), *plain))


class AwsClientParameters(_Model):
    """How clients connect; the SDK and its environment decide what is not set."""

    api_version: str | None = Field(
        default=None, description="The version of the service's API; the newest if empty."
    )
    use_ssl: bool = Field(default=True, description="Whether to connect with TLS.")
    verify: bool | Path = Field(
        default=True, description="Whether to verify certificates, or the path of a CA bundle."
    )
    verify_cert_path: Path | None = Field(
        default=None, description="The path of a CA bundle with the certificates to trust."
    )
    endpoint_url: str | None = Field(
        default=None, description="The URL of the service, if it is not AWS's own."
    )
    config: Annotated[dict[str, Any] | None, BeforeValidator(_as_dict)] = Field(
        default=None,
        description="Options of botocore's Config: timeouts, retries, proxies, s3 addressing; "
        '"signature_version": "unsigned" reads public data without a login.',
    )

    @field_validator("endpoint_url", "config")
    @classmethod
    def _hold_no_login(cls, value: object) -> object:
        _no_login_in(value)
        return value

    @field_validator("endpoint_url")
    @classmethod
    def _is_a_url(cls, value: str | None) -> str | None:
        if value is None or not value.strip():
            return None
        if urlsplit(value.strip()).scheme not in {"http", "https"}:
            raise ValueError("it must start with http:// or https://")
        return value.strip().rstrip("/")

    def get_params_override(self) -> dict[str, Any]:
        """Return the set fields as arguments of `boto3.Session.client`; the config is a dict."""
        trusted = self.verify_cert_path or self.verify
        given = {
            "api_version": self.api_version,
            "use_ssl": self.use_ssl if self.use_ssl is False else None,
            "verify": False if self.verify is False else None if trusted is True else str(trusted),
            "endpoint_url": self.endpoint_url,
            "config": self.config or None,
        }
        return {name: value for name, value in given.items() if value is not None}


class AssumeRoleParameters(_Model):
    """Parameters of AssumeRole, under AWS's names."""

    RoleSessionName: str | None = Field(
        default=None, description="The session's name in AWS's logs; 'flowstone' if empty."
    )
    DurationSeconds: int | None = Field(
        default=None, ge=900, le=43200, description="Seconds until the session is renewed."
    )
    Policy: str | None = Field(default=None, description="A policy in JSON that narrows the role.")
    PolicyArns: list[dict[str, str]] | None = Field(
        default=None, description="Managed policies that narrow the role: [{'arn': …}]."
    )
    Tags: list[dict[str, str]] | None = Field(
        default=None, description="Session tags: [{'Key': …, 'Value': …}]."
    )
    TransitiveTagKeys: list[str] | None = Field(
        default=None, description="Keys of the tags that are passed on to further roles."
    )
    ExternalId: str | None = Field(
        default=None, description="The external id that the role's owner requires; not a secret."
    )
    SerialNumber: str | None = Field(
        default=None, description="The serial number of the MFA device, if the role requires one."
    )
    TokenCode: SecretStr | None = Field(
        default=None, description="The MFA device's code; it is valid for one session only."
    )
    SourceIdentity: str | None = Field(
        default=None, description="The identity behind the session, for AWS's logs."
    )
    ProvidedContexts: list[dict[str, str]] | None = Field(
        default=None, description="Trusted contexts: [{'ProviderArn': …, 'ContextAssertion': …}]."
    )

    def get_params_override(self) -> dict[str, object]:
        """Return the set fields as arguments of `AssumeRole`, including the MFA device's code."""
        found = {name: getattr(self, name) for name in type(self).model_fields}
        if self.TokenCode is not None:
            found["TokenCode"] = self.TokenCode.get_secret_value()
        return {name: value for name, value in found.items() if value is not None}

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of `AssumeRole`, with a name for the session, which is required."""
        return {"RoleSessionName": "flowstone"} | self.get_params_override()
