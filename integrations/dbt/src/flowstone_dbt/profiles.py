"""Profiles: the content of profiles.yml, and a private directory with that file."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.machinery import PathFinder
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import yaml

from flowstone.errors import ConfigurationError, MissingExtra
from flowstone_dbt.errors import EXTRAS
from flowstone_dbt.targets import DbtTarget, make_target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import SecretStr

__all__ = [
    "DbtTarget",
    "Profile",
    "find_adapter",
    "make_profile",
    "make_target",
    "open_profile",
    "require_adapter",
]


@dataclass(frozen=True)
class Profile:
    """A dbt profile.

    Attributes:
        name: the name that the project refers to.
        target: the output to use.
        content: the content of profiles.yml, with references to environment variables for secrets.
        secrets: the values of these variables, by name.
        flags: dbt's global flags as variables, such as ``DBT_USE_COLORS``.
    """

    name: str
    target: str
    content: Mapping[str, Any]
    secrets: Mapping[str, SecretStr] = field(default_factory=dict)
    flags: Mapping[str, str] = field(default_factory=dict)

    def reveal_environment(self) -> dict[str, str]:
        """Return the environment variables that dbt needs, with secrets in plain text."""
        secrets = {name: value.get_secret_value() for name, value in self.secrets.items()}
        return {**self.flags, **secrets}


def make_profile(
    name: str, target: str, output: DbtTarget, flags: Mapping[str, str] | None = None
) -> Profile:
    """Return a profile with one target.

    Args:
        name: the name that the project refers to.
        target: the target's name, such as ``dev``.
        output: the database connection.
        flags: dbt's global flags as environment variables.
    """
    outputs = {target: dict(output.content)}
    content = {name: {"target": target, "outputs": outputs}}
    return Profile(name, target, content, output.secrets, flags or {})


@contextmanager
def open_profile(profile: Profile) -> Iterator[Path]:
    """Yield a private directory with profiles.yml, for ``--profiles-dir``; deleted at the end.

    Raises:
        ConfigurationError: the directory or the file can't be written.
    """
    text = yaml.safe_dump(_copy(profile.content), sort_keys=False)
    try:
        folder = TemporaryDirectory(prefix="flowstone-dbt-", ignore_cleanup_errors=True)
    except OSError as error:
        raise _make_write_error(error) from error
    with folder as name:  # only its owner has access, as with all of tempfile's
        path = Path(name)
        try:
            _write_private(path / "profiles.yml", text)
        except OSError as error:
            raise _make_write_error(error) from error
        yield path


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _make_write_error(error: OSError) -> ConfigurationError:
    problem = f"it can't be written: {error.strerror or type(error).__name__}"
    remedy = "Check the free space and permissions of the temporary directory, or set TMPDIR."
    return ConfigurationError("dbt's profiles.yml", problem, remedy)


def _copy(value: object) -> object:
    """Return a value as dicts and lists, which YAML supports."""
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, (list, tuple)) else value


def find_adapter(profile: Profile) -> str:
    """Return the adapter that a profile needs: ``duckdb``, ``postgres``.

    Raises:
        ConfigurationError: the profile has no such target, or the target has no type.
    """
    outputs = profile.content.get(profile.name, {}).get("outputs", {})
    if profile.target not in outputs:
        problem = f"it has no target {profile.target!r}"
        remedy = f"Choose one of {', '.join(map(repr, outputs))}." if outputs else "Add one."
        raise ConfigurationError(f"the dbt profile {profile.name!r}", problem, remedy)
    kind = outputs[profile.target].get("type")
    if not isinstance(kind, str) or not kind.isidentifier():
        raise ConfigurationError(
            f"the target {profile.target!r} of the dbt profile {profile.name!r}",
            f"its type is {kind!r}",
            "Set it to the name of an adapter, such as duckdb.",
        )
    return kind


def require_adapter(profile: Profile) -> str:
    """Return the adapter that a profile needs, and require it to be installed; dbt isn't imported.

    Raises:
        ConfigurationError: the profile has no such target, or the target has no type.
        MissingExtra: the adapter is not installed.
    """
    kind = find_adapter(profile)
    where: list[str] | None = sys.path
    for name in ("dbt", "dbt.adapters", f"dbt.adapters.{kind}"):
        spec = PathFinder.find_spec(name, where)
        if spec is None:
            install = f"flowstone-dbt[{kind}]" if kind in EXTRAS else f"dbt-{kind}"
            raise MissingExtra(f"the dbt adapter {kind!r}", install)
        where = list(spec.submodule_search_locations or ())
    return kind
