"""Persisted results: storage, keys, expiration, and lookups."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from flowstone.blocks import Block, LocalDirectory, ObjectStore
from flowstone.context import current, runtime
from flowstone.errors import (
    ConfigurationError,
    FlowstoneError,
    MissingResult,
    ObjectMissing,
)
from flowstone.results.key_locks import KeyLock, make_key_lock
from flowstone.results.policies import CachePolicy, Key, TaskCall, file_name, make_key
from flowstone.results.result_header import ResultHeader, split_header
from flowstone.serializers import AutomaticSerializer, find_serializer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flowstone.context.current import Services
    from flowstone.locking import LockManager
    from flowstone.ports import BlobStore, Serializer

#: The text before the end of the id of the run that wrote a result, in the message of a lookup.
TOLD_MAKER = "result of run "


class ResultLookup(NamedTuple):
    """The outcome of a lookup; implements the `CacheLookup` port."""

    key: str | None
    told: str
    found: bool = False
    value: Any = None
    is_trouble: bool = False


@dataclass(frozen=True, slots=True)
class ResultFiles:
    """Results as files of a blob store: a line of marks, a line of metadata, the value.

    Attributes:
        storage: a local directory, or any object store block.
        serializer: writes values; a value is read with the serializer that its header names.
        services: for the time.
    """

    storage: BlobStore
    serializer: Serializer
    services: Services

    @staticmethod
    def file_name(key: object) -> str:
        """Return the file name for a custom key; see `cache_policies.file_name`.

        Raises:
            ConfigurationError: it is not a string.
        """
        if not isinstance(key, str):
            problem = f"{key!r} is not a string"
            raise ConfigurationError("a key", problem, "Use one, such as f'load-{day}'.")
        return file_name(key)

    def read(self, key: str, at: float | None = None) -> ResultLookup:
        """Look up the result of a key; an unusable one counts as not found, with the reason.

        Args:
            key: the key.
            at: the time for which to check expiration; None for now.
        """
        try:
            content = self.storage.read_path(key)
        except ObjectMissing:
            return ResultLookup(key, "no result is kept")
        except FlowstoneError as error:
            return ResultLookup(key, f"the result can't be read: {error}")
        try:
            header, body = split_header(content)
            if header.expires is not None:
                now = self.services.clock.time() if at is None else at
                if header.expires <= now:
                    return ResultLookup(key, "the result has expired")
            if "pickle" in header.serializer and header.python != _PYTHON:
                return ResultLookup(key, f"the result was pickled by Python {header.python}")
            value = self._find_serializer(header.serializer).loads(body)
        except Exception as error:  # noqa: BLE001 - a result that can't be read is a miss
            return ResultLookup(key, f"the result can't be read: {type(error).__name__}: {error}")
        return ResultLookup(key, f"{TOLD_MAKER}{header.run_id[-8:]}", True, value)

    def _find_serializer(self, name: str) -> Serializer:
        """Return the serializer that reads a value: our own, with its options, if that wrote it."""
        return self.serializer if self.serializer.type == name else find_serializer(name)

    def read_maker(self, key: str) -> str | None:
        """Return the run that wrote the value of a key; None if that can't be read."""
        try:
            header, _ = split_header(self.storage.read_path(key))
        except Exception:  # noqa: BLE001 - as with any result that can't be read
            return None
        return header.run_id

    def read_value(self, key: str, name: str) -> Any:
        """Return the value of a key, even if it has expired.

        Raises:
            MissingResult: it no longer exists, or can't be used.
        """
        found = self.read(key, at=0.0)
        if not found.found:
            raise MissingResult(name, found.told)
        return found.value

    def write(self, key: str, value: Any, run_id: str, expires: float | None) -> None:
        """Write a value, with the time, the run and the versions in its header.

        Raises:
            NotSerializable: the serializer can't write it.
            StorageError: the storage can't store it.
        """
        header = ResultHeader(
            serializer=self.serializer.type,
            python=_PYTHON,
            flowstone=_find_version(),
            type=f"{type(value).__module__}.{type(value).__qualname__}",
            run_id=run_id,
            created=self.services.clock.time(),
            expires=expires,
        )
        self.storage.write_path(key, header.encode() + self.serializer.dumps(value))


_PYTHON = ".".join(platform.python_version_tuple()[:2])


@cache
def _find_version() -> str:
    """Return Flowstone's version, cached: reading it is slower than the rest of a write."""
    return version("flowstone")


@dataclass(frozen=True, slots=True)
class CacheOptions:
    """The options for caching the results of a task.

    Attributes:
        policy: computes the key.
        store: stores the results.
        expiration: seconds until a result expires; None for never.
        refresh: whether to compute again, and replace the result.
        template: the template of the file's name, instead of a computed key.
        is_serializable: whether only one call of a key computes at a time.
        lock_manager: the lock manager for that; None for the store.
    """

    policy: CachePolicy
    store: ResultFiles
    expiration: float | None
    refresh: bool
    template: str | None
    is_serializable: bool
    lock_manager: LockManager | None


