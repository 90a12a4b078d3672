"""How to connect, and how to assume a role: plain models inside the credentials blocks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, field_validator


def _as_dict(value: object) -> object:
    """Return the options of a botocore `Config`, which has no JSON form itself, as a dict."""
    defaults = getattr(value, "OPTION_DEFAULTS", None)
    if not isinstance(defaults, Mapping):
        return value
    # Its host prefix is True where nobody set it, and is told from that nowhere.
    names = [name for name in defaults if name != "inject_host_prefix" or not getattr(value, name)]
    found = {name: getattr(value, name, defaults[name]) for name in names}
    return {name: option for name, option in found.items() if option != defaults[name]}


def _no_login_in(value: object) -> None:
    if isinstance(value, str) and "://" in value and "@" in urlsplit(value).netloc:
        raise ValueError(
            "a URL here may not carry a login, it would be saved in clear; give the login in the "
            "credentials' own fields, a proxy's in HTTPS_PROXY"
        )
    if isinstance(value, Mapping):
        for item in value.values():
            _no_login_in(item)


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", validate_assignment=True, hide_input_in_errors=True)

    def __hash__(self) -> int:
        # Users cache clients by their parameters; dicts and lists are not hashable, so left out.
        plain = (each for each in self.__dict__.values() if not isinstance(each, (dict, list)))
        return hash((type(self), *plain))


class AwsClientParameters(_Model):
    """How clients connect; what is not given is up to the SDK and its environment."""

    api_version: str | None = Field(
        default=None, description="The version of the service's API; the newest where empty."
    )
    use_ssl: bool = Field(default=True, description="Whether to connect by TLS.")
    verify: bool | Path = Field(
        default=True, description="Whether to check certificates, or a file of authorities."
    )
    verify_cert_path: Path | None = Field(
        default=None, description="A file with the certificates of the authorities to trust."
    )
    endpoint_url: str | None = Field(
        default=None, description="The address of the service, where it is not AWS's own."
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
            raise ValueError("it begins with http:// or https://")
        return value.strip().rstrip("/")

    def get_params_override(self) -> dict[str, Any]:
        """Return what was given as arguments of `boto3.Session.client`, the config as a dict."""
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
    """What STS is told when a role is assumed, under STS's own names."""

    RoleSessionName: str | None = Field(
        default=None, description="What the session is called in AWS's logs; 'flowstone' if empty."
    )
    DurationSeconds: int | None = Field(
        default=None, ge=900, le=43200, description="How long a session lasts till it is renewed."
    )
    Policy: str | None = Field(default=None, description="A policy in JSON that narrows the role.")
    PolicyArns: list[dict[str, str]] | None = Field(
        default=None, description="Managed policies that narrow the role: [{'arn': …}]."
    )
    Tags: list[dict[str, str]] | None = Field(
        default=None, description="Session tags: [{'Key': …, 'Value': …}]."
    )
    TransitiveTagKeys: list[str] | None = Field(
        default=None, description="Tags that go along to further roles."
    )
    ExternalId: str | None = Field(
        default=None, description="What the owner of the role asks for; AWS treats it as no secret."
    )
    SerialNumber: str | None = Field(
        default=None, description="The MFA device, if the role wants one."
    )
    TokenCode: SecretStr | None = Field(
        default=None, description="The MFA device's code; it is good for one session only."
    )
    SourceIdentity: str | None = Field(
        default=None, description="Who is behind the session, for AWS's logs."
    )
    ProvidedContexts: list[dict[str, str]] | None = Field(
        default=None, description="Trusted contexts: [{'ProviderArn': …, 'ContextAssertion': …}]."
    )

    def get_params_override(self) -> dict[str, object]:
        """Return what was given as arguments of `AssumeRole`, the code of the MFA device too."""
        found = {name: getattr(self, name) for name in type(self).model_fields}
        if self.TokenCode is not None:
            found["TokenCode"] = self.TokenCode.get_secret_value()
        return {name: value for name, value in found.items() if value is not None}

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of `AssumeRole`, which needs a name for the session."""
        return {"RoleSessionName": "flowstone"} | self.get_params_override()
