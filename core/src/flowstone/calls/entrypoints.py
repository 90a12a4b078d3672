"""Flows by the name of where they stand: a module or a file, and a name in it."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from traceback import format_exception
from typing import TYPE_CHECKING

from flowstone.calls.flow import Flow
from flowstone.errors import ConfigurationError, suggest_names

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

__all__ = ["load_flow_from_entrypoint"]


def load_flow_from_entrypoint(entrypoint: str) -> Flow[..., object]:
    """Return the flow that an entrypoint names.

    Args:
        entrypoint: ``package.module:flow``, or ``path/to/file.py:flow``. The directory of the
            file, or for a module the current one, is searched for what it imports. The flow's name
            may be left out where there is only one.

    Raises:
        ConfigurationError: there is no such module, file or flow, and near names are told; or its
            code fails, which is the cause.
    """
    place, colon, name = entrypoint.rpartition(":")
    if not colon or entrypoint.endswith(".py"):  # as on Windows: C:\etl.py
        place, name = entrypoint, ""
    elif not place or not name:
        problem = "it is not MODULE:FLOW"
        raise ConfigurationError(f"entrypoint {entrypoint!r}", problem, "Write: etl.py:my_flow")
    with _explain_failure(entrypoint, place):
        module = _import_file(place, entrypoint) if place.endswith(".py") else _import_module(place)
    return _find_flow(module, name, place) if name else _find_only_flow(module, place)


def _find_flow(module: ModuleType, name: str, place: str) -> Flow[..., object]:
    found = getattr(module, name, None)
    if not isinstance(found, Flow):
        what = "has no" if found is None else "has something else than a flow as"
        problem = f"{place} {what} {name!r}"
        remedy = suggest_names(name, _list_flows(module)).strip() or _NO_FLOW
        raise ConfigurationError(f"entrypoint {f'{place}:{name}'!r}", problem, remedy)
    return found


def _find_only_flow(module: ModuleType, place: str) -> Flow[..., object]:
    """Return the flow of a module that has one; those that it imports count where it has none."""
    flows = _list_flows(module)
    own = {name: flow for name, flow in flows.items() if flow.__module__ == module.__name__}
    names = list(own or flows)
    if len(names) == 1:
        return flows[names[0]]
    if not names:
        raise ConfigurationError(f"entrypoint {place!r}", "it has no flow", _NO_FLOW)
    problem = f"it has {len(names)} flows: {', '.join(map(repr, names))}"
    remedy = f"Say which, as in {place}:{names[0]}"
    raise ConfigurationError(f"entrypoint {place!r}", problem, remedy)


_NO_FLOW = "Put @flow on the function."


def _list_flows(module: ModuleType) -> dict[str, Flow[..., object]]:
    """Return the flows of a module, each by the first of its names."""
    named = {id(value): name for name, value in reversed(vars(module).items())}
    return {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, Flow) and named[id(value)] == name
    }


class _Absent(ConfigurationError):
    """There is nothing to import."""


@contextmanager
def _explain_failure(entrypoint: str, place: str) -> Iterator[None]:
    """Tell, of code that fails while it is imported, where that is."""
    try:
        yield
    except _Absent:
        raise
    except Exception as error:
        problem = f"{place} can't be imported: {type(error).__name__}: {error}".rstrip(".")
        remedy = "Fix it, and try again."
        failed = ConfigurationError(f"entrypoint {entrypoint!r}", problem, remedy)
        frame = error.__traceback__
        while frame and frame.tb_frame.f_globals.get("__name__", "").partition(".")[0] in _OURS:
            frame = frame.tb_next
        failed.add_note("".join(format_exception(type(error), error, frame)).rstrip())
        raise failed from error


#: What imports modules; where in it that was is of no interest.
_OURS = {"flowstone", "importlib"}


def _import_file(place: str, entrypoint: str) -> ModuleType:
    path = Path(place).absolute()
    if not path.is_file():
        remedy = f"The current directory is {Path.cwd()}."
        raise _Absent(f"entrypoint {entrypoint!r}", f"there is no file {place}", remedy)
    if path.stem in sys.stdlib_module_names and str(path.parent) not in sys.path:
        import_module(path.stem)  # while the file does not hide it
    _search(str(path.parent))
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)  # so that what it defines can be pickled
    spec.loader.exec_module(module)
    return module


def _import_module(place: str) -> ModuleType:
    _search(str(Path.cwd()))
    try:
        return import_module(place)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{place}.".startswith(f"{error.name}."):
            raise  # the module is there; something that it imports is not
        remedy = f"Looked from {Path.cwd()}; for a file, write its path: etl.py:my_flow"
        raise _Absent(f"module {place!r}", "it can't be found", remedy) from error


def _search(directory: str) -> None:
    if directory not in sys.path:
        sys.path.insert(0, directory)
