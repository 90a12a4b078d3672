"""DaskTaskRunner: the choice of a Dask cluster, which is loaded by a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowstone.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from distributed.deploy.cluster import Cluster

    from flowstone.ports import Runner, RunnerSettings


@dataclass(frozen=True, slots=True)
class DaskTaskRunner:
    """The functions of submitted tasks run on the workers of a Dask cluster.

    All else of a run stays in the process of the flow: retries, timeouts, records, results. The
    functions and their arguments are pickled; closures and lambdas work, and so does the code of
    the program, which the workers need not have. They need Flowstone and this package.

    Without any argument, the program's current `distributed.Client` is used where there is one;
    else a `LocalCluster` of processes, which is closed when the flow run ends.

    Args:
        cluster: a cluster that is running; it is left open.
        address: of a scheduler that is running.
        cluster_class: makes a cluster for each flow run, which is closed with it: a class, a
            function, or the name of one as ``dask_cloudprovider.aws.FargateCluster``.
        cluster_kwargs: what it is called with.
        adapt_kwargs: what the cluster's `adapt` is called with; None for a fixed size.
        client_kwargs: arguments of `distributed.Client`.
        performance_report_path: the file for Dask's report of the flow run.
    """

    cluster: Cluster | None = None
    address: str | None = None
    cluster_class: str | Callable[..., Cluster] | None = None
    cluster_kwargs: Mapping[str, Any] | None = None
    adapt_kwargs: Mapping[str, Any] | None = None
    client_kwargs: Mapping[str, Any] | None = None
    performance_report_path: str | Path | None = None

    def __post_init__(self) -> None:
        ways = {
            "cluster": self.cluster,
            "address": self.address,
            "cluster_class": self.cluster_class,
        }
        chosen = [name for name, value in ways.items() if value is not None]
        if len(chosen) > 1:
            self._refuse(f"{' and '.join(chosen)} each name a cluster", "Give one of them.")
        if self.cluster_kwargs and (self.cluster is not None or self.address is not None):
            self._refuse(
                "cluster_kwargs are for a cluster that is made, and this one is running",
                "Leave them out.",
            )
        if self.adapt_kwargs and self.address is not None:
            self._refuse(
                "adapt_kwargs need the cluster itself, and an address is not enough",
                "Give the cluster, or leave them out.",
            )

    def _refuse(self, problem: str, remedy: str) -> None:
        raise ConfigurationError("DaskTaskRunner", problem, remedy)

    def open(self, settings: RunnerSettings) -> Runner:
        """Return a runner that is connected to the cluster, which is started where it is new."""
        # Dask takes half a second to load, which only these flows need pay.
        from flowstone_dask.pool import DaskPool

        return DaskPool(self, settings)
