"""Subclasses of an interface that implement its methods directly, without a provider."""

from __future__ import annotations

from inspect import iscoroutinefunction
from typing import TYPE_CHECKING

from flowstone.errors import ConfigurationError
from flowstone.logging.run_logger import get_logger

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

#: Such classes get a logger, as in Prefect.
LOGGER = "logger"


def replace_abstract_methods(kind: type) -> None:
    """Replace the abstract methods of a class that implements its interface directly.

    `_replaceable` of the interface names its public methods; a class that defines all of them
    needs no provider. Its other methods, which would call the provider, raise an error.

    Args:
        kind: the class, while it is being created.
    """
    interface = next(base for base in kind.__mro__ if "_replaceable" in vars(base))
    of_interface = vars(interface)
    names: tuple[str, ...] = of_interface["_replaceable"]
    if kind is interface or not names or not all(_replaces(kind, interface, n) for n in names):
        return
    for name in of_interface["__abstractmethods__"]:
        if getattr(getattr(kind, name), "__isabstractmethod__", False):
            substitute = of_interface.get("_substitutes", {}).get(name)
            setattr(kind, name, substitute or _make_refusal(kind.__name__, name))
    for name in names:
        if iscoroutinefunction(getattr(kind, name)):
            setattr(kind, f"a{name}", getattr(kind, name))
    if not hasattr(kind, LOGGER):
        setattr(kind, LOGGER, property(_find_logger))


def _replaces(kind: type, interface: type, name: str) -> bool:
    return getattr(kind, name, None) is not getattr(interface, name, None)


def _make_refusal(kind: str, name: str) -> Callable[..., object]:
    def refuse(self: object, *_: object, **__: object) -> object:
        del self
        problem = (
            "it implements the methods of the interface without a provider, and this one needs it"
        )
        remedy = f"Define {name}() in {kind} as well, or call only the methods that it defines."
        raise ConfigurationError(kind, problem, remedy)

    refuse.__name__ = name
    return refuse


def _find_logger(self: object) -> logging.Logger:
    """Return the logger of the block's class."""
    return get_logger(type(self).__name__)
