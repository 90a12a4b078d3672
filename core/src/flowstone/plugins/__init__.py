"""Plugins: the hook marker, the tables that a plugin returns, and the host that loads plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flowstone.plugins.exports import lazy_exports

if TYPE_CHECKING:
    from flowstone.plugins.collection import Collection, format_kind
    from flowstone.plugins.hookspecs import hookimpl
    from flowstone.plugins.host import Host, Offer, Plugin, get_host, get_host_of

__all__ = [
    "Collection",
    "Host",
    "Offer",
    "Plugin",
    "format_kind",
    "get_host",
    "get_host_of",
    "hookimpl",
    "lazy_exports",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_exports(
        __name__,
        {
            ".collection": ("Collection", "format_kind"),
            ".hookspecs": ("hookimpl",),
            ".host": ("Host", "Offer", "Plugin", "get_host", "get_host_of"),
        },
    )
