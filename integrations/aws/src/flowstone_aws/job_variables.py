"""A job container's environment: plain variables, and references to secrets."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flowstone.errors import JobError
from flowstone.records.redaction import redact
from flowstone_aws.secrets import SecretsManager, parse_version

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from flowstone_aws.credentials import AwsCredentials
    from flowstone_aws.records import JsonValue, Record

#: A reference, as in a secret field: the provider, a saved block, the name, a path, a version.
_REFERENCE = re.compile(
    r"aws-(?P<kind>secrets|ssm)(/[\w-]+)?:(?P<name>[^#@]+)(#(?P<path>[^@]+))?(@(?P<version>.+))?"
)


def check_variables(where: str, env: Mapping[str, str], remedy: str) -> None:
    """Refuse environment variables that would show a secret to everyone who may see the job.

    Raises:
        JobError: a value contains a secret, or is a reference to one.
    """
    for name, value in env.items():
        if redact(value) != value:
            problem = f"the value of {name!r} in `env` has a secret in it, which AWS would list"
            raise JobError(where, f"{problem} with the job", remedy)
        if _REFERENCE.fullmatch(value):
            problem = f"{name!r} in `env` is a reference to a secret, and `env` is sent as it is"
            raise JobError(where, problem, remedy)


def check_request(where: str, request: Record, remedy: str) -> None:
    """Refuse a request that would show a secret to everyone who may see the job.

    Raises:
        JobError: a text in it, such as a command or a tag, contains a secret.
    """
    for name, text in _list_texts(request):
        if redact(text) != text:
            problem = f"{name} has a secret in it, which AWS would list with the job"
            raise JobError(where, problem, remedy)


def _list_texts(value: JsonValue, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield the texts of a request, each with its path."""
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _list_texts(inner, f"{name}.{key}" if name else key)
    elif isinstance(value, list):
        for inner in value:
            yield from _list_texts(inner, name)


def list_variables(env: Mapping[str, str]) -> list[dict[str, str]]:
    """Return variables in AWS's format."""
    return [{"name": name, "value": value} for name, value in env.items()]


def is_reference(value: str) -> bool:
    """Return whether AWS can resolve it: an ARN, ``aws-secrets:…`` or ``aws-ssm:…``."""
    return value.startswith("arn:") or _REFERENCE.fullmatch(value) is not None


def find_secret(value: str, login: AwsCredentials) -> str:
    """Return the `valueFrom` of a secret in a definition: an ARN, or the name of an SSM parameter.

    https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Secret.html

    Raises:
        SecretMissing: there is no such secret.
        AccessDenied: the credentials have no permission to describe it; pass its ARN instead.
    """
    found = _REFERENCE.fullmatch(value)
    if found is None:
        return value
    if found["kind"] == "ssm":
        return found["name"]
    known: dict[str, str] = login.get_or_make("secret ARNs", dict)
    name = found["name"]
    if name not in known:
        known[name] = SecretsManager(login).find_arn(name)
    arn = known[name]
    version = parse_version(found["version"])
    parts = (found["path"], version.get("VersionStage"), version.get("VersionId"))
    return ":".join((arn, *(part or "" for part in parts))) if any(parts) else arn
