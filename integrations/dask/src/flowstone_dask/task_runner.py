"""DaskTaskRunner: selects a Dask cluster, which is connected at the start of a run."""

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
    """Runs the functions of submitted tasks on the workers of a Dask cluster.

    Everything else stays in the process of the flow: retries, timeouts, records, results. The
    functions and their arguments are pickled; this includes closures, lambdas, and code of the
    program that workers can't import. Workers need Flowstone and this package.

    Without arguments, it uses the program's current `distributed.Client`, if there is one;
    otherwise a `LocalCluster` of processes, which is closed when the flow run ends.

    Args:
        cluster: a running cluster, which is not closed.
        address: the address of a running scheduler.
        cluster_class: creates a cluster for each flow run, which is closed with it: a class, a
            function, or the name of one, such as ``dask_cloudprovider.aws.FargateCluster``.
        cluster_kwargs: the arguments of `cluster_class`.
        adapt_kwargs: the arguments of the cluster's `adapt`; None for a fixed size.
        client_kwargs: arguments of `distributed.Client`.
        performance_report_path: the file for Dask's performance report of the flow run, an HTML
            page. The scheduler needs ``flowstone-dask[report]``.
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
            self._refuse(f"{' and '.join(chosen)} each specify a cluster", "Pass only one of them.")
        if self.cluster_kwargs and (self.cluster is not None or self.address is not None):
            self._refuse(
                "cluster_kwargs are for a new cluster, but this one is already running",
                "Remove them.",
            )
        if self.adapt_kwargs and self.address is not None:
            self._refuse(
                "adapt_kwargs need a cluster object, but only an address was passed",
                "Pass the cluster, or remove them.",
            )

    def _refuse(self, problem: str, remedy: str) -> None:
        raise ConfigurationError("DaskTaskRunner", problem, remedy)

    def open(self, settings: RunnerSettings) -> Runner:
        """Return a runner that is connected to the cluster, which is started if it is new."""
        # Dask takes half a second to load; only flows that use it pay for that.
        from flowstone_dask.pool import DaskPool

        return DaskPool(self, settings)
