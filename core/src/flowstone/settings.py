"""Settings: the one reader of the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flowstone.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the environment says; every field has a default that works.

    Attributes:
        home: the one directory that Flowstone writes to (``FLOWSTONE_HOME``).
        store: ``sqlite`` keeps facts in ``home``; ``memory`` forgets them at exit
            (``FLOWSTONE_STORE``).
        secret_key: seals secrets; None means a key file in ``home`` (``FLOWSTONE_SECRET_KEY``).
        secret_key_old: the key before that, which still opens what it has sealed
            (``FLOWSTONE_SECRET_KEY_OLD``).
        secrets_ttl_seconds: how long a process remembers what a reference to a secret led to
            (``FLOWSTONE_SECRETS_TTL_SECONDS``).
        logging_level: what run loggers let through (``FLOWSTONE_LOGGING_LEVEL``).
        log_prints: whether `print` in a run is logged, where a flow or task does not say
            (``FLOWSTONE_LOGGING_LOG_PRINTS``).
        capture_stdout: whether what code in a run writes to standard output is logged, but for
            runs with ``log_prints=False`` (``FLOWSTONE_LOGGING_CAPTURE_STDOUT``).
        extra_loggers: names of loggers whose lines belong to the run that they are written in, as a
            library's; "root" for all (``FLOWSTONE_LOGGING_EXTRA_LOGGERS``, with commas between).
        flow_retries, flow_retry_delay_seconds: defaults of `@flow`
            (``FLOWSTONE_FLOWS_DEFAULT_RETRIES``, ``…_RETRY_DELAY_SECONDS``).
        task_retries, task_retry_delay_seconds: defaults of `@task`
            (``FLOWSTONE_TASKS_DEFAULT_RETRIES``, ``…_RETRY_DELAY_SECONDS``).
        persist_results: keep results where a flow or task does not say
            (``FLOWSTONE_RESULTS_PERSIST_BY_DEFAULT``).
        refresh_cache: compute anew what is cached, where a task does not say
            (``FLOWSTONE_TASKS_REFRESH_CACHE``).
        default_no_cache: cache nothing where a task has no policy
            (``FLOWSTONE_TASKS_DEFAULT_NO_CACHE``).
        disable_caching: cache nothing at all (``FLOWSTONE_TASKS_DISABLE_CACHING``).
        max_workers: threads of a thread pool that does not say
            (``FLOWSTONE_TASKS_RUNNER_THREAD_POOL_MAX_WORKERS``).
        lease_seconds: how long a run whose process is out of sight counts as alive, and holds slots
            (``FLOWSTONE_LEASE_SECONDS``).
        max_in_flight: the window of each `.map` that does not say; None for no window
            (``FLOWSTONE_TASKS_MAP_MAX_IN_FLIGHT``).
        plugins_timeout_seconds: how long a plugin's module may take to import before it counts as
            broken (``FLOWSTONE_PLUGINS_TIMEOUT_SECONDS``).
        observers: names of what is told of every run (``FLOWSTONE_OBSERVERS``, with commas
            between).
        events_file: where the observer ``events-file`` writes; None for ``events.jsonl`` in `home`
            (``FLOWSTONE_OBSERVERS_EVENTS_FILE``).
    """

    home: Path = field(default_factory=lambda: _path("~/.flowstone"))
    store: str = "sqlite"
    secret_key: str | None = field(default=None, repr=False)
    logging_level: str = "INFO"
    log_prints: bool = False
    flow_retries: int = 0
    flow_retry_delay_seconds: float = 0.0
    task_retries: int = 0
    task_retry_delay_seconds: float = 0.0
    persist_results: bool = False
    refresh_cache: bool = False
    default_no_cache: bool = False
    disable_caching: bool = False
    max_workers: int = 128
    lease_seconds: float = 30.0
    max_in_flight: int | None = None
    extra_loggers: tuple[str, ...] = ()
    plugins_timeout_seconds: float = 5.0
    observers: tuple[str, ...] = ()
    events_file: Path | None = None
    capture_stdout: bool = False
    secret_key_old: str | None = field(default=None, repr=False)
    secrets_ttl_seconds: float = 300.0


