"""The catalog: what the installed packages offer, by name; there is nothing to register."""

from flowstone.plugins.catalog import (
    Collection,
    Offer,
    Plugin,
    kinds,
    list_absent,
    load,
    offer,
    offers,
    plugins,
)

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
