"""The catalog: what the installed packages offer, by name; there is nothing to register."""

from flowstone.plugins.catalog import (
    Collection,
    Offer,
    Plugin,
    absent,
    kinds,
    load,
    offer,
    offers,
    plugins,
)

__all__ = ["Collection", "Offer", "Plugin", "absent", "kinds", "load", "offer", "offers", "plugins"]
