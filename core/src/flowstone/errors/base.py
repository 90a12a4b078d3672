"""The base class of the tree, and what most errors need."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

E = TypeVar("E", bound=BaseException)


class Worded(BaseException):
    """An error whose message is made from attributes, which travel with it between processes."""

    def __reduce__(self) -> tuple[object, ...]:
        # Its arguments are attributes, not the message, so the default would format the message
        # twice.
        return revive, (type(self), self.args, self.__dict__)


def revive(kind: type[E], args: tuple[object, ...], facts: dict[str, object]) -> E:
    """Restore an error without formatting its message again."""
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(facts)
    return error


class FlowstoneError(Worded, Exception):
    """The base class of all errors that Flowstone raises on purpose.

    Attributes:
        state_name: the name of the Failed state of a run that ends with this error; an error of a
            package may have a more specific one.
    """

    state_name: ClassVar[str] = "Failed"


def suggest_names(name: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'x' or 'y'?"``, or the known names, or an empty string."""
    # Takes 2 ms to import; only needed for a misspelled name.
    from difflib import get_close_matches

    names = sorted(set(known))
    close = get_close_matches(name, names, n=3, cutoff=0.5)
    if close:
        return f" Did you mean {' or '.join(map(repr, close))}?"
    if names:
        shown = ", ".join(map(repr, names[:8]))
        return f" There are: {shown}{' …' if len(names) > 8 else ''}."
    return ""


@contextmanager
def replace_errors(find_error: Callable[[Exception], FlowstoneError | None]) -> Iterator[None]:
    """Translate errors of an SDK to Flowstone errors, whose causes they become.

    Args:
        find_error: returns the error to raise; None to raise an error unchanged because it does not
            come from the SDK.
    """
    try:
        yield
    except Exception as error:
        found = find_error(error)
        if found is None:
            raise
        raise found from error


class ConfigurationError(FlowstoneError, ValueError):
    """A setting or an option has an invalid value."""

    def __init__(self, what: str, problem: str, remedy: str) -> None:
        self.what, self.problem, self.remedy = what, problem, remedy
        super().__init__(f"{what}: {problem}. {remedy}")
