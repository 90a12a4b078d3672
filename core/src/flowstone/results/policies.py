"""Cache policies: how the cache key of a task's call is computed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

from flowstone.context.runtime import TaskRun, task_run
from flowstone.errors import ConfigurationError, KeyNotMade, NotHashable
from flowstone.results.fingerprints import fingerprint

if TYPE_CHECKING:
    from typing import Self

    from flowstone.locking import IsolationLevel, LockManager

#: Maximum length of a key in a file's name, in bytes; most systems allow 255, and a suffix is
#: added.
LONGEST = 200


class TaskCall(NamedTuple):
    """A call of a task, as passed to policies and `cache_key_fn`.

    Attributes:
        task: the `Task`.
        parameters: its arguments by name, including defaults.
        run_id: the id of the flow run around it, or its own if there is none.
        flow_parameters: the parameters of that flow run; empty if there is none.
        task_run: properties of the task run: its `id`, `name`, `flow_run_id` and others.
        lineage: in a flow called by another one, what is the same in each attempt of the latter.
    """

    task: Any
    parameters: Mapping[str, Any]
    run_id: str
    flow_parameters: Mapping[str, Any]
    task_run: TaskRun = task_run
    lineage: str = ""


@dataclass(unsafe_hash=True)
class CachePolicy:
    """Computes cache keys; `+` combines policies, and `-` excludes an input.

    Attributes:
        key_storage: where results of this policy are persisted: a path, or an object store block.
        isolation_level: with SERIALIZABLE, only one of several calls with the same key computes.
        lock_manager: the lock manager for SERIALIZABLE; by default, the store.
    """

    key_storage: Any = field(default=None, kw_only=True)
    isolation_level: IsolationLevel | None = field(default=None, kw_only=True)
    lock_manager: LockManager | None = field(default=None, kw_only=True)

    def parts(self, call: TaskCall) -> dict[str, str] | None:
        """Return the key's parts by name; None for no caching.

        Raises:
            NotHashable: a part can't be computed; nothing is cached then.
        """
        try:
            key = self.compute_key(
                task_ctx=call,
                inputs=dict(call.parameters),
                flow_parameters=dict(call.flow_parameters),
            )
        except (NotHashable, NotImplementedError):
            raise
        except Exception as error:
            raise KeyNotMade(type(self).__name__, error) from error
        return None if key is None else {"key": str(key)}

    def compute_key(
        self,
        task_ctx: TaskCall,
        inputs: dict[str, Any],
        flow_parameters: dict[str, Any],
        **kwargs: object,
    ) -> str | None:
        """Return the key of a call; None for no caching. A custom policy may override it.

        Args:
            task_ctx: the call; None to compute a built-in policy's key from inputs alone.
            inputs: its arguments by name.
            flow_parameters: the parameters of the flow run around it.
            **kwargs: reserved.

        Raises:
            NotHashable: a part can't be computed.
        """
        del kwargs
        made = [vars(kind).get("parts", CachePolicy.parts) for kind in type(self).__mro__]
        find_parts = next((parts for parts in made if parts is not CachePolicy.parts), None)
        if find_parts is None:
            raise NotImplementedError(f"{type(self).__name__} needs a method compute_key")
        asked: TaskCall | None = task_ctx
        call = (asked or TaskCall(None, {}, "", {}))._replace(
            parameters=inputs or {}, flow_parameters=flow_parameters or {}
        )
        parts: dict[str, str] | None = find_parts(self, call)
        return None if parts is None else _join_parts(parts)

    def configure(
        self,
        key_storage: object = None,
        lock_manager: LockManager | None = None,
        isolation_level: IsolationLevel | str | None = None,
    ) -> Self:
        """Return this policy with another storage, lock manager or isolation level.

        Args:
            key_storage: see the attribute; None to keep the current one.
            lock_manager: see the attribute; None to keep the current one.
            isolation_level: see the attribute; None to keep the current one.
        """
        from flowstone.locking import IsolationLevel  # avoids a circular import

        new = copy(self)  # a custom policy's constructor may have any parameters
        if key_storage is not None:
            new.key_storage = key_storage
        if lock_manager is not None:
            new.lock_manager = lock_manager
        if isolation_level is not None:
            new.isolation_level = IsolationLevel(isolation_level)
        return new

    @staticmethod
    def from_cache_key_fn(cache_key_fn: Callable[..., str | None]) -> CacheKeyFnPolicy:
        """Return the policy for a function ``(call, parameters) -> key``; None means no caching."""
        return CacheKeyFnPolicy(cache_key_fn)

    def __add__(self, other: CachePolicy) -> CachePolicy:
        if isinstance(other, _None):
            return self
        if isinstance(self, _None):
            return other
        return CompoundCachePolicy(
            (*_flatten(self), *_flatten(other)),
            key_storage=_merge_option("key_storage", self, other),
            lock_manager=_merge_option("lock_manager", self, other),
            isolation_level=_merge_option("isolation_level", self, other),
        )

    def __sub__(self, name: str) -> CachePolicy:
        problem = f"{type(self).__name__} has no inputs to exclude {name!r} from"
        raise ConfigurationError("a cache policy", problem, "Subtract from INPUTS or DEFAULT.")


def _flatten(policy: CachePolicy) -> tuple[CachePolicy, ...]:
    return policy.policies if isinstance(policy, CompoundCachePolicy) else (policy,)


def _merge_option(option: str, one: CachePolicy, other: CachePolicy) -> Any:
    mine, theirs = getattr(one, option), getattr(other, option)
    if mine is not None and theirs is not None and mine != theirs:
        problem = f"the policies that are added have different values of {option}"
        raise ConfigurationError("a cache policy", problem, "Configure the sum instead.")
    return theirs if mine is None else mine


@dataclass(unsafe_hash=True)
class CompoundCachePolicy(CachePolicy):
    """The sum of policies: the key has every part of each."""

    policies: tuple[CachePolicy, ...] = ()

    def parts(self, call: TaskCall) -> dict[str, str] | None:
        found: dict[str, str] = {}
        for policy in self.policies:
            own = _find_parts(policy, call)
            # None from one part means no caching at all, not a key without the part.
            if own is None:
                return None
            for part, value in own.items():
                name = part
                while found.get(name, value) != value:  # two functions, each with a key
                    name += "'"
                found[name] = value
        return found

    def __sub__(self, name: str) -> CachePolicy:
        if not any(isinstance(policy, Inputs) for policy in self.policies):
            return super().__sub__(name)
        policies = (p - name if isinstance(p, Inputs) else p for p in self.policies)
        return replace(self, policies=tuple(policies))


@dataclass(unsafe_hash=True)
class Inputs(CachePolicy):
    """The arguments of the call, except for excluded ones."""

    exclude: Collection[str] = ()

    def __post_init__(self) -> None:
        self.exclude = frozenset(self.exclude)

    def parts(self, call: TaskCall) -> dict[str, str] | None:
        return {
            f"input {name}": fingerprint(value, f"argument {name!r}")
            for name, value in call.parameters.items()
            if name not in self.exclude
        }

    def __sub__(self, name: str) -> CachePolicy:
        if not isinstance(name, str):
            raise ConfigurationError(
                "a cache policy", f"{name!r} is not an input's name", "Subtract a text."
            )
        return replace(self, exclude={*self.exclude, name})


@dataclass(unsafe_hash=True)
class TaskSource(CachePolicy):
    """The source code of the task's function."""

    def parts(self, call: TaskCall) -> dict[str, str] | None:
        function = _find_function(call.task.fn)
        plain = getattr(function, "__func__", function)  # a method is a new object on each access
        known = _sources.get(plain)
        if known is not None:
            return {"source": known}
        try:
            source: Any = inspect.getsource(function)
        except (OSError, TypeError):  # defined interactively, or generated
            source = getattr(function, "__code__", None) and function
            return {"source": fingerprint(source, "the task's source")}
        _sources[plain] = found = fingerprint(source, "the task's source")
        return {"source": found}


