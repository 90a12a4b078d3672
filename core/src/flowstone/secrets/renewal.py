"""A refused login with secrets by reference: read them anew, and try once more."""

from __future__ import annotations

from functools import wraps
from inspect import isgeneratorfunction
from typing import TYPE_CHECKING, Any, TypeVar

from flowstone.context.current import services
from flowstone.errors import AccessDenied, CredentialsError, DatabaseDenied, NotificationDenied
from flowstone.secrets.fields import referred

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")

REFUSED = (AccessDenied, CredentialsError, DatabaseDenied, NotificationDenied)


def retry_refused(block: object, call: Callable[[], T]) -> T:
    """Call, and call once more where a secret that `block` refers to may have changed meanwhile.

    Args:
        block: what has the references; the call must read its secrets anew.
        call: the operation; it is repeated only if it ends with one of `REFUSED`.
    """
    began = services().clock.time()
    try:
        return call()
    except REFUSED:
        if not _renewed((block,), began):
            raise
    return call()


def renew_in(kind: type, names: Iterable[str]) -> None:
    """Make methods of a block type try again where a secret may have been changed meanwhile."""
    for name in names:
        method = getattr(kind, name)
        if not hasattr(method, "tries_again") and not hasattr(method, "__isabstractmethod__"):
            # A listing may fail as it is walked, however it is made.
            lazy = isgeneratorfunction(method) or name == "_list"
            tries = _each(method) if lazy else _once_more(method)
            tries.tries_again = True  # type: ignore[attr-defined]
            setattr(kind, name, tries)


def _once_more(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        began, marks = services().clock.time(), _marks(args)
        try:
            return method(self, *args, **kwargs)
        except REFUSED:
            if not _renewed((self, *args), began) or not _rewound(marks):
                raise
        return method(self, *args, **kwargs)

    return call


def _each(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        began, is_first = services().clock.time(), True
        try:
            for item in method(self, *args, **kwargs):
                is_first = False
                yield item
            return
        except REFUSED:
            if not is_first or not _renewed((self, *args), began):
                raise
        yield from method(self, *args, **kwargs)

    return call


def _renewed(blocks: tuple[object, ...], began: float) -> bool:
    references = {found.reference for block in blocks for found in referred(block)}
    return bool(references) and services().references.renew(sorted(references), began)


def _marks(args: Iterable[object]) -> list[tuple[Any, int | None]]:
    """Return where the streams among the arguments stand; None for one that can't go back."""
    streams: list[Any] = [each for each in args if hasattr(each, "seekable")]
    return [(each, each.tell() if each.seekable() else None) for each in streams]


def _rewound(marks: list[tuple[Any, int | None]]) -> bool:
    for stream, start in marks:
        if start is None:
            return False
        stream.seek(start)
    return True
