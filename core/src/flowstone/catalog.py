"""The catalog of what installed packages offer, by name; nothing needs to be registered."""

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
