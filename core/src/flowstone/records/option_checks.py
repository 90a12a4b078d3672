"""Checks of a caller's options, of any type."""

from __future__ import annotations

from flowstone.errors import ConfigurationError


def check_seconds(owner: str, name: str, value: object) -> None:
    """Refuse a value that is not a number of seconds; None is left to the caller.

    Raises:
        ConfigurationError: it is not a number, or is below 0.
    """
    if value is not None and not (isinstance(value, (int, float)) and value >= 0):
        problem = f"{name}={value!r} is not a number of seconds"
        raise ConfigurationError(owner, problem, "Pass a number from 0 up.")


def check_limit_of_runs(owner: str, value: object) -> None:
    """Refuse a limit that is not a whole number from 1 up; None is left to the caller.

    Raises:
        ConfigurationError: it is not a whole number, or lets no run start.
    """
    if value is None:
        return
    if type(value) is not int:
        raise ConfigurationError(owner, f"limit={value!r} is not a whole number", "Pass 1 or more.")
    if value < 1:
        raise ConfigurationError(owner, f"limit={value} lets no run start", "Pass 1 or more.")


def check_type(
    owner: str, name: str, value: object, kind: type[object] | tuple[type[object], ...], remedy: str
) -> None:
    """Refuse a value of another type; None is left to the caller.

    Raises:
        ConfigurationError: it is of another type.
    """
    if value is not None and not isinstance(value, kind):
        problem = f"{name}={value!r} is of the type {type(value).__name__}"
        raise ConfigurationError(owner, problem, remedy)
