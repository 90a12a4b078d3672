"""Which public functions lack an ``Args`` section. Run it to see them, each with its place."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from tests.architecture.api import names
from tests.architecture.house import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

#: A function with so many parameters has to describe them.
MANY = 3
#: How the docstring of a twin begins; its parameters are those of the function that it names.
TWIN = "Async version of `"
_SECTIONS = ("Args:", "Attributes:")


def find_without_args() -> list[str]:
    """Return ``path:line: name`` of each public function that should have the section."""
    return sorted({_place(name, value) for name, value in _list_functions() if _lacks_args(value)})


def _list_functions() -> Iterator[tuple[str, Any]]:
    """Yield public functions, and the methods of public classes, by their names."""
    for name in names():
        title, value = f"{name.module}.{name.name}", name.value
        if not inspect.isclass(value):
            yield title, getattr(value, "fn", value)  # of a task, its function
            continue
        for attribute in vars(value):
            if not attribute.startswith("_") and not _is_described_above(value, attribute):
                yield f"{title}.{attribute}", inspect.unwrap(getattr(value, attribute))


def _is_described_above(kind: type, attribute: str) -> bool:
    """Return whether a method overrides one that describes its parameters."""
    above = (vars(base).get(attribute) for base in kind.__mro__[1:])
    return any(_describes_args(value) for value in above)


def _describes_args(value: Any) -> bool:
    return any(section in (inspect.getdoc(value) or "") for section in _SECTIONS)


def _lacks_args(value: Any) -> bool:
    if not inspect.isfunction(value) or not value.__code__.co_filename.startswith(f"{ROOT}/"):
        return False  # no function, or another library's
    given = [each for each in inspect.signature(value).parameters if each not in ("self", "cls")]
    told = inspect.getdoc(value) or ""
    return len(given) >= MANY and not told.startswith(TWIN) and not _describes_args(value)


def _place(name: str, value: Any) -> str:
    path = inspect.getsourcefile(value) or ""
    line = inspect.getsourcelines(value)[1]
    return f"{path.removeprefix(f'{ROOT}/')}:{line}: {name}"


if __name__ == "__main__":
    print(*find_without_args(), sep="\n")
