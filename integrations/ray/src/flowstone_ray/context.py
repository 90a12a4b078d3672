"""Ray options for the tasks that are submitted in a block."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from flowstone.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Options that Flowstone sets itself.
_OURS = {"num_returns", "max_calls", "_generator_backpressure_num_objects"}
_options: ContextVar[Mapping[str, Any] | None] = ContextVar("flowstone_ray.context", default=None)


@contextmanager
def remote_options(**new_remote_options: Any) -> Iterator[None]:
    """Set Ray options for the tasks that are submitted in the block.

    Blocks can be nested; inner options override outer ones.

    Args:
        new_remote_options: the options of a Ray task's `.options`: `num_cpus`, `num_gpus`,
            `resources`, `memory`, `runtime_env`, `scheduling_strategy` and so on. `max_retries`
            is 0 by default: if a worker dies, the `retries` of the task apply.

    Raises:
        ConfigurationError: an option can't be set by the caller.
    """
    if refused := sorted(_OURS & new_remote_options.keys()):
        problem = f"{' and '.join(refused)} can only be set by Flowstone"
        raise ConfigurationError("remote_options", problem, "Remove what you have set.")
    token = _options.set({**find_options(), **new_remote_options})
    try:
        yield
    finally:
        _options.reset(token)


def find_options() -> Mapping[str, Any]:
    """Return the options of the enclosing blocks."""
    return _options.get() or {}
