"""The one door for packages: a hook marker, the table that a plugin hands in, and the host."""

from flowstone.plugins.collection import Collection, worded
from flowstone.plugins.hookspecs import hookimpl
from flowstone.plugins.host import Host, Offer, Plugin, installed

__all__ = ["Collection", "Host", "Offer", "Plugin", "hookimpl", "installed", "worded"]
