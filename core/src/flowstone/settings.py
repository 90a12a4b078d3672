"""Settings: the one reader of the environment."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple, TypeVar, cast

from flowstone.errors import ConfigurationError
from flowstone.records.record import RecordField, field, list_fields, record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

T = TypeVar("T")

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def parse_path(text: str) -> Path:
    # 6 ms to import, which a program pays at its first run, not at its imports.
    from pathlib import Path

    try:
        return Path(text).expanduser().absolute()
    except RuntimeError:
        raise ValueError("a path: no home directory is known for its ~") from None


_SET_HOME = "Set it to a directory that this user can write."
_SET_AGAIN = "Set it again, or unset it."


def find_default_home() -> Path:
    """Return the home directory of Flowstone if `FLOWSTONE_HOME` is not set.

    Raises:
        ConfigurationError: this user has no home directory, as in many containers.
    """
    try:
        return parse_path("~/.flowstone")
    except ValueError:
        problem = "it is not set, and this user has no home directory"
        raise ConfigurationError("FLOWSTONE_HOME", problem, _SET_HOME) from None


def parse_count(text: str) -> int:
    if not text.isdecimal():
        raise ValueError("a whole number from 0 up")
    return int(text)


def parse_positive(text: str) -> int:
    number = parse_count(text)
    if number < 1:
        raise ValueError("a whole number from 1 up")
    return number


def parse_seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise ValueError("a number of seconds from 0 up")
    return seconds


def parse_days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = 0.0
    if not 0 < days < float("inf"):
        raise ValueError("a number of days greater than 0")
    return days


def parse_switch(text: str) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True}
    words |= {"0": False, "false": False, "no": False, "off": False}
    if text.lower() not in words:
        raise ValueError("true or false")
    return words[text.lower()]


def parse_level(text: str) -> str:
    if text.upper() not in LEVELS:
        raise ValueError(f"one of {', '.join(LEVELS)}")
    return text.upper()


def parse_format(text: str) -> str:
    if text not in {"text", "json"}:
        raise ValueError("'text' or 'json'")
    return text


def parse_names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def parse_store(text: str) -> str:
    if text not in {"sqlite", "memory"}:
        raise ValueError("'sqlite' or 'memory'")
    return text


def read_from(variable: str, parse: Callable[[str], T], default: T, *, show: bool = True) -> T:
    """Make a field that an environment variable sets.

    Args:
        variable: Its name.
        parse: Turns its text into a value; a ValueError says what the text should have been.
        default: The value where the variable is not set, or empty.
        show: Whether the value may stand in the ``repr``.
    """
    return field(default=default, show=show, metadata={"variable": variable, "parse": parse})


@record
class Settings:
    """What the environment says; every field has a default that works.

    Attributes:
        home: The directory that Flowstone writes to: the store, results, the key file.
        store: ``sqlite`` keeps runs and blocks in `home`; ``memory`` forgets them at exit.
        secret_key: Seals secrets: base64 of 32 bytes, or a passphrase; None for a key file in
            `home`.
        secret_key_old: The key before it, which still opens what it has sealed.
        secrets_ttl_seconds: Seconds for which a process remembers what a reference to a secret
            resolved to.
        logging_level: The lowest level that run loggers record.
        logging_format: The format of log lines on standard error: ``text``, or ``json`` for one
            object per line.
        logging_colors: Whether they are coloured by level on a terminal, unless `NO_COLOR` is set.
        live_tree: Whether every program shows a live tree of its flow runs on a terminal.
        log_prints: Whether to log what `print` prints in a run, unless the flow or task says.
        capture_stdout: Whether to log what any code in a run writes to standard output, except in
            runs with ``log_prints=False``.
        extra_loggers: Names of loggers, such as a library's, whose lines belong to the run that
            they are written in; ``root`` for all.
        flow_retries: `retries` of a flow that does not say.
        flow_retry_delay_seconds: `retry_delay_seconds` of a flow that does not say.
        task_retries: `retries` of a task that does not say.
        task_retry_delay_seconds: `retry_delay_seconds` of a task that does not say.
        max_workers: Threads of a `ThreadPoolTaskRunner` that does not say.
        max_in_flight: How many calls of a `.map` that does not say may be unfinished at a time;
            None for any number.
        persist_results: Whether to keep results, unless the flow or task says.
        result_serializer: The name of the serializer of results, unless the flow or task says.
        result_storage: Where results are kept, unless the flow or task says: the name of a saved
            object store, such as ``s3-bucket/results``; None for files in `results_path`.
        results_path: Where results are kept as files; None for ``storage`` in `home`.
        refresh_cache: Whether to compute cached results anew, unless the task says.
        default_no_cache: Whether tasks without a `cache_policy` cache nothing.
        disable_caching: Whether no task caches anything, whatever it says.
        lease_seconds: Seconds for which a run whose process is out of sight, as on another machine,
            counts as alive and holds its slots.
        keep_runs_days: Days after their end for which runs are kept; None for ever.
        plugins_timeout_seconds: Seconds that a plugin may take to import before it counts as
            broken.
        imports: Modules or Python files that define your own blocks, imported when the type of a
            block is looked up.
        observers: Names of the observers that are told of every run.
        events_file: Where the observer ``events-file`` writes; None for ``events.jsonl`` in `home`.
    """

    home: Path = field(
        default_factory=find_default_home,
        metadata={"variable": "FLOWSTONE_HOME", "parse": parse_path},
    )
    store: str = read_from("FLOWSTONE_STORE", parse_store, "sqlite")
    secret_key: str | None = read_from("FLOWSTONE_SECRET_KEY", str, None, show=False)
    secret_key_old: str | None = read_from("FLOWSTONE_SECRET_KEY_OLD", str, None, show=False)
    secrets_ttl_seconds: float = read_from("FLOWSTONE_SECRETS_TTL_SECONDS", parse_seconds, 300.0)
    logging_level: str = read_from("FLOWSTONE_LOGGING_LEVEL", parse_level, "INFO")
    logging_format: str = read_from("FLOWSTONE_LOGGING_FORMAT", parse_format, "text")
    logging_colors: bool = read_from("FLOWSTONE_LOGGING_COLORS", parse_switch, True)
    live_tree: bool = read_from("FLOWSTONE_LIVE_TREE", parse_switch, False)
    log_prints: bool = read_from("FLOWSTONE_LOGGING_LOG_PRINTS", parse_switch, False)
    capture_stdout: bool = read_from("FLOWSTONE_LOGGING_CAPTURE_STDOUT", parse_switch, False)
    extra_loggers: tuple[str, ...] = read_from("FLOWSTONE_LOGGING_EXTRA_LOGGERS", parse_names, ())
    flow_retries: int = read_from("FLOWSTONE_FLOWS_DEFAULT_RETRIES", parse_count, 0)
    flow_retry_delay_seconds: float = read_from(
        "FLOWSTONE_FLOWS_DEFAULT_RETRY_DELAY_SECONDS", parse_seconds, 0.0
    )
    task_retries: int = read_from("FLOWSTONE_TASKS_DEFAULT_RETRIES", parse_count, 0)
    task_retry_delay_seconds: float = read_from(
        "FLOWSTONE_TASKS_DEFAULT_RETRY_DELAY_SECONDS", parse_seconds, 0.0
    )
    max_workers: int = read_from(
        "FLOWSTONE_TASKS_RUNNER_THREAD_POOL_MAX_WORKERS", parse_positive, 128
    )
    max_in_flight: int | None = read_from("FLOWSTONE_TASKS_MAP_MAX_IN_FLIGHT", parse_positive, None)
    persist_results: bool = read_from("FLOWSTONE_RESULTS_PERSIST_BY_DEFAULT", parse_switch, False)
    result_serializer: str | None = read_from("FLOWSTONE_RESULTS_DEFAULT_SERIALIZER", str, None)
    result_storage: str | None = read_from("FLOWSTONE_RESULTS_DEFAULT_STORAGE_BLOCK", str, None)
    results_path: Path | None = field(
        default=None,
        metadata={"variable": "FLOWSTONE_RESULTS_LOCAL_STORAGE_PATH", "parse": parse_path},
    )
    refresh_cache: bool = read_from("FLOWSTONE_TASKS_REFRESH_CACHE", parse_switch, False)
    default_no_cache: bool = read_from("FLOWSTONE_TASKS_DEFAULT_NO_CACHE", parse_switch, False)
    disable_caching: bool = read_from("FLOWSTONE_TASKS_DISABLE_CACHING", parse_switch, False)
    lease_seconds: float = read_from("FLOWSTONE_LEASE_SECONDS", parse_seconds, 30.0)
    keep_runs_days: float | None = read_from("FLOWSTONE_KEEP_RUNS_DAYS", parse_days, None)
    plugins_timeout_seconds: float = read_from(
        "FLOWSTONE_PLUGINS_TIMEOUT_SECONDS", parse_seconds, 5.0
    )
    imports: tuple[str, ...] = read_from("FLOWSTONE_IMPORT", parse_names, ())
    observers: tuple[str, ...] = read_from("FLOWSTONE_OBSERVERS", parse_names, ())
    events_file: Path | None = field(
        default=None,
        metadata={"variable": "FLOWSTONE_OBSERVERS_EVENTS_FILE", "parse": parse_path},
    )


def list_variables() -> dict[str, str]:
    """Return the environment variables that are read, each with the name of its field."""
    return {each.metadata["variable"]: each.name for each in list_fields(Settings)}


def read_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from the environment.

    Raises:
        ConfigurationError: a variable has a value that can't be used; it is named.
    """
    env = os.environ if environ is None else environ
    return Settings(**_read_values(env, list_fields(Settings)))  # type: ignore[arg-type]


