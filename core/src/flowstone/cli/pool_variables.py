"""Job variables of a work pool, parsed from the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from flowstone.errors import ConfigurationError, ObjectNotFound

if TYPE_CHECKING:
    from flowstone.infrastructure.base import Infrastructure
    from flowstone.records.work_pools import WorkPool


def read_variables(kind: str, pairs: tuple[str, ...]) -> dict[str, object]:
    """Parse variables of the form ``NAME=VALUE`` for an infrastructure type."""
    # Takes 40 ms, for pydantic, which only a command with variables needs.
    from flowstone.infrastructure.variables import load_infrastructure

    if not pairs:
        return {}
    infrastructure = load_infrastructure(kind)
    found: dict[str, object] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise click.BadParameter(f"{pair!r} is not NAME=VALUE", param_hint="--var")
        found[key] = _read_variable(infrastructure, key, text)
    return found


def _read_variable(infrastructure: Infrastructure, key: str, text: str) -> object:
    """Return the value to save for a variable, converted to the type of the variable."""
    # Takes 40 ms, for pydantic, which only a command with variables needs.
    from flowstone.infrastructure.variables import check_variables, read_variable

    value = read_variable(infrastructure, key, text)
    try:
        checked = check_variables("", infrastructure, {key: value})
    except ConfigurationError:
        return value  # refused later, with all variables, by an error that names the pool
    name, dot, part = key.partition(".")
    kept = checked.model_dump(mode="json", exclude_unset=True).get(name)
    return kept[part] if dot and isinstance(kept, dict) else kept


def remove_variables(found: WorkPool, names: tuple[str, ...]) -> dict[str, object]:
    """Return the variables of a pool without those with the given names."""
    left = dict(found.job_variables)
    for name in names:
        keys = [key for key in left if key == name or key.startswith(f"{name}.")]
        if not keys:
            raise ObjectNotFound(f"job variable of the work pool {found.name!r}", name, list(left))
        for key in keys:
            del left[key]
    return left
