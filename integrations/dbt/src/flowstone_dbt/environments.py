"""Separate environments for dbt, whose requirements may conflict with those of a flow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone import code
from flowstone.errors import ConfigurationError
from flowstone_dbt.errors import DbtError
from flowstone_dbt.settings import find_cache

if TYPE_CHECKING:
    from collections.abc import Sequence


def make_environment(requirements: Sequence[str]) -> str:
    """Return the interpreter of an environment with these packages; it is created once and kept.

    Args:
        requirements: requirements as for pip: ``dbt-core==1.10.*``, ``dbt-duckdb``.

    Raises:
        DbtError: the environment can't be created.
    """
    try:
        environment = code.make_environment(requirements, find_cache())
    except ConfigurationError as error:
        problem = f"the environment for dbt: {error.problem}"
        raise DbtError(problem, "Check `requirements` and the network.") from error
    return str(code.find_python(environment))
