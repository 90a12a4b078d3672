"""Flows by the name of where they stand: a module or a file, and a name in it."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowstone.errors import ConfigurationError, nearest
from flowstone.flows import Flow

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["load_flow_from_entrypoint"]


def load_flow_from_entrypoint(entrypoint: str) -> Flow[..., Any]:
    """Return the flow that an entrypoint names.

    Args:
        entrypoint: ``package.module:flow``, or ``path/to/file.py:flow``. The directory of the
            file, or for a module the current one, is searched for what it imports.

    Raises:
        ConfigurationError: there is no such module, file or flow; near names are told.
    """
    place, colon, name = entrypoint.rpartition(":")
    if not colon or not place or not name:
        problem = "it is not MODULE:FLOW"
        raise ConfigurationError(f"entrypoint {entrypoint!r}", problem, "Write: etl.py:my_flow")
    module = _from_file(place, entrypoint) if place.endswith(".py") else _imported(place)
    flows = [key for key, value in vars(module).items() if isinstance(value, Flow)]
    found = getattr(module, name, None)
    if not isinstance(found, Flow):
        what = "has no" if found is None else "has something else than a flow as"
        problem = f"{place} {what} {name!r}"
        remedy = nearest(name, flows).strip() or "Put @flow on the function."
        raise ConfigurationError(f"entrypoint {entrypoint!r}", problem, remedy)
    return found


def _from_file(place: str, entrypoint: str) -> ModuleType:
    path = Path(place).absolute()
    if not path.is_file():
        remedy = f"The current directory is {Path.cwd()}."
        raise ConfigurationError(f"entrypoint {entrypoint!r}", f"there is no file {place}", remedy)
    _search(str(path.parent))
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)  # so that what it defines can be pickled
    spec.loader.exec_module(module)
    return module


def _imported(place: str) -> ModuleType:
    _search(str(Path.cwd()))
    try:
        return import_module(place)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{place}.".startswith(f"{error.name}."):
            raise  # the module is there; something that it imports is not
        remedy = f"Looked from {Path.cwd()}; for a file, write its path: etl.py:my_flow"
        raise ConfigurationError(f"module {place!r}", "it can't be found", remedy) from error


def _search(directory: str) -> None:
    if directory not in sys.path:
        sys.path.insert(0, directory)
