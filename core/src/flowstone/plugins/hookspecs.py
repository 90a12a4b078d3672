"""Every hook that a plugin may implement."""

from __future__ import annotations

import pluggy

from flowstone.plugins.collection import Collection

hookspec = pluggy.HookspecMarker("flowstone")
hookimpl = pluggy.HookimplMarker("flowstone")


@hookspec
def collection() -> Collection:  # type: ignore[empty-body]
    """Return the tables of what this package offers, without importing the offers themselves."""