def make_child_environ(settings: Settings) -> dict[str, str]:
    """Return the environment for another process that is to have the same home."""
    return {**os.environ, "FLOWSTONE_HOME": str(settings.home)}


def read_plugins_timeout() -> float:
    """Read the only setting that listings and help need; other settings may be invalid.

    Raises:
        ConfigurationError: its value can't be used.
    """
    [timeout] = (each for each in list_fields(Settings) if each.name == "plugins_timeout_seconds")
    found = _read_values(os.environ, [timeout]).get(timeout.name, timeout.default)
    return cast("float", found)


def _read_values(env: Mapping[str, str], wanted: Iterable[RecordField]) -> dict[str, object]:
    values: dict[str, object] = {}
    for each in wanted:
        variable = each.metadata["variable"]
        if text := env.get(variable, ""):
            try:
                values[each.name] = each.metadata["parse"](text)
            except ValueError as error:
                raise ConfigurationError(variable, f"{text!r} is not {error}", _SET_AGAIN) from None
    return values


class SettingSource(NamedTuple):
    """A setting, and where its value comes from.

    Attributes:
        name: of the field of `Settings`.
        variable: that sets it.
        value: what it is; the default where the variable's text can't be used.
        is_set: whether the variable says so, and not the default.
        is_secret: whether the value must not be shown.
        problem: why the variable's text can't be used, or what is missing; None if it is valid.
        remedy: how to fix that.
    """

    name: str
    variable: str
    value: object
    is_set: bool
    is_secret: bool
    problem: str | None = None
    remedy: str | None = None


