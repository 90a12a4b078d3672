"""The check that several processes can share the store: it must be on a local disk."""

from __future__ import annotations

from flowstone.context.current import services
from flowstone.errors import ConfigurationError
from flowstone.stores.mounts import find_network_mount


def check_shared_store(what: str) -> None:
    """Refuse a store that other processes can't share.

    Args:
        what: the feature that needs it, for the error.

    Raises:
        ConfigurationError: the store is in memory, or on a network file system.
    """
    settings = services().settings
    if settings.store == "memory":
        problem = "the store is in memory, so no other process can read it"
        raise ConfigurationError(what, problem, "Unset FLOWSTONE_STORE.")
    kind = find_network_mount(settings.home)
    if kind is not None:
        problem = f"the store is on a network file system ({kind}): {settings.home}"
        remedy = "Set FLOWSTONE_HOME to a directory on a local disk."
        raise ConfigurationError(what, problem, remedy)
