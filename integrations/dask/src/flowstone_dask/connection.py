"""The client of one flow run, and its cluster if that is temporary."""

from __future__ import annotations

import pkgutil
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from distributed import Client, LocalCluster

from flowstone.errors import ConfigurationError
from flowstone_dask.reports import write_report
from flowstone_dask.scheduler_rules import CallRules

if TYPE_CHECKING:
    from distributed.deploy.cluster import Cluster

    from flowstone_dask.task_runner import DaskTaskRunner


def connect(chosen: DaskTaskRunner, stack: ExitStack) -> Client:
    """Return a client as a task runner specifies; the stack closes what is opened for it."""
    client = _find_client(chosen) or _open_client(chosen, stack)
    try:
        client.register_plugin(CallRules())
    except ImportError as error:
        problem = f"the scheduler lacks {error.name!r}"
        raise ConfigurationError(
            "DaskTaskRunner", problem, "Install flowstone-dask where the scheduler runs."
        ) from error
    if chosen.performance_report_path is not None:
        stack.enter_context(write_report(client, chosen.performance_report_path))
    return client


def _find_client(chosen: DaskTaskRunner) -> Client | None:
    """Return the program's current client, unless the task runner specifies a cluster."""
    named = chosen.cluster, chosen.address, chosen.cluster_class, chosen.cluster_kwargs
    if any(each is not None for each in (*named, chosen.client_kwargs)):
        return None
    try:
        client = Client.current()
    except ValueError:
        return None
    return None if client.asynchronous else client


def _open_client(chosen: DaskTaskRunner, stack: ExitStack) -> Client:
    options = {"set_as_default": False, **(chosen.client_kwargs or {})}
    place: Cluster | str | None = chosen.address or chosen.cluster
    if place is None:
        place = stack.enter_context(_make_cluster(chosen))
    if chosen.adapt_kwargs is not None and not isinstance(place, str):
        place.adapt(**chosen.adapt_kwargs)
    client: Client = stack.enter_context(Client(place, **options))
    return client


def _make_cluster(chosen: DaskTaskRunner) -> Cluster:
    make: Any = chosen.cluster_class or LocalCluster
    if isinstance(make, str):
        make = pkgutil.resolve_name(make)
    options = dict(chosen.cluster_kwargs or {})
    if make is LocalCluster:
        options.setdefault("dashboard_address", ":0")  # 8787 may be in use
    cluster: Cluster = make(**options)
    return cluster
