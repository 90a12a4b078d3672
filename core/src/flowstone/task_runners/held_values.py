"""Values that stay in the cluster that created them until they are needed."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from flowstone.records.states import StoredValue
from flowstone.task_runners.messages import unpacked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

#: The held values in the call that is being pickled, by their keys.
_packed: ContextVar[dict[str, HeldValue] | None] = ContextVar("flowstone.packed", default=None)
#: For the call that is being unpickled, the pickled values by their keys.
_provided: ContextVar[Mapping[str, bytes]] = ContextVar("flowstone.held_values")


class HeldValue(StoredValue):
    """Stands for a value that a cluster holds.

    Attributes:
        holder: the caller whose cluster it is in.
        key: its name there.
        handle: the cluster client's reference; when it is freed, the cluster frees the value.
    """

    __slots__ = ("__weakref__", "_fetch", "handle", "holder", "key")

    def __init__(
        self, holder: object, key: str, handle: object, fetch: Callable[[], bytes]
    ) -> None:
        super().__init__(lambda: unpacked(fetch()))
        self._fetch = fetch
        self.holder, self.key, self.handle = holder, key, handle

    def bring_home(self) -> None:
        """Fetch it from the cluster in pickled form, and free it there."""
        content = self._fetch()
        self._fetch = lambda: content  # the former refers to the cluster's object
        self.read = lambda: unpacked(content)
        self.holder = self.handle = None

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        packed = _packed.get()
        if packed is None or self.holder is None:  # it leaves the cluster
            return _return, (self.read(),)
        packed[self.key] = self
        return _take, (self.key,)


@contextmanager
def collect_held() -> Iterator[dict[str, HeldValue]]:
    """Pickle held values in this block as their keys, and collect them."""
    found: dict[str, HeldValue] = {}
    token = _packed.set(found)
    try:
        yield found
    finally:
        _packed.reset(token)


@contextmanager
def provide_held_values(values: Mapping[str, bytes]) -> Iterator[None]:
    """Unpickle keys in this block as these values, which are pickled."""
    token = _provided.set(values)
    try:
        yield
    finally:
        _provided.reset(token)


def _take(key: str) -> object:
    value: object = unpacked(_provided.get()[key])
    return value


def _return(value: object) -> object:
    return value
