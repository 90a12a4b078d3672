"""The options of `@flow` and `@task`: one table describes them, and creates a `Spec` from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    Self,
    TypeVar,
    cast,
    overload,
)

from flowstone.calls.option_checks import (
    accept,
    check_count,
    check_delay,
    check_factor,
    check_flag,
    check_function,
    check_hooks,
    check_key_function,
    check_name,
    check_policy,
    check_run_name,
    check_seconds,
    check_serializer,
    check_tags,
    check_template,
    check_timeout,
)
from flowstone.errors import ConfigurationError, suggest_names
from flowstone.records.record import evolve, fact
from flowstone.records.specs import Delay, Spec
from flowstone.records.states import StateType

if TYPE_CHECKING:
    from pathlib import Path

    from flowstone.blocks import ObjectStore
    from flowstone.ports import Serializer
    from flowstone.records.runs import Kind

T = TypeVar("T")


@fact
class OptionRow:
    """The description of an option.

    Attributes:
        name: the name of the decorator's argument.
        check: returns the value to store, or raises ConfigurationError; None if the spec does not
            have the option.
        help: its meaning.
        default: a description of its default.
        field: the field of the `Spec`; empty if it has the same name as the option.
        state: for a hook, the state after which it is called.
    """

    name: str
    check: Callable[[str, object], Any] | None
    help: str
    default: str
    field: str = ""
    state: StateType | None = None


def _make_hook_row(name: str, state: StateType) -> OptionRow:
    text = (
        "Functions to call as ``hook(flow_or_task, run, state)`` after a run has entered the state "
        f"{state.value}. Exceptions in them are logged."
    )
    return OptionRow(name, check_hooks, text, "none", "hooks", state)


_OF_BOTH = (
    OptionRow(
        "name",
        check_name,
        "The name of the flow or task, which is shown with its runs.",
        "the function's name, with hyphens for a flow",
    ),
    OptionRow(
        "version",
        accept,
        "The version to record with each run.",
        "a hash of the file for a flow, none for a task",
    ),
    OptionRow("description", accept, "A description for people.", "the docstring"),
    OptionRow(
        "retries",
        check_count,
        "Maximum number of retries of a failed run.",
        "that of the settings: 0",
    ),
    OptionRow(
        "retry_delay_seconds",
        check_delay,
        "Seconds between retries: a number, a list with one number for each retry, or a function "
        "that takes the number of retries and returns such a list, such as the backoff "
        "`exponential_backoff(2)`.",
        "that of the settings: 0",
    ),
    OptionRow("timeout_seconds", check_timeout, "The timeout of one attempt, in seconds.", "none"),
    OptionRow(
        "log_prints",
        check_flag,
        "Whether to log the output of `print`.",
        "that of the enclosing run, or of the settings: False",
    ),
    OptionRow(
        "persist_result",
        check_flag,
        "Whether to persist results.",
        "True if another option needs it; otherwise that of the enclosing flow, or of the "
        "settings: False",
    ),
    OptionRow(
        "result_storage",
        accept,
        "Where to persist results: a Path, an object store block, or the name of a saved one.",
        "that of the enclosing flow, or of the settings: files in the home",
    ),
    OptionRow(
        "result_serializer",
        check_serializer,
        'How to serialize results: a serializer or its name, such as ``"json"``.',
        "that of the enclosing flow, or of the settings: JSON if that is lossless, Arrow for "
        "tables, otherwise pickle",
    ),
    OptionRow(
        "cache_result_in_memory",
        check_flag,
        "Whether to keep results in memory; if False, they are read from storage when needed.",
        "True",
    ),
    _make_hook_row("on_running", StateType.RUNNING),
    _make_hook_row("on_completion", StateType.COMPLETED),
    _make_hook_row("on_failure", StateType.FAILED),
    _make_hook_row("on_cancellation", StateType.CANCELLED),
    _make_hook_row("on_crashed", StateType.CRASHED),
)
_OF_FLOWS = (
    OptionRow(
        "flow_run_name",
        check_run_name,
        'The name of each run: a template over the parameters, such as ``"load-{day}"``, or a '
        "function that returns a name.",
        "two random words",
        "run_name",
    ),
    OptionRow(
        "task_runner",
        None,
        "The task runner that executes submitted tasks, or the name of an installed one, such as "
        '``"threads"`` or ``"processes"``.',
        "`ThreadPoolTaskRunner()`",
    ),
    OptionRow(
        "validate_parameters",
        check_flag,
        "Whether to check and coerce arguments by their type hints.",
        "True",
    ),
)
_OF_TASKS = (
    OptionRow(
        "task_run_name",
        check_run_name,
        'The name of each run: a template over the parameters, such as ``"fetch-{page}"``, or a '
        "function that returns a name.",
        "the task's name and a number",
        "run_name",
    ),
    OptionRow(
        "tags",
        check_tags,
        "Tags for each run, in addition to those of an enclosing `tags(...)`.",
        "none",
    ),
    OptionRow(
        "retry_jitter_factor",
        check_factor,
        "The maximum random jitter that is added to each delay, as a multiple of the delay.",
        "none",
    ),
    OptionRow(
        "retry_condition_fn",
        check_function,
        "``(task, run, state) -> bool``, sync or async: whether to retry.",
        "every failure is retried",
    ),
    OptionRow(
        "cache_policy",
        check_policy,
        "The inputs of the cache key, such as `INPUTS` or `INPUTS + TASK_SOURCE`.",
        "`DEFAULT`, which caches within one flow run",
    ),
    OptionRow(
        "cache_key_fn",
        check_key_function,
        "``(call, parameters) -> key``, instead of a policy; to turn caching off for a call, it "
        "returns None.",
        "none",
        "cache_policy",
    ),
    OptionRow(
        "cache_expiration",
        check_seconds,
        "The time for which a cached result is valid, as a timedelta or in seconds.",
        "no expiration",
    ),
    OptionRow(
        "refresh_cache",
        check_flag,
        "Whether to execute the task even if its result is cached, and replace that result.",
        "that of the settings: False",
    ),
    OptionRow(
        "result_storage_key",
        check_template,
        'A template for the name of the result\'s file, such as ``"{parameters[day]}.json"``.',
        "a generated name",
    ),
    OptionRow(
        "on_commit",
        check_hooks,
        "Functions to call as ``hook(transaction)`` when the transaction around a run is "
        "committed, or at the end of the run if there is none.",
        "none",
    ),
    OptionRow(
        "on_rollback",
        check_hooks,
        "Functions to call as ``hook(transaction)`` when the transaction around a run is rolled "
        "back.",
        "none",
    ),
    OptionRow(
        "viz_return_value",
        accept,
        "The value that `flow.visualize()` uses as the result of the task, without executing it.",
        "a placeholder",
    ),
)
#: The options of flows and of tasks, by name.
OPTIONS: dict[Kind, dict[str, OptionRow]] = {
    "flow": {row.name: row for row in (*_OF_BOTH, *_OF_FLOWS)},
    "task": {row.name: row for row in (*_OF_BOTH, *_OF_TASKS)},
}


def find_field(option: str) -> str:
    """Return the field of the `Spec` that has an option."""
    row = OPTIONS["flow"].get(option) or OPTIONS["task"][option]
    return row.field or option


#: Options that `make_spec` derives: None leaves these unchanged.
_FOUND = frozenset({"description", "name", "version"})
#: Two options of one field: if one of them is set, the other may be None.
_OF_KEYS = ("cache_key_fn", "cache_policy")
_PLAIN = Spec("task", "")


def unset_options(spec: Spec, options: Mapping[str, object]) -> Spec:
    """Return a spec in which the options that are None are reset to their defaults."""
    known, hooks, changes = OPTIONS[spec.kind], dict(spec.hooks), dict[str, object]()
    for name in [each for each, value in options.items() if value is None and each in known]:
        row = known[name]
        if row.state is not None:
            hooks.pop(row.state, None)
            changes["hooks"] = hooks
        elif row.check is not None and name not in _FOUND:
            one_is_given = any(options.get(other) is not None for other in _OF_KEYS)
            if name not in _OF_KEYS or not one_is_given:
                changes[row.field or name] = getattr(_PLAIN, row.field or name)
    return evolve(spec, **changes) if changes else spec


def apply_options(spec: Spec, options: Mapping[str, object]) -> Spec:
    """Return a spec with some options changed; options that are None are not changed.

    Raises:
        ConfigurationError: an option is unknown, or its value is invalid.
    """
    known = OPTIONS[spec.kind]
    changes: dict[str, Any] = {}
    hooks = dict(spec.hooks)
    for name, value in options.items():
        row = known.get(name)
        if row is None:
            what, problem = f"@{spec.kind} of {spec.name!r}", f"there is no option {name!r}"
            raise ConfigurationError(what, problem, suggest_names(name, known).strip())
        if value is None or row.check is None:
            continue
        if name == "cache_policy" and options.get("cache_key_fn") is not None:
            continue  # the function takes precedence, in any order
        kept = row.check(_describe(spec, name), value)
        if row.state is not None:
            changes["hooks"] = hooks = {**hooks, row.state: kept}
        else:
            changes[row.field or name] = kept
    new = evolve(spec, **changes) if changes else spec
    if not new.cache_result_in_memory and new.persist_result is False:
        what = _describe(new, "cache_result_in_memory")
        problem = "persist_result=False leaves no file to read the result from"
        raise ConfigurationError(what, problem, "Omit one of the two.")
    return new


def _describe(spec: Spec, option: str) -> str:
    return f"option {option} of {spec.kind} {spec.name!r}"


class Option(Generic[T]):
    """An option as an attribute of a flow or task, such as `my_task.retries`."""

    def __set_name__(self, _owner: type, name: str) -> None:
        self._field = find_field(name)

    @overload
    def __get__(self, unit: None, owner: type) -> Self: ...
    @overload
    def __get__(self, unit: OptionAttributes, owner: type) -> T: ...
    def __get__(self, unit: OptionAttributes | None, owner: type) -> Self | T:
        return self if unit is None else cast("T", getattr(unit.spec, self._field))


class OptionAttributes:
    """The options of a flow or task as attributes; an option that was not passed is None."""

    spec: Spec

    retries: Option[int | None] = Option()
    retry_delay_seconds: Option[Delay | None] = Option()
    timeout_seconds: Option[float | None] = Option()
    log_prints: Option[bool | None] = Option()
    persist_result: Option[bool | None] = Option()
    result_storage: Option[ObjectStore | Path | str | None] = Option()
    result_serializer: Option[Serializer | str | None] = Option()
    cache_result_in_memory: Option[bool] = Option()
