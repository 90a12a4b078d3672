"""The catalog of what installed packages offer, by name; nothing needs to be registered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowstone.plugins.collection import Collection
from flowstone.plugins.host import Offer, Plugin, get_host
from flowstone.plugins.known import load_known_packages

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "Collection",
    "Offer",
    "Plugin",
    "kinds",
    "list_absent",
    "load",
    "offer",
    "offers",
    "plugins",
]


def plugins() -> Sequence[Plugin]:
    """Return every installed plugin, including broken ones."""
    return get_host().plugins()


def kinds() -> Sequence[str]:
    """Return the kinds of offers: ``block``, ``task`` and the others."""
    return list(Collection().tables())


def list_absent() -> dict[str, str]:
    """Return the known packages that are not installed, with what each one offers."""
    here = {plugin.distribution for plugin in plugins()}
    return {
        name: known["summary"] for name, known in load_known_packages().items() if name not in here
    }


def offers(kind: str) -> Sequence[Offer]:
    """Return the names of a kind (``block``, ``task``, ``observer``) with their origins."""
    return get_host().offers(kind)


def offer(kind: str, name: str) -> Offer:
    """Return the origin of an offer, without importing it.

    Raises:
        PluginBroken: its plugin could not be loaded.
        UnknownName: no installed package has it.
    """
    return get_host().offer(kind, name)


def load(kind: str, name: str) -> Any:
    """Import and return what is offered under a name.

    Raises:
        PluginBroken: its plugin, or its module, could not be loaded.
        MissingExtra: it needs an optional dependency that is not installed.
        UnknownName: no installed package has it.
    """
    return get_host().load(kind, name)
