"""Secrets of a profile: which values are secret, and the references that replace them.

dbt reads a variable whose name begins with DBT_ENV_SECRET without rendering its value, which it
masks in its own logs. See
https://docs.getdbt.com/reference/dbt-jinja-functions/env_var#secrets.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

from pydantic import Secret, SecretBytes, SecretStr

from flowstone.errors import ConfigurationError
from flowstone.records.redaction import register

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowstone.records.access import Masked

#: Prefix of the names of the variables.
PREFIX = "DBT_ENV_SECRET_FLOWSTONE_"
_MASKED = (SecretStr, SecretBytes, Secret)
#: Fields of dbt's adapters that hold a secret.
_SECRET = re.compile(
    r"(?:^|_)(?:pass|passwd|pwd|password|passphrase|secret|token|jwt|credentials?|connection_string"
    r"|keyfile_json|api_?key|(?:access|account|private|secret)_key)s?$",
    re.IGNORECASE,
)
#: Credentials in a URL or a connection string.
_LOGIN = re.compile(r"://[^/?#\s@]*:[^/?#\s@]+@|\b(?:password|pwd|\w*token)\s*=", re.IGNORECASE)
#: Text that dbt would render, or change.
_RENDERED = re.compile(r"\{[{%#]|[\r\n]|DBT_ENV_SECRET")
_JINJA = re.compile(r"\{[{%#]")
#: Text that consists only of environment variables, without defaults.
_VARIABLES = re.compile(
    r"\s*(?:\{\{-?\s*env_var\(\s*(['\"])\w+\1\s*\)\s*(?:\|\s*\w+\s*)*-?\}\}\s*)+"
)


def mask_secrets(value: object, field: str = "") -> Any:
    """Return dbt fields with a `SecretStr` for each secret.

    Secrets are recognized by the field's name, such as ``password``, and by credentials in a URL.
    Text that only names variables, such as ``{{ env_var('PASSWORD') }}``, is not secret.

    Args:
        value: a mapping of dbt fields, or a value in one.
        field: the name of the value.

    Raises:
        ValueError: a secret contains Jinja other than variables.
    """
    if isinstance(value, _MASKED) or value is None or isinstance(value, bool):
        return value
    if isinstance(value, dict):
        return {key: mask_secrets(item, str(key)) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [mask_secrets(item, field) for item in value]
    is_secret = _SECRET.search(field) is not None
    if not isinstance(value, str):
        return SecretStr(str(value)) if is_secret and isinstance(value, (int, float)) else value
    if _VARIABLES.fullmatch(value) or not (is_secret or _LOGIN.search(value)):
        return value
    if _JINJA.search(value) and "env_var" in value:
        raise ValueError(
            f"{field!r} is secret and contains more than variables: write "
            "\"{{ env_var('NAME') }}\" without a default, or set the secret itself"
        )
    return SecretStr(value)


def refuse_secret_names(variables: dict[str, str]) -> dict[str, str]:
    """Return environment variables, none of which has the name of a secret.

    Raises:
        ValueError: one has.
    """
    for name in variables:
        if name.startswith("DBT_ENV_SECRET") or _SECRET.search(name):
            raise ValueError(f"{name!r} is secret, but would not be encrypted: use secret_env")
    return variables


def has_secrets(value: object) -> bool:
    """Return whether a value contains a masked secret, at any depth."""
    if isinstance(value, dict):
        return any(map(has_secrets, value.values()))
    return isinstance(value, _MASKED) or (isinstance(value, list) and any(map(has_secrets, value)))


class References:
    """Replaces secrets in values with references to environment variables.

    Attributes:
        secrets: the values of the variables, by name.
    """

    def __init__(self) -> None:
        self.secrets: dict[str, SecretStr] = {}

    def take(self, fields: Mapping[str, object]) -> dict[str, Any]:
        """Return fields with a reference for each secret, and for each text that contains Jinja.

        Raises:
            ConfigurationError: a secret can't be given to a process.
            ReferenceUnresolved: a secret is a reference that can't be resolved.
        """
        return {key: self._take(value, key, literal=True) for key, value in fields.items()}

    def take_words(self, fields: Mapping[str, object]) -> dict[str, Any]:
        """Return fields written for dbt, with a reference for each secret.

        dbt renders Jinja in them.

        Raises:
            ConfigurationError: a secret can't be given to a process.
            ReferenceUnresolved: a secret is a reference that can't be resolved.
        """
        return {key: self._take(value, key, literal=False) for key, value in fields.items()}

    def _take(self, value: object, field: str, *, literal: bool) -> Any:
        if isinstance(value, _MASKED):
            return self._take_secret(cast("Masked", value).get_secret_value(), field)
        if isinstance(value, dict):
            return {key: self._take(item, key, literal=literal) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._take(item, field, literal=literal) for item in value]
        if literal and isinstance(value, str) and _RENDERED.search(value):
            return self._refer(value, field)
        return value

    def _take_secret(self, value: object, field: str) -> Any:
        """Return a value that is entirely secret, with a reference for each of its strings."""
        if isinstance(value, dict):
            return {key: self._take_secret(item, f"{field}.{key}") for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._take_secret(item, field) for item in value]
        if value is None or isinstance(value, bool):
            return value
        text = value.decode() if isinstance(value, bytes) else str(value)
        register(text)
        return self._refer(text, field)

    def _refer(self, text: str, field: str) -> str:
        if "\0" in text:
            problem = "it contains a NUL character, which can't be passed to a process"
            raise ConfigurationError(f"{field!r} of the dbt profile", problem, "Remove it.")
        name = f"{PREFIX}{len(self.secrets) + 1}"
        self.secrets[name] = SecretStr(text)
        return f"{{{{ env_var('{name}') }}}}"
