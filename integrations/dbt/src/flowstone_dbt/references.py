"""Secrets of a profile: which values are secret, and the references that stand in their place.

dbt reads a variable whose name begins with DBT_ENV_SECRET as it is, without rendering what is in
it, and masks its value in its own logs. See
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

#: What the names of the variables begin with.
PREFIX = "DBT_ENV_SECRET_FLOWSTONE_"
_MASKED = (SecretStr, SecretBytes, Secret)
#: Fields of dbt's adapters that hold a secret.
_SECRET = re.compile(
    r"(?:^|_)(?:pass|passwd|pwd|password|passphrase|secret|token|jwt|credentials?|connection_string"
    r"|keyfile_json|api_?key|(?:access|account|private|secret)_key)s?$",
    re.IGNORECASE,
)
#: A login within a URL or a connection string.
_LOGIN = re.compile(r"://[^/?#\s@]*:[^/?#\s@]+@|\b(?:password|pwd|\w*token)\s*=", re.IGNORECASE)
#: What dbt would render, or not give back as it is.
_RENDERED = re.compile(r"\{[{%#]|[\r\n]|DBT_ENV_SECRET")
_JINJA = re.compile(r"\{[{%#]")
#: A text that is nothing but variables of the environment, without defaults.
_VARIABLES = re.compile(
    r"\s*(?:\{\{-?\s*env_var\(\s*(['\"])\w+\1\s*\)\s*(?:\|\s*\w+\s*)*-?\}\}\s*)+"
)


def mask_secrets(value: object, field: str = "") -> Any:
    """Return fields of dbt's with a `SecretStr` in the place of each secret.

    What is secret is told by the field's name, as ``password``, and by a login in a URL. A text
    that only names variables, as ``{{ env_var('PASSWORD') }}``, is none.

    Args:
        value: of dbt's words: a mapping of fields, or what is in one.
        field: its name.

    Raises:
        ValueError: a secret is written in Jinja, and not only as variables.
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
            f"{field!r} is secret and has more in it than variables: write "
            "\"{{ env_var('NAME') }}\" without a default, or give the secret itself"
        )
    return SecretStr(value)


def refuse_secret_names(variables: dict[str, str]) -> dict[str, str]:
    """Return variables of the environment whose names are not those of secrets.

    Raises:
        ValueError: one of them is.
    """
    for name in variables:
        if name.startswith("DBT_ENV_SECRET") or _SECRET.search(name):
            raise ValueError(f"{name!r} is secret, and would be saved in clear: use secret_env")
    return variables


def has_secrets(value: object) -> bool:
    """Whether a secret is in a value, in whose mappings and lists they are masked."""
    if isinstance(value, dict):
        return any(map(has_secrets, value.values()))
    return isinstance(value, _MASKED) or (isinstance(value, list) and any(map(has_secrets, value)))


class References:
    """Takes secrets out of values, and puts references to variables in their place.

    Attributes:
        secrets: what the variables hold, by their names.
    """

    def __init__(self) -> None:
        self.secrets: dict[str, SecretStr] = {}

    def take(self, fields: Mapping[str, object]) -> dict[str, Any]:
        """Return fields with a reference for each secret, and for each text that has Jinja in it.

        Raises:
            ConfigurationError: a secret can't be given to a process.
            ReferenceUnresolved: a secret is a reference itself, and leads nowhere.
        """
        return {key: self._take(value, key, literal=True) for key, value in fields.items()}

    def take_words(self, fields: Mapping[str, object]) -> dict[str, Any]:
        """Return fields that somebody wrote for dbt, with a reference for each secret.

        Jinja in them is dbt's to render.

        Raises:
            ConfigurationError: a secret can't be given to a process.
            ReferenceUnresolved: a secret is a reference itself, and leads nowhere.
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
        """Return what is secret as a whole, with a reference for each of its texts."""
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
            problem = "there is a NUL character in it, which no process can be given"
            raise ConfigurationError(f"{field!r} of the dbt profile", problem, "Remove it.")
        name = f"{PREFIX}{len(self.secrets) + 1}"
        self.secrets[name] = SecretStr(text)
        return f"{{{{ env_var('{name}') }}}}"
