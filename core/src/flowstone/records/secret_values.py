"""Recognize secrets that must not be saved in plain text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flowstone.records.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The prefixes of tokens of well-known services.
_TOKEN = re.compile(
    r"(?<![\w-])(gh[pousr]_\w{8}|github_pat_\w{8}|xox[bap]-[\w-]{8}|AKIA[0-9A-Z]{16}|sk-\w{20})"
)
#: The suffixes of names of variables that hold a secret.
_SECRET_NAMES = ("TOKEN", "PASSWORD", "SECRET")


def holds_secret(value: object) -> bool:
    """Return whether a JSON value contains a known secret, or something like a service's token."""
    if isinstance(value, str):
        return redact(value) != value or _TOKEN.search(value) is not None
    if isinstance(value, dict):
        return any(holds_secret(key) or holds_secret(item) for key, item in value.items())
    return isinstance(value, list) and any(map(holds_secret, value))


def find_secret_names(variables: Mapping[str, object]) -> list[str]:
    """Return variables, as ``env.DB_PASSWORD``, that have a value and a name like a secret's."""
    return [
        name
        for name, value in variables.items()
        if value and name.startswith("env.") and name.upper().endswith(_SECRET_NAMES)
    ]
