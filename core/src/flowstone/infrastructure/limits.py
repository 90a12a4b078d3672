"""The concurrency limits of pools, queues and deployments."""

from __future__ import annotations

from flowstone.context.current import services
from flowstone.errors import ConfigurationError
from flowstone.records.limits import KIND, Limit, encode_limit


def check_concurrency_limit(owner: str, limit: int | None) -> int | None:
    """Return a concurrency limit if it is valid.

    Raises:
        ConfigurationError: it is below 1.
    """
    if limit is not None and limit < 1:
        raise ConfigurationError(owner, f"concurrency_limit={limit} is too low", "Use 1 or more.")
    return limit


def save_own_limit(name: str, slots: int | None) -> None:
    """Save the limit of a pool, a queue or a deployment; None deletes it."""
    documents = services().documents
    if slots is not None:
        documents.put(KIND, name, encode_limit(Limit(name, slots)))
    elif documents.find(KIND, names=[name]):
        documents.delete(KIND, name)