def explain_settings(environ: Mapping[str, str] | None = None) -> list[SettingSource]:
    """Return every setting with where its value comes from, those that can't be used too."""
    env = os.environ if environ is None else environ
    found = []
    for each in list_fields(Settings):
        variable, text = each.metadata["variable"], env.get(each.metadata["variable"], "")
        value, problem = _find_default(each, is_needed=not text)
        if text:
            try:
                value = each.metadata["parse"](text)
            except ValueError as error:
                problem = f"{text!r} is not {error}" if each.show else f"it is not {error}"
        remedy = None
        if problem is not None:
            remedy = _SET_AGAIN if text else _SET_HOME
        source = (each.name, variable, value, bool(text), not each.show)
        found.append(SettingSource(*source, problem, remedy))
    return found


def _find_default(setting: RecordField, *, is_needed: bool) -> tuple[object, str | None]:
    """Return a setting's default; if it is needed and there is none, None and the reason."""
    if setting.name != "home":
        return setting.default, None
    try:
        return find_default_home(), None
    except ConfigurationError as error:
        return None, error.problem if is_needed else None


_PREFIX = "FLOWSTONE_"


def find_misspelt(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables that are nearly one that is read, each with that one."""
    known = list_variables()
    env = os.environ if environ is None else environ
    unknown = [name for name in env if name.upper().startswith(_PREFIX) and name not in known]
    if not unknown:
        return {}
    # 2 ms to import, which only a program pays that has such a variable.
    from difflib import get_close_matches

    # Compared without what they all begin with, which would make all alike.
    rests = [name.removeprefix(_PREFIX) for name in known]
    near = {
        name: get_close_matches(name.upper().removeprefix(_PREFIX), rests, n=1, cutoff=0.75)
        for name in sorted(unknown)
    }
    return {name: f"{_PREFIX}{found[0]}" for name, found in near.items() if found}


def wants_color(environ: Mapping[str, str] | None = None) -> bool:
    """Tell whether the environment allows colours on a terminal; see https://no-color.org."""
    env = os.environ if environ is None else environ
    return not env.get("NO_COLOR") and env.get("TERM") != "dumb" and os.name != "nt"


def make_private_directory(path: Path) -> None:
    """Make a directory where there is none, and what is above it: its owner's alone."""
    if not path.is_dir():
        make_private_directory(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)


def read_environment() -> Mapping[str, str]:
    """Return the environment, for the variables that a user names, and for a child process."""
    return os.environ


def replace_environment(environ: Mapping[str, str]) -> None:
    """Give this process another environment: it was forked to stand for one with that."""
    os.environ.clear()
    os.environ.update(environ)
