"""RayTaskRunner: selects a Ray cluster; Ray is imported by the first run."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowstone.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flowstone.ports import Runner, RunnerSettings


@dataclass(frozen=True, slots=True)
class RayTaskRunner:
    """Run the functions of submitted tasks on the workers of a Ray cluster.

    Everything else happens in the flow's process: retries, timeouts, records, results. Functions
    and their arguments are pickled; closures, lambdas and your own modules can be sent.
    The workers need Flowstone and this package.

    If the program is connected to Ray, that connection is used, and stays open. Otherwise it is
    opened for the flow run: to `address`, otherwise to the one in ``RAY_ADDRESS``, otherwise to a
    local Ray that is started for the flow run and shut down with it.

    Args:
        address: the address of a running cluster: ``10.0.0.4:6379`` from one of its machines, or
            ``ray://10.0.0.4:10001`` from anywhere; ``auto`` for the one on this machine.
        init_kwargs: arguments of `ray.init`, used if the program is not connected yet.
    """

    address: str | None = None
    init_kwargs: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.init_kwargs and "address" in self.init_kwargs:
            raise ConfigurationError(
                "RayTaskRunner", "init_kwargs contains an address", "Pass `address` instead."
            )

    def open(self, settings: RunnerSettings) -> Runner:
        """Return a runner that is connected to the cluster; a local one is started."""
        # Imports Ray, which takes a second, in the environment that Ray must see.
        from flowstone_ray.connection import connection

        with ExitStack() as stack:
            stack.enter_context(connection.use(self))
            # Needs Ray.
            from flowstone_ray.pool import RayPool

            return RayPool(stack, settings)
