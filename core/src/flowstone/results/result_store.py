"""Results that outlive their run: where they are kept, by what key, and when they are used."""

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

#: What a look for a kept result tells before the end of the id of the run that kept it.
TOLD_MAKER = "result of run "


class ResultLookup(NamedTuple):
    """What came of looking for a result; fills the `CacheLookup` port."""

    key: str | None
    told: str
    found: bool = False
    value: Any = None
    is_trouble: bool = False


@dataclass(frozen=True, slots=True)
class ResultFiles:
    """Results as files of a blob store: a line of marks, a line of facts, the value.

    Attributes:
        storage: a local directory, or any object store block.
        serializer: writes values; what is read was written by the one that its header names.
        services: for the time.
    """

    storage: BlobStore
    serializer: Serializer
    services: Services

    @staticmethod
    def file_name(key: object) -> str:
        """Return what a key of somebody's own is kept as; see `cache_policies.file_name`.

        Raises:
            ConfigurationError: it is no text.
        """
        if not isinstance(key, str):
            raise ConfigurationError("a key", f"{key!r} is no text", "Use one, as f'load-{day}'.")
        return file_name(key)

    def read(self, key: str, at: float | None = None) -> ResultLookup:
        """Return what is kept by a key; whatever can't be used is not found, and why is told.

        Args:
            key: what it is kept by.
            at: the time to see whether it has expired; None for now.
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
        """Return what reads a value: the own serializer, with its options, if that wrote it."""
        return self.serializer if self.serializer.type == name else find_serializer(name)

    def read_maker(self, key: str) -> str | None:
        """Return by whom the value of a key was kept; None where that can't be read."""
        try:
            header, _ = split_header(self.storage.read_path(key))
        except Exception:  # noqa: BLE001 - as with any result that can't be read
            return None
        return header.run_id

    def read_value(self, key: str, name: str) -> Any:
        """Return the value that is kept by a key, also where it has expired.

        Raises:
            MissingResult: it is not there any more, or can't be used.
        """
        found = self.read(key, at=0.0)
        if not found.found:
            raise MissingResult(name, found.told)
        return found.value

    def write(self, key: str, value: Any, run_id: str, expires: float | None) -> None:
        """Keep a value, with when, by which run and with what versions it was made.

        Raises:
            NotSerializable: the serializer can't write it.
            StorageError: the storage can't keep it.
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
    """Return our version; finding it reads files, and takes longer than all else of a write."""
    return version("flowstone")


@dataclass(frozen=True, slots=True)
class CacheOptions:
    """How the results of one task are looked for and kept.

    Attributes:
        policy: what a key is made of.
        store: where results are.
        expiration: seconds until a result is no longer used; None for never.
        refresh: compute anew, and keep that.
        template: of the file's name, in place of a made-up key.
        is_serializable: whether one call of a key computes at a time.
        lock_manager: what that locks with; None for the store.
    """

    policy: CachePolicy
    store: ResultFiles
    expiration: float | None
    refresh: bool
    template: str | None
    is_serializable: bool
    lock_manager: LockManager | None


class CallCache:
    """Fills the `ResultCache` port for one call of a task."""

    __slots__ = ("_call", "_lock", "_names", "_open", "_opened", "_run_id", "_waiting")

    def __init__(
        self,
        open_options: Callable[[], CacheOptions],
        call: TaskCall,
        names: Callable[..., Mapping[str, Any]],
        run_id: str,
    ) -> None:
        """Open the options when the result is first looked up: not on an event loop."""
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
        # Hashing may take long, and whoever waits for a lock on an event loop asks again and again.
        key, told, is_trouble = self._waiting = self._waiting or self._key(args, kwargs)
        if key is None:
            return ResultLookup(None, told, is_trouble=is_trouble)
        if caching.is_serializable and not self._acquire(key, patience):
            return None
        if caching.refresh:
            return ResultLookup(key, f"miss: a refresh was asked for ({told})")
        found = caching.store.read(key)
        word = "hit" if found.found else "miss"
        return found._replace(told=f"{word}: {found.told} ({told})")

    def _acquire(self, key: str, patience: float | None) -> bool:
        """Lock the key; with patience, wait for it only once."""
        if self._lock is None:
            manager, services = self._caching.lock_manager, self._caching.store.services
            name, run_id = self._call.task.name, self._run_id
            # Before it is locked, so that an interrupt leaves no lock behind.
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
    """Where and how results are kept, in one argument: ``transaction(store=ResultStore(…))``.

    Attributes:
        result_storage: where, as the option of flows and tasks.
        serializer: how, as their option `result_serializer`.
        lock_manager: what SERIALIZABLE locks with; the store by default.
    """

    result_storage: ObjectStore | Path | str | None = None
    serializer: Serializer | str | None = None
    lock_manager: LockManager | None = None


#: What `transaction` takes as its store.
StoreOption = ResultStore | ObjectStore | Path | str | None


def get_result_store() -> ResultStore:
    """Return where and how the flow around this code keeps results; outside one, the defaults."""
    scope = current.scope.get()
    keeps = None if scope is None else scope.owner.result_options
    return ResultStore() if keeps is None else ResultStore(keeps.storage, keeps.serializer)


def open_store(store: StoreOption, services: Services) -> tuple[ResultFiles, LockManager | None]:
    """Return what a transaction keeps its value with, and what it locks with, if that is said.

    Args:
        store: a `ResultStore`, or a storage alone; None for that of the flow around this code.
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
    """Return the blob store that an option names: a block, its saved name, a path, or nothing.

    Raises:
        ConfigurationError: it is none of these.
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
        return (
            option.model_copy().make_private()
        )  # a result may hold anything: others must not read it
    if not isinstance(option, ObjectStore):
        raise ConfigurationError(
            "result_storage",
            f"{option!r} is no place for results",
            "Use a path, as './results' or Path('results'), an object store block, or the name of "
            "a saved one: 'local-directory/raw'.",
        )
    return option


def open_serializer(option: Any, services: Services) -> Serializer:
    """Return the serializer that an option names, or else the settings.

    Raises:
        UnknownName: there is none of that name.
    """
    option = services.settings.result_serializer if option is None else option
    if option is None:
        return AutomaticSerializer()
    return find_serializer(option) if isinstance(option, str) else option
