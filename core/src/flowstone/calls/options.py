"""The options of `@flow` and `@task`: said once, checked once, turned into a `Spec`."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Generic, Self, TypedDict, TypeVar, cast, overload
from zlib import crc32

from flowstone.calls.parameters import RESERVED
from flowstone.errors import ConfigurationError, nearest
from flowstone.records.specs import Delay, Hook, Spec
from flowstone.records.states import StateType

if TYPE_CHECKING:
    from datetime import timedelta
    from pathlib import Path

    from flowstone.blocks import ObjectStore
    from flowstone.ports import Serializer
    from flowstone.records.runs import Kind
    from flowstone.results.policies import CachePolicy
    from flowstone.task_runners.base import TaskRunner

T = TypeVar("T")

#: Characters that a name may not have: they mean something in URLs and paths.
BANNED = "/%&<>"


class UnitOptions(TypedDict, total=False):
    """What flows and tasks have in common; an option that is not given takes its default.

    Attributes:
        name: of the flow or task; by default the function's, for a flow with hyphens.
        version: what to record as its version; by default, for a flow, a hash of its file.
        description: by default the docstring.
        retries: how often a failed run is started again; by default the setting, 0.
        timeout_seconds: of one attempt; by default none.
        log_prints: log what `print` prints; by default as the run around it, or the setting.
        persist_result: keep results beyond the run; by default where another option asks for it,
            or as the flow around it, or the setting.
        result_storage: where: a Path, an object store block, or the name of a saved one; by
            default files in the home.
        result_serializer: how: a serializer or its name, such as ``"json"``; by default JSON
            where that is exact, Arrow for tables, and pickle for the rest.
        cache_result_in_memory: False keeps each result in its file only, and reads it from there
            when it is asked for; by default True.
        on_running, on_completion, on_failure, on_cancellation, on_crashed: hooks, each called as
            ``hook(unit, run, state)`` once the state is recorded. One that fails is logged.
    """

    name: str | None
    version: str | None
    description: str | None
    retries: int | None
    timeout_seconds: float | None
    log_prints: bool | None
    persist_result: bool | None
    result_storage: ObjectStore | Path | str | None
    result_serializer: Serializer | str | None
    cache_result_in_memory: bool | None
    on_running: Sequence[Hook] | None
    on_completion: Sequence[Hook] | None
    on_failure: Sequence[Hook] | None
    on_cancellation: Sequence[Hook] | None
    on_crashed: Sequence[Hook] | None


class FlowOptions(UnitOptions, total=False):
    """The options of `@flow`.

    Attributes:
        flow_run_name: each run's name: a template over the parameters, such as
            ``"load-{day}"``, or a function that returns one; by default made up.
        retry_delay_seconds: between retries: a number, one for each retry, or a function.
        task_runner: where submitted tasks run; by default `ThreadPoolTaskRunner()`. A text names
            one that an installed package offers: ``"threads"``, ``"processes"``.
        validate_parameters: check and coerce the arguments by the type hints; by default True.
    """

    flow_run_name: str | Callable[..., str] | None
    retry_delay_seconds: Delay | None
    task_runner: TaskRunner | type[TaskRunner] | str | None
    validate_parameters: bool


class TaskOptions(UnitOptions, total=False):
    """The options of `@task`.

    Attributes:
        on_commit, on_rollback: called as ``hook(transaction)`` when the transaction around a run
            is committed or rolled back; `on_commit` also at the end of a run that is in none.
        cache_policy: what makes two calls the same call, such as `INPUTS` or
            `INPUTS + TASK_SOURCE`; by default `DEFAULT`, which holds within one flow run.
        cache_key_fn: ``(call, parameters) -> key``, in place of a policy; None caches nothing.
        cache_expiration: how long a kept result is used, as a timedelta or in seconds.
        refresh_cache: compute anew, and keep that.
        result_storage_key: a template of the result's file name, such as
            ``"{parameters[day]}.json"``, in place of a made-up one.
        task_run_name: each run's name: a template over the parameters, or a function that
            returns one; by default the task's name and a number.
        tags: of each run, beside those of `tags(...)` around the call.
        retry_delay_seconds: a number of seconds, one for each retry, or a function such as
            `exponential_backoff(2)`; by default the setting, 0.
        retry_jitter_factor: up to so many times the delay is added to it, at random.
        retry_condition_fn: ``(task, run, state) -> bool``, sync or async; False gives up.
        viz_return_value: what `flow.visualize()` takes for a value of the task, which it does not
            run; by default a stand-in that can be passed on.
    """

    on_commit: Sequence[Hook] | None
    on_rollback: Sequence[Hook] | None
    cache_policy: CachePolicy | None
    cache_key_fn: Callable[..., str | None] | None
    cache_expiration: timedelta | float | None
    refresh_cache: bool | None
    result_storage_key: str | None
    task_run_name: str | Callable[..., str] | None
    tags: Collection[str] | None
    retry_delay_seconds: Delay | None
    retry_jitter_factor: float | None
    retry_condition_fn: Callable[..., Any] | None
    viz_return_value: Any


_HOOKS = {
    "on_running": StateType.RUNNING,
    "on_completion": StateType.COMPLETED,
    "on_failure": StateType.FAILED,
    "on_cancellation": StateType.CANCELLED,
    "on_crashed": StateType.CRASHED,
}
_FIELDS = {"flow_run_name": "run_name", "task_run_name": "run_name"}
_KNOWN = {"flow": FlowOptions, "task": TaskOptions}


def new_spec(kind: Kind, fn: Callable[..., Any], options: Mapping[str, Any]) -> Spec:
    """Return the spec of a function with these options.

    Raises:
        ConfigurationError: an option is not known, or its value can't be used.
    """
    name = getattr(fn, "__name__", type(fn).__name__)
    if kind == "flow":
        name = name.replace("_", "-")
    if name == "<lambda>" and not options.get("name"):
        name = "lambda"
    _refuse_reserved(kind, name, fn)
    spec = Spec(kind, name, inspect.getdoc(fn), _file_hash(fn) if kind == "flow" else None)
    return changed(spec, options)


def _refuse_reserved(kind: Kind, name: str, fn: Callable[..., Any]) -> None:
    code = getattr(inspect.unwrap(fn), "__code__", None)
    if code is None:
        return
    own = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    for reserved in sorted(RESERVED):
        if reserved in own:
            problem = f"its parameter {reserved!r} has a name that each call has a use for"
            raise ConfigurationError(f"{kind} {name!r}", problem, "Rename it.")


def changed(spec: Spec, options: Mapping[str, Any]) -> Spec:
    """Return a spec with some options changed; one that is None stays as it was."""
    fields: dict[str, Any] = {}
    hooks = dict(spec.hooks)
    for option, value in options.items():
        if option not in _KNOWN[spec.kind].__annotations__:
            raise ConfigurationError(
                f"@{spec.kind} of {spec.name!r}",
                f"there is no option {option!r}",
                nearest(option, _KNOWN[spec.kind].__annotations__).strip(),
            )
        if value is None or option == "task_runner":
            continue
        if option == "cache_policy" and options.get("cache_key_fn") is not None:
            continue  # the function wins, whichever comes first
        if option == "cache_key_fn":
            # Imported where it is used: hashing takes 5 ms that most programs save.
            from flowstone.results.policies import CacheKeyFnPolicy  # noqa: PLC0415

            fields["cache_policy"] = CacheKeyFnPolicy(_function(spec, option, value))
        elif option in {"on_commit", "on_rollback"}:
            fields[option] = _hooks(spec, option, value)
        elif option in _HOOKS:
            hooks[_HOOKS[option]] = _hooks(spec, option, value)
        else:
            fields[_FIELDS.get(option, option)] = _CHECKS.get(option, _any)(spec, option, value)
    if hooks != dict(spec.hooks):
        fields["hooks"] = hooks
    new = replace(spec, **fields) if fields else spec
    if not new.cache_result_in_memory and new.persist_result is False:
        problem = "persist_result=False leaves no file to read the result from"
        raise _refuse(new, "cache_result_in_memory", problem, "Leave one of the two out.")
    return new


def _refuse(spec: Spec, option: str, problem: str, remedy: str) -> ConfigurationError:
    return ConfigurationError(f"option {option} of {spec.kind} {spec.name!r}", problem, remedy)


def _any(_spec: Spec, _option: str, value: Any) -> Any:
    return value


def _name(spec: Spec, option: str, value: Any) -> str:
    if not isinstance(value, str) or not value or any(char in BANNED for char in value):
        problem = f"{value!r} is not a name"
        raise _refuse(spec, option, problem, f"Use a text without the characters {BANNED}")
    return value


def _retries(spec: Spec, option: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise _refuse(spec, option, f"{value!r} is not a count", "Use a whole number from 0 up.")
    return value


def _seconds(spec: Spec, option: str, value: Any) -> float:
    if hasattr(value, "total_seconds"):
        value = value.total_seconds()
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not value >= 0:
        remedy = "Use a number of seconds from 0 up, or a timedelta."
        raise _refuse(spec, option, f"{value!r} is not a duration", remedy)
    return float(value)


def _timeout(spec: Spec, option: str, value: Any) -> float:
    seconds = _seconds(spec, option, value)
    if seconds == 0:
        raise _refuse(spec, option, "0 leaves no time to run", "Leave it out for no limit.")
    return seconds


def _delay(spec: Spec, option: str, value: Any) -> Delay:
    if callable(value):
        function: Delay = value
        return function
    if isinstance(value, (list, tuple)):
        return [_seconds(spec, option, item) for item in value]
    return _seconds(spec, option, value)


def _factor(spec: Spec, option: str, value: Any) -> float:
    if not isinstance(value, (int, float)) or not value >= 0:
        raise _refuse(spec, option, f"{value!r} is not a factor", "Use a number from 0 up.")
    return float(value)


def _tags(spec: Spec, option: str, value: Any) -> frozenset[str]:
    if isinstance(value, str) or not all(isinstance(tag, str) for tag in value):
        raise _refuse(spec, option, f"{value!r} is not a list of texts", "Use tags=['a', 'b'].")
    return frozenset(value)


def _hooks(spec: Spec, option: str, value: Any) -> tuple[Hook, ...]:
    hooks = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    if not all(callable(hook) for hook in hooks):
        raise _refuse(spec, option, f"{value!r} holds no functions", f"Use {option}=[my_hook].")
    return hooks


def _function(spec: Spec, option: str, value: object) -> Hook:
    if not callable(value):
        raise _refuse(spec, option, f"{value!r} is not a function", "Use a function.")
    return value


def _template(spec: Spec, option: str, value: object) -> object:
    if isinstance(value, str) or (callable(value) and option != "result_storage_key"):
        return value
    raise _refuse(spec, option, f"{value!r} is not a text", "Use a template, as 'load-{day}'.")


def _flag(spec: Spec, option: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise _refuse(spec, option, f"{value!r} is neither True nor False", "Use one of them.")
    return value


def _serializer(spec: Spec, option: str, value: object) -> object:
    if not (isinstance(value, str) or (hasattr(value, "dumps") and hasattr(value, "loads"))):
        problem = f"{value!r} is no serializer"
        raise _refuse(spec, option, problem, "Use one, or a name such as 'json'.")
    return value


def _policy(spec: Spec, option: str, value: Any) -> Any:
    if not hasattr(value, "parts"):
        problem = f"{value!r} is not a cache policy"
        raise _refuse(spec, option, problem, "Use one of flowstone.cache_policies, as INPUTS.")
    return value


class Option(Generic[T]):
    """An option as an attribute of a flow or task, `my_task.retries`: what its spec says."""

    def __set_name__(self, _owner: type, name: str) -> None:
        self._field = _FIELDS.get(name, name)

    @overload
    def __get__(self, unit: None, owner: type) -> Self: ...
    @overload
    def __get__(self, unit: Optioned, owner: type) -> T: ...
    def __get__(self, unit: Optioned | None, owner: type) -> Self | T:
        return self if unit is None else cast("T", getattr(unit.spec, self._field))


class Optioned:
    """Something with a spec, whose options can be asked for; None where one was not given."""

    spec: Spec

    retries: Option[int | None] = Option()
    retry_delay_seconds: Option[Delay | None] = Option()
    timeout_seconds: Option[float | None] = Option()
    log_prints: Option[bool | None] = Option()
    persist_result: Option[bool | None] = Option()
    result_storage: Option[ObjectStore | Path | str | None] = Option()
    result_serializer: Option[Serializer | str | None] = Option()
    cache_result_in_memory: Option[bool] = Option()


_CHECKS: dict[str, Callable[[Spec, str, Any], Any]] = {
    **dict.fromkeys(
        (
            "cache_result_in_memory",
            "log_prints",
            "persist_result",
            "refresh_cache",
            "validate_parameters",
        ),
        _flag,
    ),
    **dict.fromkeys(("flow_run_name", "result_storage_key", "task_run_name"), _template),
    "cache_expiration": _seconds,
    "cache_policy": _policy,
    "name": _name,
    "result_serializer": _serializer,
    "retries": _retries,
    "retry_condition_fn": _function,
    "retry_delay_seconds": _delay,
    "retry_jitter_factor": _factor,
    "tags": _tags,
    "timeout_seconds": _timeout,
}


def unwrapped(fn: Any) -> tuple[Callable[..., Any], type | None]:
    """Return the function inside a classmethod or staticmethod, and which of them it was.

    Raises:
        ConfigurationError: it is not a function.
    """
    binding = type(fn) if isinstance(fn, (classmethod, staticmethod)) else None
    function = fn.__func__ if binding else fn
    if not callable(function) or isinstance(function, type):
        raise ConfigurationError(
            "@flow and @task",
            f"{fn!r} is not a function",
            "Put them on a function: `@flow` or `@flow(name=...)`, then `def`.",
        )
    return function, binding


def names_around() -> Mapping[str, Any] | None:
    """Return the local names of the function in which a decorator stands; None in a module.

    A type hint that is written as text may name them, and nothing else remembers them.
    """
    frame = sys._getframe(1)  # noqa: SLF001 - the documented way, as pydantic and dataclasses do
    while frame.f_globals.get("__name__", "").startswith("flowstone.") and frame.f_back:
        frame = frame.f_back
    return None if frame.f_locals is frame.f_globals else dict(frame.f_locals)


def _file_hash(fn: Callable[..., Any]) -> str | None:
    while isinstance(fn, partial):
        fn = fn.func
    code = getattr(inspect.unwrap(fn), "__code__", None)
    return _hash(code.co_filename) if code is not None else None


@cache
def _hash(path: str) -> str | None:
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - pathlib takes 6 ms to import, hashlib 5
            return f"{crc32(file.read()):08x}"
    except OSError:  # typed at a prompt, or generated
        return None
