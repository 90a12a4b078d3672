"""Cache policies: what makes two calls of a task the same call."""

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

#: So many bytes of a key may be in a file's name; most systems allow 255, and a suffix is added.
LONGEST = 200


class TaskCall(NamedTuple):
    """One call of a task, as policies and `cache_key_fn` see it.

    Attributes:
        task: the `Task`.
        parameters: its arguments by name, defaults included.
        run_id: of the flow run around it, or its own where there is none.
        flow_parameters: the flow run's; empty where there is none.
        task_run: the facts of the task run: its `id`, `name`, `flow_run_id` and others.
        lineage: in a flow that another calls, what is the same in each attempt of that one.
    """

    task: Any
    parameters: Mapping[str, Any]
    run_id: str
    flow_parameters: Mapping[str, Any]
    task_run: TaskRun = task_run
    lineage: str = ""


@dataclass(unsafe_hash=True)
class CachePolicy:
    """Says what a call's key is made of; policies add up with `+`, and `-` leaves an input out.

    Attributes:
        key_storage: where results of this policy are kept: a path, or an object store block.
        isolation_level: with SERIALIZABLE, of several calls with one key only one computes.
        lock_manager: what SERIALIZABLE locks with; the store by default.
    """

    key_storage: Any = field(default=None, kw_only=True)
    isolation_level: IsolationLevel | None = field(default=None, kw_only=True)
    lock_manager: LockManager | None = field(default=None, kw_only=True)

    def parts(self, call: TaskCall) -> dict[str, str] | None:
        """Return the key's parts by name; None for no caching.

        Raises:
            NotHashable: some part can't be made; nothing is cached then.
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
        """Return a call's key; None for no caching. A policy of your own may make another.

        Args:
            task_ctx: the call; None asks a built-in policy about inputs alone.
            inputs: its arguments by name.
            flow_parameters: those of the flow run around it.
            **kwargs: nothing for now.

        Raises:
            NotHashable: some part can't be made.
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
        """Return this policy with another storage, lock manager or isolation level."""
        from flowstone.locking import IsolationLevel  # a circle otherwise

        new = copy(self)  # a policy of somebody's own may be made in any way
        if key_storage is not None:
            new.key_storage = key_storage
        if lock_manager is not None:
            new.lock_manager = lock_manager
        if isolation_level is not None:
            new.isolation_level = IsolationLevel(isolation_level)
        return new

    @staticmethod
    def from_cache_key_fn(cache_key_fn: Callable[..., str | None]) -> CacheKeyFnPolicy:
        """Return the policy of a function ``(call, parameters) -> key``; None caches nothing."""
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
        problem = f"{type(self).__name__} has no inputs to leave {name!r} out of"
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
            if own is None:  # a part that says no must not leave a key that says less
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
    """The arguments of the call, but for those that are excluded."""

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
    """The source of the task's function."""

    def parts(self, call: TaskCall) -> dict[str, str] | None:
        function = _find_function(call.task.fn)
        plain = getattr(function, "__func__", function)  # of a method, which is made at each look
        known = _sources.get(plain)
        if known is not None:
            return {"source": known}
        try:
            source: Any = inspect.getsource(function)
        except (OSError, TypeError):  # typed at a prompt, or generated
            source = getattr(function, "__code__", None) and function
            return {"source": fingerprint(source, "the task's source")}
        _sources[plain] = found = fingerprint(source, "the task's source")
        return {"source": found}


def _find_function(fn: Any) -> Any:
    """Return the function that has the source: below wrappers and partials, or of an object."""
    while True:
        if isinstance(fn, partial):
            fn = fn.func
        elif hasattr(fn, "__wrapped__"):
            fn = fn.__wrapped__
        else:
            return fn if inspect.isroutine(fn) else type(fn).__call__


@dataclass(unsafe_hash=True)
class RunId(CachePolicy):
    """The flow run around the call, or its own run where there is none."""

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
    """A function's word: ``(call, parameters) -> key``; None caches nothing."""

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


#: The fingerprint of each function's source as it was first seen; the file may change later, but
#: not the code that runs.
_sources: WeakKeyDictionary[object, str] = WeakKeyDictionary()

INPUTS = Inputs()
TASK_SOURCE = TaskSource()
RUN_ID = RunId()
FLOW_PARAMETERS = FlowParameters()
NO_CACHE = NONE = _None()
DEFAULT = INPUTS + TASK_SOURCE + RUN_ID


class Key(NamedTuple):
    """What a call is kept by; None where it will not be, and whether that was not meant."""

    name: str | None
    told: str
    is_trouble: bool = False


def make_key(policy: CachePolicy, call: TaskCall) -> Key:
    """Return a call's key and what it was made of, or None and why there is none."""
    try:
        parts = _find_parts(policy, call)
    except NotHashable as error:
        return Key(None, f"not cached: {error}", is_trouble=True)
    if parts is None:
        return Key(None, "not cached: its policy says so")
    key = _join_parts(parts)
    if set(parts) == {"key"}:
        return Key(file_name(key), f"key {key}")
    told = ", ".join(f"{name} {value[:8]}" for name, value in sorted(parts.items()))
    return Key(key, told or "nothing")


def _find_parts(policy: CachePolicy, call: TaskCall) -> dict[str, str] | None:
    """Return the parts of a key, by whichever of its two methods a policy's class has last made."""
    for kind in type(policy).__mro__:
        if "parts" in vars(kind):
            return policy.parts(call)
        if "compute_key" in vars(kind):
            break
    return CachePolicy.parts(policy, call)


def _join_parts(parts: Mapping[str, str]) -> str:
    return parts["key"] if set(parts) == {"key"} else fingerprint(parts)


def file_name(key: str) -> str:
    """Return what a key of somebody's own is kept as: itself, or a fingerprint of it.

    It is itself where each part between slashes can be the name of a file, on disk and in buckets.
    """
    parts = key.split("/")
    plain = key.isprintable() and "\\" not in key and len(key.encode(errors="replace")) <= LONGEST
    return key if plain and not {"", ".", ".."}.intersection(parts) else fingerprint(key)
