"""Options of dbt commands, as keywords and as arguments."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from flowstone_dbt.errors import DbtError

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Options that are repeated for each of several values.
REPEATED = frozenset({"select", "exclude", "models", "resource_type", "exclude_resource_type"})


def make_arguments(options: Mapping[str, object]) -> list[str]:
    """Return keywords as command-line options: ``full_refresh=True`` as --full-refresh.

    A value of None is omitted, False becomes ``--no-…``, and a mapping becomes JSON.

    Args:
        options: the options by dbt's names, with ``_`` for ``-``.

    Raises:
        DbtError: a value can't be passed on a command line.
    """
    found: list[str] = []
    for name, value in options.items():
        option = f"--{name.replace('_', '-')}"
        if value is None:
            continue
        if value is True:
            found.append(option)
        elif value is False:
            found.append(f"--no-{option[2:]}")
        elif isinstance(value, Mapping):
            found += [option, _encode(name, value)]
        elif isinstance(value, str | int | float | Path):
            found += [option, str(value)]
        elif isinstance(value, Iterable):
            for each in value:
                found += [option, str(each)]
        else:
            problem = f"{name!r} can't be {value!r}"
            raise DbtError(problem, "Pass a string, a number, True, False or a list of strings.")
    return found


def _encode(name: str, value: Mapping[str, object]) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except TypeError as error:
        problem = f"{name!r} can't be written as JSON: {error}"
        remedy = "Pass strings, numbers, True, False, lists and mappings."
        if "Secret" in str(error):
            remedy = (
                "dbt writes such values to its artifacts: set a secret in the environment as "
                "DBT_ENV_SECRET_<NAME>, and read it with env_var() in the profile."
            )
        raise DbtError(problem, remedy) from error


def take_option(args: Sequence[str], *names: str) -> str | None:
    """Return the last value of an option in arguments; None if it is missing."""
    found = None
    for place, each in enumerate(args):
        name, equals, value = each.partition("=")
        if name in names:
            if equals:
                found = value
            elif place + 1 < len(args):
                found = args[place + 1]
    return found


def drop_option(args: Sequence[str], name: str) -> list[str]:
    """Return arguments without an option and its value."""
    found: list[str] = []
    rest = iter(args)
    for each in rest:
        if each == name:
            next(rest, None)
        elif not each.startswith(f"{name}="):
            found.append(each)
    return found
