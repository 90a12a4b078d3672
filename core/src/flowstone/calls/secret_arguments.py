"""Registers the secrets among the arguments of a call, so that they are masked everywhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary

from flowstone.context.lineage import PLAIN
from flowstone.records.redaction import register_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flowstone.calls.parameters import Parameters

    class Unit(Protocol):
        """The part of a flow or task that concerns its parameters."""

        @property
        def fn(self) -> Callable[..., object]: ...
        @property
        def parameters(self) -> Parameters: ...


#: Whether a function has secret parameters, cached because each call of a method has a new unit.
_hides: WeakKeyDictionary[Callable[..., object], bool] = WeakKeyDictionary()


def register_secret_arguments(
    unit: Unit, args: tuple[object, ...], kwargs: Mapping[str, object]
) -> None:
    """Register every secret among the arguments of a call, however deeply nested.

    Values of pydantic's secret types are secret, and so are values passed for parameters of such a
    type. In a process that has not loaded pydantic, no argument is secret.
    """
    if "pydantic" not in sys.modules:
        return
    for value in args:
        if type(value) not in PLAIN:
            register_secrets(value)
    for value in kwargs.values():
        if type(value) not in PLAIN:
            register_secrets(value)
    fn = getattr(unit.fn, "__func__", unit.fn)
    hides = _hides.get(fn)
    if hides is None:
        hides = _hides[fn] = _find_secrets(unit)
    if hides:
        unit.parameters.register_secrets(args, kwargs)


def _find_secrets(unit: Unit) -> bool:
    """Return whether the function has a secret parameter; register secrets among its defaults."""
    parameters = unit.parameters
    register_secrets([each.default for each in parameters.signature.parameters.values()])
    return bool(parameters.secret_hints)
