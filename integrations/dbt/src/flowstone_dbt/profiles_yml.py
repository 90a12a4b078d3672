"""Read a profiles.yml without rendering it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from flowstone.errors import ConfigurationError
from flowstone_dbt.settings import find_profiles_dir

Fields = dict[str, Any]


def read_output(profile: str | None, target: str | None, folder: Path | str | None) -> Fields:
    """Return the fields of a target in a profiles.yml.

    Args:
        profile: the name of the profile; None for the first one.
        target: the name of the target; None for the profile's own.
        folder: the directory of the file; None for dbt's own.

    Raises:
        ConfigurationError: there is no such file, profile or target, or it can't be read.
    """
    file = (find_profiles_dir() if folder is None else Path(folder).expanduser()) / "profiles.yml"
    profiles = _read(file)
    profiles.pop("config", None)  # dbt's global flags, in older versions
    if profile is None:
        profile = next(iter(profiles), None)
    found = _look_up(profiles, profile, str(file), "profile")
    where = f"the profile {profile!r} of {file}"
    outputs = found.get("outputs")
    wanted = found.get("target", "default") if target is None else target
    if target is None and "{{" in str(wanted):
        problem = f"its target is set by Jinja, {wanted}"
        raise ConfigurationError(where, problem, "Set target_name.")
    output = _look_up(outputs if isinstance(outputs, dict) else {}, wanted, where, "target")
    if not isinstance(output.get("type"), str):
        problem = f"the target {wanted!r} has no type"
        raise ConfigurationError(where, problem, "Add it: the name of an adapter, such as duckdb.")
    return dict(output)


def _look_up(entries: Fields, name: object, where: str, what: str) -> Fields:
    found = entries.get(str(name))
    if isinstance(found, dict):
        return found
    names = ", ".join(repr(key) for key, value in entries.items() if isinstance(value, dict))
    remedy = f"Choose one of {names}." if names else f"Add a {what}."
    raise ConfigurationError(where, f"it has no {what} {name!r}" if name else "it is empty", remedy)


def _read(file: Path) -> Fields:
    try:
        found = yaml.safe_load(file.read_text("utf-8"))
    except FileNotFoundError as error:
        remedy = "Set profiles_dir to the folder that it is in."
        raise ConfigurationError(str(file), "there is no such file", remedy) from error
    except (OSError, UnicodeDecodeError) as error:
        problem = f"it can't be read: {getattr(error, 'strerror', None) or 'it is not UTF-8 text'}"
        raise ConfigurationError(str(file), problem, "Check the file.") from error
    except yaml.YAMLError as error:
        # The parser's message quotes the line, which may contain a password.
        mark = getattr(error, "problem_mark", None)
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = f"it is not valid YAML{place}"
    else:
        if isinstance(found, dict):
            return found
        problem = "it contains no profiles"
    raise ConfigurationError(str(file), problem, "Correct the file.")
