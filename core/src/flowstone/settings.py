"""Settings, read from environment variables."""

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
    # Takes 6 ms, which a program spends at its first run, not at its imports.
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
    """Create a field that is set by an environment variable.

    Args:
        variable: The name of the variable.
        parse: Parses the variable's text; the message of its ValueError describes valid texts.
        default: The value if the variable is not set or empty.
        show: Whether the value appears in the ``repr``.
    """
    return field(default=default, show=show, metadata={"variable": variable, "parse": parse})


@record
class Settings:
    """The settings; every field has a default that works.

    Attributes:
        home: The directory that Flowstone writes to: the store, results, the key file.
        store: ``sqlite`` stores runs and blocks in `home`; ``memory`` discards them at exit.
        secret_key: The key that encrypts secrets: base64 of 32 bytes, or a passphrase; None for a
            key file in `home`.
        secret_key_old: The previous key, which still decrypts the secrets encrypted with it.
        secrets_ttl_seconds: Seconds for which a process caches the secret that a reference resolved
            to.
        logging_level: The lowest level that run loggers record.
        logging_format: The format of log lines on standard error: ``text``, or ``json`` for one
            object per line.
        logging_colors: Whether log lines are colored by level on a terminal, unless `NO_COLOR` is
            set.
        live_tree: Whether every program shows a live tree of its flow runs on a terminal.
        log_prints: Default of `log_prints` for flows and tasks: whether to log the output of
            `print` in a run.
        capture_stdout: Whether to log everything that code in a run writes to standard output,
            except in runs with ``log_prints=False``.
        extra_loggers: Names of further loggers, such as a library's, whose records are stored with
            the run in which they are logged; ``root`` for all.
        flow_retries: Default of `retries` for flows.
        flow_retry_delay_seconds: Default of `retry_delay_seconds` for flows.
        task_retries: Default of `retries` for tasks.
        task_retry_delay_seconds: Default of `retry_delay_seconds` for tasks.
        max_workers: Default number of threads of a `ThreadPoolTaskRunner`.
        max_in_flight: Default of `max_in_flight` for `.map`, the maximum number of unfinished
            calls; None for no limit.
        persist_results: Default of `persist_result` for flows and tasks.
        result_serializer: Default of `result_serializer`: the name of a serializer.
        result_storage: Default of `result_storage`: the name of a saved object store, such as
            ``s3-bucket/results``; None for files in `results_path`.
        results_path: The directory for results as files; None for ``storage`` in `home`.
        refresh_cache: Default of `refresh_cache` for tasks: whether to compute cached results
            again.
        default_no_cache: Whether caching is off for tasks without a `cache_policy`.
        disable_caching: Whether caching is off for all tasks, regardless of their options.
        lease_seconds: Seconds after which a run without a heartbeat is recorded as Crashed and its
            slots are freed, if its process can't be checked from this machine.
        keep_runs_days: Retention of runs: days after their end; None for no deletion.
        plugins_timeout_seconds: Seconds that a plugin may take to import before it is reported as
            broken.
        imports: Modules or Python files that define your own blocks, imported when the type of a
            block is looked up.
        observers: Names of the observers that receive the events of every run.
        events_file: The file that the observer ``events-file`` writes to; None for ``events.jsonl``
            in `home`.
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
    """Return the names of all environment variables, each with the name of its field."""
    return {each.metadata["variable"]: each.name for each in list_fields(Settings)}


def read_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from the environment.

    Raises:
        ConfigurationError: a variable has an invalid value; the error names the variable.
    """
    env = os.environ if environ is None else environ
    return Settings(**_read_values(env, list_fields(Settings)))  # type: ignore[arg-type]


def make_child_environ(settings: Settings) -> dict[str, str]:
    """Return the environment for a child process with the same home."""
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
    """A setting, and the source of its value.

    Attributes:
        name: the name of the field of `Settings`.
        variable: the environment variable.
        value: the value; the default if the variable's text is invalid.
        is_set: whether the variable is set.
        is_secret: whether the value must not be shown.
        problem: why the variable's text is invalid, or what is missing; None if it is valid.
        remedy: how to fix the problem.
    """

    name: str
    variable: str
    value: object
    is_set: bool
    is_secret: bool
    problem: str | None = None
    remedy: str | None = None


def explain_settings(environ: Mapping[str, str] | None = None) -> list[SettingSource]:
    """Return every setting with the source of its value, including invalid ones."""
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
    """Return a setting's default; if there is none, return None, and the reason if it is needed."""
    if setting.name != "home":
        return setting.default, None
    try:
        return find_default_home(), None
    except ConfigurationError as error:
        return None, error.problem if is_needed else None


_PREFIX = "FLOWSTONE_"


def find_misspelt(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return misspelt variables of the environment, each with the variable that it resembles."""
    known = list_variables()
    env = os.environ if environ is None else environ
    unknown = [name for name in env if name.upper().startswith(_PREFIX) and name not in known]
    if not unknown:
        return {}
    # Takes 2 ms, which only a program with such a variable needs.
    from difflib import get_close_matches

    # Compared without the common prefix, which would make all of them similar.
    rests = [name.removeprefix(_PREFIX) for name in known]
    near = {
        name: get_close_matches(name.upper().removeprefix(_PREFIX), rests, n=1, cutoff=0.75)
        for name in sorted(unknown)
    }
    return {name: f"{_PREFIX}{found[0]}" for name, found in near.items() if found}


def wants_color(environ: Mapping[str, str] | None = None) -> bool:
    """Return whether the environment allows colors on a terminal; see https://no-color.org."""
    env = os.environ if environ is None else environ
    return not env.get("NO_COLOR") and env.get("TERM") != "dumb" and os.name != "nt"


def make_private_directory(path: Path) -> None:
    """Create a directory and its parents if they don't exist, accessible only to the owner."""
    if not path.is_dir():
        make_private_directory(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)


def read_environment() -> Mapping[str, str]:
    """Return the environment, to look up variables that the user names, or for a child process."""
    return os.environ


def replace_environment(environ: Mapping[str, str]) -> None:
    """Replace the environment of this process, which was forked to run with another one."""
    os.environ.clear()
    os.environ.update(environ)
