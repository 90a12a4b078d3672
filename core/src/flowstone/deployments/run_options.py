"""Options of a single run that differ from its deployment: job variables, a queue."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from flowstone.context.current import services
from flowstone.errors import ConfigurationError, ObjectNotFound
from flowstone.infrastructure.variables import check_new_variables, merge_variables
from flowstone.infrastructure.work_pools import load_infrastructure_of, load_work_pool
from flowstone.ports.paging import iterate_documents
from flowstone.records.runs import RunQuery

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from flowstone.records.codec import Json
    from flowstone.records.deployments import Deployment

#: With a pool's name, the kind of the documents with these options, by the ids of the runs.
KIND = "run-options:"


def check_options(
    deployment: Deployment, job_variables: Mapping[str, object], work_queue_name: str | None
) -> Json:
    """Return the options of a run in their stored form; empty if it has none.

    Raises:
        ConfigurationError: the deployment has no pool, or the variables don't match it.
        ObjectNotFound: the pool was deleted, or has no such queue.
    """
    if not job_variables and work_queue_name is None:
        return {}
    if deployment.work_pool_name is None:
        problem = f"{deployment.full_name!r} belongs to no work pool: a program serves it"
        remedy = "Deploy it to one, or omit job_variables and work_queue_name."
        raise ConfigurationError("run_deployment", problem, remedy)
    pool = load_work_pool(deployment.work_pool_name)
    if work_queue_name is not None and pool.find_queue(work_queue_name) is None:
        queues = [each.name for each in pool.queues]
        raise ObjectNotFound("work queue", work_queue_name, queues)
    layers = pool.job_variables, deployment.job_variables, job_variables
    infrastructure = load_infrastructure_of(pool)
    check_new_variables(f"a run of {deployment.full_name!r}", infrastructure, *layers)
    return {"job_variables": dict(job_variables), "work_queue_name": work_queue_name}


def keep_options(pool: str, run_id: str, options: Json) -> None:
    """Store the options of a run that is about to be created."""
    services().documents.put(f"{KIND}{pool}", run_id, options)


def find_options(pool: str, run_ids: Collection[str] | None = None) -> dict[str, Json]:
    """Return the options of runs of a pool, by the ids of those that have any.

    Args:
        pool: the pool's name.
        run_ids: only of these; None for all.
    """
    documents, kind = services().documents, f"{KIND}{pool}"
    if run_ids is None:
        return {each.name: dict(each.body) for each in iterate_documents(documents, kind)}
    return {each.name: dict(each.body) for each in documents.find(kind, names=list(run_ids))}


def forget_ended(pool: str, run_ids: Collection[str]) -> None:
    """Delete the options of those of these runs that have ended."""
    runs = services().runs.runs(RunQuery(ids=tuple(run_ids))) if run_ids else []
    for run in runs:
        if run.state.is_final():
            with suppress(ObjectNotFound):
                services().documents.delete(f"{KIND}{pool}", run.id)


def apply_options(deployment: Deployment, options: Json | None) -> Deployment:
    """Return a deployment with such options of one run applied."""
    if not options:
        return deployment
    variables = merge_variables(deployment.job_variables, options.get("job_variables") or {})
    queue = options.get("work_queue_name") or deployment.work_queue_name
    return replace(deployment, job_variables=variables, work_queue_name=queue)