def read_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from the environment.

    Raises:
        ConfigurationError: a variable has a value that can't be used; it is named.
    """
    env = os.environ if environ is None else environ
    values: dict[str, object] = {}
    for variable, name, parse in _VARIABLES:
        text = env.get(variable, "")
        if text:
            try:
                values[name] = parse(text)
            except ValueError as error:
                raise ConfigurationError(
                    variable, f"{text!r} is not {error}", "Set it again, or unset it."
                ) from None
    return Settings(**values)  # type: ignore[arg-type]


def named_by_user(variable: str) -> str | None:
    """Return an environment variable that a person has named, in a file or on the command line."""
    return os.environ.get(variable)


def environment() -> Mapping[str, str]:
    """Return the environment, for what a user names in it, and for a child that is given more."""
    return os.environ


def _path(text: str) -> Path:
    # 6 ms to import, which a program pays at its first run, not at its imports.
    from pathlib import Path  # noqa: PLC0415

    return Path(text).expanduser().absolute()


def _count(text: str) -> int:
    if not text.isdecimal():
        raise ValueError("a whole number from 0 up")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise ValueError("a number of seconds from 0 up")
    return seconds


def _positive(text: str) -> int:
    number = _count(text)
    if number < 1:
        raise ValueError("a whole number from 1 up")
    return number


def _switch(text: str) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True}
    words |= {"0": False, "false": False, "no": False, "off": False}
    if text.lower() not in words:
        raise ValueError("true or false")
    return words[text.lower()]


def _level(text: str) -> str:
    if text.upper() not in LEVELS:
        raise ValueError(f"one of {', '.join(LEVELS)}")
    return text.upper()


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _store(text: str) -> str:
    if text not in {"sqlite", "memory"}:
        raise ValueError("'sqlite' or 'memory'")
    return text


_VARIABLES = (
    ("FLOWSTONE_HOME", "home", _path),
    ("FLOWSTONE_STORE", "store", _store),
    ("FLOWSTONE_SECRET_KEY", "secret_key", str),
    ("FLOWSTONE_SECRET_KEY_OLD", "secret_key_old", str),
    ("FLOWSTONE_SECRETS_TTL_SECONDS", "secrets_ttl_seconds", _seconds),
    ("FLOWSTONE_LOGGING_LEVEL", "logging_level", _level),
    ("FLOWSTONE_LOGGING_LOG_PRINTS", "log_prints", _switch),
    ("FLOWSTONE_LOGGING_CAPTURE_STDOUT", "capture_stdout", _switch),
    ("FLOWSTONE_LOGGING_EXTRA_LOGGERS", "extra_loggers", _names),
    ("FLOWSTONE_FLOWS_DEFAULT_RETRIES", "flow_retries", _count),
    ("FLOWSTONE_FLOWS_DEFAULT_RETRY_DELAY_SECONDS", "flow_retry_delay_seconds", _seconds),
    ("FLOWSTONE_TASKS_DEFAULT_RETRIES", "task_retries", _count),
    ("FLOWSTONE_TASKS_DEFAULT_RETRY_DELAY_SECONDS", "task_retry_delay_seconds", _seconds),
    ("FLOWSTONE_TASKS_RUNNER_THREAD_POOL_MAX_WORKERS", "max_workers", _positive),
    ("FLOWSTONE_TASKS_MAP_MAX_IN_FLIGHT", "max_in_flight", _positive),
    ("FLOWSTONE_RESULTS_PERSIST_BY_DEFAULT", "persist_results", _switch),
    ("FLOWSTONE_TASKS_REFRESH_CACHE", "refresh_cache", _switch),
    ("FLOWSTONE_TASKS_DEFAULT_NO_CACHE", "default_no_cache", _switch),
    ("FLOWSTONE_TASKS_DISABLE_CACHING", "disable_caching", _switch),
    ("FLOWSTONE_LEASE_SECONDS", "lease_seconds", _seconds),
    ("FLOWSTONE_PLUGINS_TIMEOUT_SECONDS", "plugins_timeout_seconds", _seconds),
    ("FLOWSTONE_OBSERVERS", "observers", _names),
    ("FLOWSTONE_OBSERVERS_EVENTS_FILE", "events_file", _path),
)
