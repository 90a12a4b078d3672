"""Import the user's code, by the name of a module or the path of a file."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from traceback import format_exception
from typing import TYPE_CHECKING

from flowstone.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType


def import_code(place: str, what: str, root: Path | None = None) -> ModuleType:
    """Import a module, and return it.

    Args:
        place: ``package.module``, or ``path/to/file.py``. Its own imports are also searched in the
            directory of the file, or for a module in the current directory.
        what: the setting or option that names it, for error messages.
        root: the base of a relative path, where modules are searched as well; None for the current
            directory.

    Raises:
        ConfigurationError: there is no such module or file, or importing it fails; `__cause__` is
            the error.
    """
    if root is not None:
        _search(str(root))
    with _explain_failure(place, what):
        if place.endswith(".py"):
            return _import_file(place, what, root or Path.cwd())
        return _import_module(place, what, root or Path.cwd())


class _Absent(ConfigurationError):
    """There is nothing to import."""


@contextmanager
def _explain_failure(place: str, what: str) -> Iterator[None]:
    """Turn an exception during an import into a ConfigurationError with its traceback."""
    try:
        yield
    except _Absent:
        raise
    except Exception as error:
        problem = f"{place} can't be imported: {type(error).__name__}: {error}".rstrip(".")
        remedy = "Fix it, and try again."
        failed = ConfigurationError(what, problem, remedy)
        frame = error.__traceback__
        while frame and frame.tb_frame.f_globals.get("__name__", "").partition(".")[0] in _OURS:
            frame = frame.tb_next
        failed.add_note("".join(format_exception(type(error), error, frame)).rstrip())
        raise failed from error


#: Packages whose frames are omitted from that traceback.
_OURS = {"flowstone", "importlib"}


def _import_file(place: str, what: str, root: Path) -> ModuleType:
    path = root / place
    if not path.is_file():
        remedy = f"The current directory is {root}."
        raise _Absent(what, f"there is no file {place}", remedy)
    if path.stem in sys.stdlib_module_names and str(path.parent) not in sys.path:
        import_module(path.stem)  # unless the file hides it
    _search(str(path.parent))
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)  # so that what it defines can be pickled
    spec.loader.exec_module(module)
    return module


def _import_module(place: str, what: str, root: Path) -> ModuleType:
    _search(str(root))
    try:
        return import_module(place)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{place}.".startswith(f"{error.name}."):
            raise  # the module exists; one of its imports does not
        problem = f"the module {place!r} can't be found"
        remedy = f"The current directory is {root}. To import a file, give its path: etl.py"
        raise _Absent(what, problem, remedy) from error


def _search(directory: str) -> None:
    if directory not in sys.path:
        sys.path.insert(0, directory)
