"""Checks of options: each takes a description for errors and a value, and returns the final value.

Raises:
    ConfigurationError: the value is invalid.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeGuard

from flowstone.errors import ConfigurationError

if TYPE_CHECKING:
    from flowstone.records.specs import Delay, Hook

#: Characters that a name must not contain, as they have a meaning in URLs and paths.
BANNED = "/%&<>"


def accept(_what: str, value: object) -> object:
    """Accept any value."""
    return value


def check_name(what: str, value: object) -> str:
    if not isinstance(value, str) or not value or any(char in BANNED for char in value):
        problem = f"{value!r} is not a name"
        raise ConfigurationError(what, problem, f"Use a string without the characters {BANNED}")
    return value


def check_count(what: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ConfigurationError(what, f"{value!r} is not a count", "Use a whole number from 0 up.")
    return value


def check_seconds(what: str, value: object) -> float:
    if hasattr(value, "total_seconds"):
        value = value.total_seconds()
    if not _is_number(value) or not value >= 0:
        remedy = "Use a number of seconds from 0 up, or a timedelta."
        raise ConfigurationError(what, f"{value!r} is not a duration", remedy)
    return float(value)


def check_timeout(what: str, value: object) -> float:
    seconds = check_seconds(what, value)
    if seconds == 0:
        raise ConfigurationError(what, "0 leaves no time to run", "Omit it for no limit.")
    return seconds


def check_delay(what: str, value: object) -> Delay:
    if callable(value):
        return value
    if isinstance(value, (list, tuple)):
        return [check_seconds(what, item) for item in value]
    return check_seconds(what, value)


def check_factor(what: str, value: object) -> float:
    if not isinstance(value, (int, float)) or not value >= 0:
        raise ConfigurationError(what, f"{value!r} is not a factor", "Use a number from 0 up.")
    return float(value)


def check_tags(what: str, value: Any) -> frozenset[str]:
    if isinstance(value, str) or not all(isinstance(tag, str) for tag in value):
        raise ConfigurationError(
            what, f"{value!r} is not a list of strings", "Use tags=['a', 'b']."
        )
    return frozenset(value)


def check_hooks(what: str, value: object) -> tuple[Hook, ...]:
    hooks = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    if not all(callable(hook) for hook in hooks):
        raise ConfigurationError(
            what, f"{value!r} contains no functions", "Use a function, or a list of functions."
        )
    return hooks


def check_function(what: str, value: object) -> Hook:
    if not callable(value):
        raise ConfigurationError(what, f"{value!r} is not a function", "Use a function.")
    return value


def check_key_function(what: str, value: object) -> object:
    """Return the cache policy for a function that computes keys."""
    # Takes 5 ms, for hashing, which most programs don't need.
    from flowstone.results.policies import CacheKeyFnPolicy

    return CacheKeyFnPolicy(check_function(what, value))


def check_template(what: str, value: object) -> object:
    if isinstance(value, str):
        return value
    raise ConfigurationError(what, f"{value!r} is not a string", "Use a template: 'load-{day}'.")


def check_run_name(what: str, value: object) -> object:
    return value if callable(value) else check_template(what, value)


def check_flag(what: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ConfigurationError(what, f"{value!r} is neither True nor False", "Use True or False.")
    return value


def check_serializer(what: str, value: object) -> object:
    if not (isinstance(value, str) or (hasattr(value, "dumps") and hasattr(value, "loads"))):
        problem = f"{value!r} is not a serializer"
        raise ConfigurationError(what, problem, "Use a serializer, or a name such as 'json'.")
    return value


def check_policy(what: str, value: object) -> object:
    if not hasattr(value, "parts"):
        problem = f"{value!r} is not a cache policy"
        raise ConfigurationError(what, problem, "Use one of flowstone.cache_policies.")
    return value


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