class CallCache:
    """Implements the `ResultCache` port for one call of a task."""

    __slots__ = ("_call", "_lock", "_names", "_open", "_opened", "_run_id", "_waiting")

    def __init__(
        self,
        open_options: Callable[[], CacheOptions],
        call: TaskCall,
        names: Callable[..., Mapping[str, Any]],
        run_id: str,
    ) -> None:
        """Open the options at the first lookup, which does not run on an event loop."""
        self._open, self._call, self._names, self._run_id = open_options, call, names, run_id
        self._opened: CacheOptions | None = None
        self._lock: KeyLock | None = None
        self._waiting: Key | None = None

    @property
    def _caching(self) -> CacheOptions:
        if self._opened is None:
            self._opened = self._open()
        return self._opened

    @property
    def is_locked(self) -> bool:
        return self._lock is not None

    def look(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], patience: float | None = None
    ) -> ResultLookup | None:
        caching = self._caching
        # Hashing may take long, and a caller that waits for a lock on an event loop calls
        # repeatedly.
        key, told, is_trouble = self._waiting = self._waiting or self._key(args, kwargs)
        if key is None:
            return ResultLookup(None, told, is_trouble=is_trouble)
        if caching.is_serializable and not self._acquire(key, patience):
            return None
        if caching.refresh:
            return ResultLookup(key, f"miss: a refresh was requested ({told})")
        found = caching.store.read(key)
        word = "hit" if found.found else "miss"
        return found._replace(told=f"{word}: {found.told} ({told})")

    def _acquire(self, key: str, patience: float | None) -> bool:
        """Lock the key; with patience, wait for it only once."""
        if self._lock is None:
            manager, services = self._caching.lock_manager, self._caching.store.services
            name, run_id = self._call.task.name, self._run_id
            # Before locking it, so that an interrupt leaves no lock behind.
            self._lock = make_key_lock(
                services, manager, key, holder=run_id, owner=name, run_id=run_id
            )
        if patience is not None:
            return self._lock.try_acquire()
        self._lock.acquire()
        return True

    def _key(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> Key:
        call = self._call._replace(parameters=self._names(args, kwargs))
        if self._caching.template is None:
            return make_key(self._caching.policy, call)
        key = _render_key(self._caching.template, call)
        return Key(key, f"key {key}")

    def keep(self, look: Any, value: Any) -> None:
        caching = self._caching
        expires = None
        if caching.expiration is not None:
            expires = caching.store.services.clock.time() + caching.expiration
        caching.store.write(look.key, value, self._run_id, expires)

    def read(self, key: str) -> Any:
        return self._caching.store.read_value(key, self._call.task.name)

    def end(self, _look: object) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def _render_key(template: str, call: TaskCall) -> str:
    try:
        return template.format(
            parameters=call.parameters,
            flow_parameters=call.flow_parameters,
            run_id=call.run_id,
            flow_run=runtime.flow_run,
            task_run=runtime.task_run,
            deployment=runtime.deployment,
        )
    except (KeyError, IndexError, AttributeError, ValueError) as error:
        raise ConfigurationError(
            f"result_storage_key of {call.task.name!r}",
            f"{template!r} can't be filled: {error}",
            "It knows {parameters[...]}, {flow_parameters[...]}, {run_id}, and the facts of "
            "flowstone.runtime, such as {flow_run.flow_name}.",
        ) from error


@dataclass(frozen=True, slots=True)
class ResultStore:
    """Options for results in one argument: ``transaction(store=ResultStore(…))``.

    Attributes:
        result_storage: the storage, like the option of flows and tasks.
        serializer: the serializer, like their option `result_serializer`.
        lock_manager: the lock manager for SERIALIZABLE; by default, the store.
    """

    result_storage: ObjectStore | Path | str | None = None
    serializer: Serializer | str | None = None
    lock_manager: LockManager | None = None


#: The types that `transaction` accepts as its store.
StoreOption = ResultStore | ObjectStore | Path | str | None


def get_result_store() -> ResultStore:
    """Return the result options of the current flow; outside of a flow, the defaults."""
    scope = current.scope.get()
    keeps = None if scope is None else scope.owner.result_options
    return ResultStore() if keeps is None else ResultStore(keeps.storage, keeps.serializer)


def open_store(store: StoreOption, services: Services) -> tuple[ResultFiles, LockManager | None]:
    """Return a transaction's result files, and its lock manager if there is one.

    Args:
        store: a `ResultStore`, or only a storage; None for that of the current flow.
        services: for the time and the home.
    """
    if store is None:
        store = get_result_store()
    elif not isinstance(store, ResultStore):
        store = ResultStore(store)
    storage = open_storage(store.result_storage, services)
    serializer = open_serializer(store.serializer, services)
    return ResultFiles(storage, serializer, services), store.lock_manager


def open_storage(option: object, services: Services) -> BlobStore:
    """Return the blob store for an option: a block, its saved name, a path, or None.

    Raises:
        ConfigurationError: it is not one of these.
        ObjectNotFound: no block is saved under that name.
    """
    settings = services.settings
    if option is None:
        option = settings.result_storage or settings.results_path or settings.home / "storage"
    if isinstance(option, str) and option[:1] in {".", "/", "~"}:
        option = Path(option)
    elif isinstance(option, str) and "/" in option:
        option = Block.load(option)
    if isinstance(option, Path):
        option = LocalDirectory(basepath=option.expanduser().absolute())
    if isinstance(option, LocalDirectory):
        # A result may contain anything: others must not read it.
        return option.model_copy().make_private()
    if not isinstance(option, ObjectStore):
        raise ConfigurationError(
            "result_storage",
            f"{option!r} is not a storage for results",
            "Use a path, such as './results' or Path('results'), an object store block, or the "
            "name of a saved one: 'local-directory/raw'.",
        )
    return option


def open_serializer(option: Any, services: Services) -> Serializer:
    """Return the serializer for an option, or the one in the settings.

    Raises:
        UnknownName: there is no such serializer.
    """
    option = services.settings.result_serializer if option is None else option
    if option is None:
        return AutomaticSerializer()
    return find_serializer(option) if isinstance(option, str) else option
