"""Entrypoints of flows: a module or a file, and a name in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.calls.flow import Flow
from flowstone.errors import ConfigurationError, suggest_names
from flowstone.plugins.modules import import_code

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

__all__ = ["load_flow_from_entrypoint"]


def load_flow_from_entrypoint(entrypoint: str, root: Path | None = None) -> Flow[..., object]:
    """Return the flow that an entrypoint names.

    Args:
        entrypoint: ``package.module:flow``, or ``path/to/file.py:flow``. Its imports are searched
            in the directory of the file, or for a module in the current directory. The flow's name
            may be omitted if there is only one.
        root: the base of relative paths, which is also searched for modules; None for the current
            directory.

    Raises:
        ConfigurationError: there is no such module, file or flow (the message suggests similar
            names); or its code raised an error, which is the cause.
    """
    place, colon, name = entrypoint.rpartition(":")
    if not colon or entrypoint.endswith(".py"):  # such as C:\etl.py on Windows
        place, name = entrypoint, ""
    elif not place or not name:
        problem = "it is not MODULE:FLOW"
        raise ConfigurationError(f"entrypoint {entrypoint!r}", problem, "Write: etl.py:my_flow")
    module = import_code(place, f"entrypoint {entrypoint!r}", root)
    return _find_flow(module, name, place) if name else _find_only_flow(module, place)


def _find_flow(module: ModuleType, name: str, place: str) -> Flow[..., object]:
    found = getattr(module, name, None)
    if not isinstance(found, Flow):
        lacks = f"{place} has no {name!r}"
        problem = lacks if found is None else f"{name!r} in {place} is not a flow"
        remedy = suggest_names(name, _list_flows(module)).strip() or _NO_FLOW
        raise ConfigurationError(f"entrypoint {f'{place}:{name}'!r}", problem, remedy)
    return found


def _find_only_flow(module: ModuleType, place: str) -> Flow[..., object]:
    """Return the only flow that a module defines or, if it defines none, imports."""
    flows = _list_flows(module)
    own = {name: flow for name, flow in flows.items() if flow.__module__ == module.__name__}
    names = list(own or flows)
    if len(names) == 1:
        return flows[names[0]]
    if not names:
        raise ConfigurationError(f"entrypoint {place!r}", "it has no flow", _NO_FLOW)
    problem = f"it has {len(names)} flows: {', '.join(map(repr, names))}"
    remedy = f"Name one of them, such as {place}:{names[0]}"
    raise ConfigurationError(f"entrypoint {place!r}", problem, remedy)


_NO_FLOW = "Put @flow on the function."


def _list_flows(module: ModuleType) -> dict[str, Flow[..., object]]:
    """Return the flows of a module, each under the first of its names."""
    named = {id(value): name for name, value in reversed(vars(module).items())}
    return {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, Flow) and named[id(value)] == name
    }
