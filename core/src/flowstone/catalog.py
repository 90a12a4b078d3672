"""The catalog: what the installed packages offer, by name; there is nothing to register."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowstone.plugins import Collection, Offer, Plugin, installed

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Collection", "Offer", "Plugin", "load", "offers", "plugins"]


def plugins() -> Sequence[Plugin]:
    """Return every installed plugin, the broken ones too."""
    return installed().plugins()


def offers(kind: str) -> Sequence[Offer]:
    """Return the names of a kind (``block``, ``task``) with where they come from."""
    return installed().offers(kind)


def load(kind: str, name: str) -> Any:
    """Import and return what is offered under a name.

    Raises:
        PluginBroken: the plugin that brings it, or its module, could not be loaded.
        MissingExtra: it needs an optional dependency that is not installed.
        UnknownName: no installed package brings it.
    """
    return installed().load(kind, name)