def _find_function(fn: Any) -> Any:
    """Return the function that has the source: inside wrappers and partials, or of an object."""
    while True:
        if isinstance(fn, partial):
            fn = fn.func
        elif hasattr(fn, "__wrapped__"):
            fn = fn.__wrapped__
        else:
            return fn if inspect.isroutine(fn) else type(fn).__call__


@dataclass(unsafe_hash=True)
class RunId(CachePolicy):
    """The flow run around the call, or its own run if there is none."""

    def parts(self, call: TaskCall) -> dict[str, str] | None:
        run = call.lineage or call.run_id
        return {"run": run} if run else None


@dataclass(unsafe_hash=True)
class FlowParameters(CachePolicy):
    """The arguments of the flow run around the call."""

    def parts(self, call: TaskCall) -> dict[str, str] | None:
        return {
            f"flow parameter {name}": fingerprint(value, f"flow parameter {name!r}")
            for name, value in call.flow_parameters.items()
        }


@dataclass(unsafe_hash=True)
class CacheKeyFnPolicy(CachePolicy):
    """The key of a function ``(call, parameters) -> key``; None means no caching."""

    cache_key_fn: Callable[..., str | None]

    def parts(self, call: TaskCall) -> dict[str, str] | None:
        try:
            key = self.cache_key_fn(call, dict(call.parameters))
        except NotHashable:
            raise
        except Exception as error:
            name = getattr(self.cache_key_fn, "__name__", "cache_key_fn")
            raise KeyNotMade(name, error) from error
        return None if key is None else {"key": str(key)}


