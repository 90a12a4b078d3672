"""How a root flow run can be executed again: the location of its flow, and its parameters."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from flowstone.calls.parameters import POSITIONAL_REST
from flowstone.engine.functions import unwrap
from flowstone.records.runs import RestartInfo

if TYPE_CHECKING:
    from collections.abc import Mapping


def make_restart_info(unit: Any, known: Mapping[str, object] | None) -> RestartInfo:
    """Return the information that another process needs to execute a flow run again.

    Args:
        unit: the flow.
        known: its arguments by name; None if they are not known yet, but come from futures.
    """
    try:
        entrypoint, obstacle = _find_entrypoint(unit), None
    except _Nowhere as problem:
        entrypoint, obstacle = None, str(problem)
    if known is None:
        return RestartInfo(entrypoint, obstacle, unit.parameters.names)
    return RestartInfo(
        entrypoint,
        obstacle,
        tuple(name for name, value in known.items() if not _is_kept(unit, name, value)),
    )


class _Nowhere(Exception):
    """The reason why a flow can't be loaded again."""


def _find_entrypoint(unit: Any) -> str:
    fn = unwrap(getattr(unit.fn, "__func__", unit.fn))
    inside, _, _ = getattr(fn, "__qualname__", "").rpartition(".")
    if inside:
        raise _Nowhere(f"it is defined inside {inside.removesuffix('.<locals>')!r}")
    around: Mapping[str, Any] = getattr(fn, "__globals__", {})
    name = _find_name(around, unit)
    module, file = around.get("__name__", ""), around.get("__file__") or ""
    if module == "__main__":
        spec = around.get("__spec__")  # of `python -m`
        module = "" if spec is None else spec.name
    if "." in module or around.get("__package__"):
        return f"{module}:{name}"
    if not file.endswith(".py"):
        raise _Nowhere("it is not in a file: it was typed at a prompt, or passed with -c")
    return f"{os.path.abspath(file)}:{name}"  # noqa: PTH100 - pathlib takes 6 ms to import


def _find_name(around: Mapping[str, object], unit: Any) -> str:
    """Return the name in a module of the flow, or of the flow that it was derived from."""
    for name in (getattr(unit.fn, "__name__", ""), *around):
        if around.get(name) is unit:
            return name
    name = str(getattr(unit.fn, "__name__", ""))
    if getattr(around.get(name), "fn", None) is not unit.fn:
        raise _Nowhere("no name in its module refers to it")
    return name


def _is_kept(unit: Any, name: str, value: object) -> bool:
    """Return whether a parameter can be restored exactly from its stored form."""
    # JSON takes 3 ms to import; a flow that fails at its call does not need it.
    from flowstone.records.encoding import describe_as_json, is_exact

    parameters = unit.parameters
    if parameters.get_rest(name) == POSITIONAL_REST:
        value = list(value)  # type: ignore[call-overload]
    if is_exact(value):
        return True
    return bool(unit.spec.validate_parameters) and parameters.can_restore(
        name, describe_as_json(value), value
    )
