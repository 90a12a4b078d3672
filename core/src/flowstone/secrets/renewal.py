"""Retry an operation with renewed secrets after its credentials were refused."""

from __future__ import annotations

from functools import wraps
from inspect import isgeneratorfunction
from typing import TYPE_CHECKING, Any, TypeVar

from flowstone.context.current import services
from flowstone.errors import AccessDenied, CredentialsError, DatabaseDenied, NotificationDenied
from flowstone.secrets.walk import find_references

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")

REFUSED = (AccessDenied, CredentialsError, DatabaseDenied, NotificationDenied)


#: Methods that return iterators; iterating over them may fail as well.
_WALKS = {"_list", "list", "list_level", "list_versions"}


def retry_refused(block: object, call: Callable[[], T], *streams: object) -> T:
    """Make a call, and retry it once if a secret that `block` refers to may have changed.

    Args:
        block: the object with the references; the call must read its secrets again.
        call: the operation; it is only retried if it raises one of `REFUSED`.
        *streams: files that the call reads or writes; if one is not seekable, there is no retry.
    """
    began, marks = services().clock.time(), _positions(streams)
    try:
        return call()
    except REFUSED:
        if not _renew((block,), began) or not _rewind(marks):
            raise
    return call()


def renew_in(kind: type, names: Iterable[str]) -> None:
    """Make methods of a block type or a provider retry if a secret may have changed."""
    for name in names:
        method = getattr(kind, name)
        if not hasattr(method, "tries_again") and not hasattr(method, "__isabstractmethod__"):
            lazy = isgeneratorfunction(method) or name in _WALKS
            tries = _retry_walk(method) if lazy else _retry_call(method)
            tries.tries_again = True  # type: ignore[attr-defined]
            setattr(kind, name, tries)


def _retry_call(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        began, marks = services().clock.time(), _positions(args)
        try:
            return method(self, *args, **kwargs)
        except REFUSED:
            if not _renew((self, *args), began) or not _rewind(marks):
                raise
        return method(self, *args, **kwargs)

    return call


def _retry_walk(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        began, is_first = services().clock.time(), True
        try:
            for item in method(self, *args, **kwargs):
                is_first = False
                yield item
            return
        except REFUSED:
            if not is_first or not _renew((self, *args), began):
                raise
        yield from method(self, *args, **kwargs)

    return call


def _renew(holders: tuple[object, ...], began: float) -> bool:
    # A provider is not a block: the block's values are in its attributes.
    held = [getattr(each, "__dict__", each) for each in holders]
    references = {found.reference for found in find_references(held)}
    return bool(references) and services().references.renew(sorted(references), began)


def _positions(args: Iterable[object]) -> list[tuple[object, int | None]]:
    """Return the positions of the streams among the arguments; None if one is not seekable."""
    # Most arguments are keys, for which `hasattr` would take longest.
    streams: list[Any] = [
        each for each in args if type(each) is not str and hasattr(each, "seekable")
    ]
    return [(each, each.tell() if each.seekable() else None) for each in streams]


def _rewind(marks: list[tuple[Any, int | None]]) -> bool:
    for stream, start in marks:
        if start is None:
            return False
        stream.seek(start)
    return True