@dataclass(unsafe_hash=True)
class _None(CachePolicy):
    def __bool__(self) -> bool:
        return False

    def parts(self, call: TaskCall) -> dict[str, str] | None:  # noqa: ARG002 - the interface's
        return None


#: The fingerprint of each function's source when it was first used; the file may change later, but
#: not the code that runs.
_sources: WeakKeyDictionary[object, str] = WeakKeyDictionary()

INPUTS = Inputs()
TASK_SOURCE = TaskSource()
RUN_ID = RunId()
FLOW_PARAMETERS = FlowParameters()
NO_CACHE = NONE = _None()
DEFAULT = INPUTS + TASK_SOURCE + RUN_ID


class Key(NamedTuple):
    """The key of a call; None for no caching, and whether that is due to an error."""

    name: str | None
    told: str
    is_trouble: bool = False


def make_key(policy: CachePolicy, call: TaskCall) -> Key:
    """Return a call's key and how it was computed, or None and the reason."""
    try:
        parts = _find_parts(policy, call)
    except NotHashable as error:
        return Key(None, f"not cached: {error}", is_trouble=True)
    if parts is None:
        return Key(None, "not cached: its policy disables caching")
    key = _join_parts(parts)
    if set(parts) == {"key"}:
        return Key(file_name(key), f"key {key}")
    told = ", ".join(f"{name} {value[:8]}" for name, value in sorted(parts.items()))
    return Key(key, told or "nothing")


def _find_parts(policy: CachePolicy, call: TaskCall) -> dict[str, str] | None:
    """Return the parts of a key, from the method of the two that was overridden last."""
    for kind in type(policy).__mro__:
        if "parts" in vars(kind):
            return policy.parts(call)
        if "compute_key" in vars(kind):
            break
    return CachePolicy.parts(policy, call)


def _join_parts(parts: Mapping[str, str]) -> str:
    return parts["key"] if set(parts) == {"key"} else fingerprint(parts)


def file_name(key: str) -> str:
    """Return the file name for a custom key: the key itself, or a fingerprint of it.

    It is the key itself if each part between slashes is a valid file name, on disk and in buckets.
    """
    parts = key.split("/")
    plain = key.isprintable() and "\\" not in key and len(key.encode(errors="replace")) <= LONGEST
    return key if plain and not {"", ".", ".."}.intersection(parts) else fingerprint(key)
