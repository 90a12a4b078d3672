"""Saved work pools, and the limits of their runs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flowstone.context.current import services
from flowstone.errors import (
    ConfigurationError,
    ObjectAlreadyExists,
    ObjectNotFound,
    StaleDocument,
)
from flowstone.infrastructure.limits import check_concurrency_limit, save_own_limit
from flowstone.infrastructure.variables import check_new_variables, load_infrastructure
from flowstone.ports.paging import iterate_documents
from flowstone.records.limits import POOL, QUEUE
from flowstone.records.names import check_part_name
from flowstone.records.work_pools import (
    DEFAULT_QUEUE,
    KIND,
    WorkPool,
    WorkQueue,
    encode_work_pool,
    read_work_pool,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from flowstone.infrastructure.base import Infrastructure


def create_work_pool(
    name: str,
    infrastructure: str = "process",
    *,
    description: str | None = None,
    concurrency_limit: int | None = None,
    job_variables: Mapping[str, object] | None = None,
    paused: bool = False,
) -> WorkPool:
    """Create a work pool with its default queue.

    Args:
        name: its name.
        infrastructure: its type, which executes its runs; `flowstone catalog ls` lists them.
        description: a description for people, in Markdown.
        concurrency_limit: the maximum number of its runs executed at a time; None for no maximum.
        job_variables: defaults of its jobs, by name; deployments may override them.
        paused: whether its runs are not taken for now.

    Raises:
        InvalidName: the name is not valid.
        ObjectAlreadyExists: there is a pool of that name.
        UnknownName: no installed package offers the infrastructure.
        ConfigurationError: the variables are not valid for it, or the limit is below 1.
    """
    check_part_name("work pool", name)
    kind = load_infrastructure(infrastructure)
    variables = dict(job_variables or {})
    check_new_variables(f"the work pool {name!r}", kind, variables)
    made = WorkPool(
        name,
        infrastructure,
        description,
        check_concurrency_limit(f"work pool {name!r}", concurrency_limit),
        paused,
        variables,
        kind.schema_version,
    )

    def create(old: WorkPool | None) -> WorkPool:
        if old is not None:
            raise ObjectAlreadyExists("work pool", name, "Change it with `flowstone pool set`.")
        return made

    return _change(name, create)


def load_work_pool(name: str) -> WorkPool:
    """Return a pool.

    Raises:
        ObjectNotFound: there is no such pool; the message lists similar names.
    """
    found = services().documents.find(KIND, names=[name])
    return _check_found(name, read_work_pool(found[0]) if found else None)


def find_work_pools() -> list[WorkPool]:
    """Return all pools, by name."""
    return list(map(read_work_pool, iterate_documents(services().documents, KIND)))


def load_infrastructure_of(pool: WorkPool) -> Infrastructure:
    """Return the infrastructure of a pool.

    Raises:
        UnknownName: no installed package offers it.
        ConfigurationError: the pool was created or changed by a newer version of it, whose
            variables this one may not know.
    """
    found = load_infrastructure(pool.type)
    if pool.schema_version > found.schema_version:
        problem = (
            f"a newer version of its infrastructure {pool.type!r} has written it (schema "
            f"{pool.schema_version}, and here it is {found.schema_version})"
        )
        package = type(found).__module__.partition(".")[0].replace("_", "-")
        remedy = f"Upgrade here: pip install --upgrade {package}"
        raise ConfigurationError(f"work pool {pool.name!r}", problem, remedy)
    return found


def change_work_pool(
    name: str,
    *,
    description: str | None = None,
    concurrency_limit: int | None = None,
    job_variables: Mapping[str, object] | None = None,
    paused: bool | None = None,
) -> WorkPool:
    """Change the given properties of a pool; None leaves a property unchanged.

    Args:
        name: the name of the pool.
        description: a description for people, in Markdown.
        concurrency_limit: the maximum number of its runs executed at a time; 0 for no maximum.
        job_variables: defaults of its jobs, which replace all existing ones.
        paused: whether its runs are not taken.

    Raises:
        ObjectNotFound: there is no such pool.
        ConfigurationError: the variables are not valid for its infrastructure, or the limit is
            below 0.
    """

    def change(old: WorkPool | None) -> WorkPool:
        made = _check_found(name, old)
        if description is not None:
            made = replace(made, description=description)
        if concurrency_limit is not None:
            owner = f"work pool {name!r}"
            limit = check_concurrency_limit(owner, concurrency_limit or None)
            made = replace(made, concurrency_limit=limit)
        if job_variables is not None:
            infrastructure = load_infrastructure_of(made)
            check_new_variables(f"the work pool {name!r}", infrastructure, job_variables)
            version = infrastructure.schema_version
            made = replace(made, job_variables=dict(job_variables), schema_version=version)
        return made if paused is None else replace(made, paused=paused)

    return _change(name, change)


def set_work_queue(
    pool: str,
    name: str,
    *,
    priority: int | None = None,
    concurrency_limit: int | None = None,
    paused: bool | None = None,
) -> WorkQueue:
    """Create a queue of a pool, or change its given properties; None leaves a property unchanged.

    Args:
        pool: the pool's name.
        name: the queue's name.
        priority: from 1 up: runs of queues with lower numbers are taken first.
        concurrency_limit: the maximum number of its runs executed at a time; 0 for no maximum.
        paused: whether its runs are not taken.

    Raises:
        ObjectNotFound: there is no such pool.
        InvalidName: the name is not valid.
        ConfigurationError: a number is too low.
    """
    check_part_name("work queue", name)
    owner = f"work queue {f'{pool}/{name}'!r}"
    if priority is not None and priority < 1:
        raise ConfigurationError(owner, f"priority={priority} is too low", "Use 1 or more.")

    def change(old: WorkPool | None) -> WorkPool:
        found = _check_found(pool, old)
        queue = found.find_queue(name) or WorkQueue(name)
        if priority is not None:
            queue = replace(queue, priority=priority)
        if concurrency_limit is not None:
            limit = check_concurrency_limit(owner, concurrency_limit or None)
            queue = replace(queue, concurrency_limit=limit)
        if paused is not None:
            queue = replace(queue, paused=paused)
        others = [each for each in found.queues if each.name != name]
        return replace(found, queues=tuple(sorted([*others, queue], key=_sort_queues)))

    queue = _change(pool, change).find_queue(name)
    assert queue is not None
    return queue


def delete_work_queue(pool: str, name: str) -> None:
    """Delete a queue; runs of deployments that name it wait until it is created again.

    Raises:
        ObjectNotFound: there is no such pool, or it has no such queue.
        ConfigurationError: it is the default queue, which each pool has.
    """
    if name == DEFAULT_QUEUE:
        problem = "each pool has it"
        raise ConfigurationError(f"work queue {name!r}", problem, "Pause it, or the pool.")

    def change(old: WorkPool | None) -> WorkPool:
        found = _check_found(pool, old)
        if found.find_queue(name) is None:
            raise ObjectNotFound("work queue", name, [each.name for each in found.queues])
        return replace(found, queues=tuple(each for each in found.queues if each.name != name))

    _change(pool, change)
    save_own_limit(f"{QUEUE}{pool}/{name}", None)


def delete_work_pool(name: str) -> None:
    """Delete a pool; its deployments and their runs stay, and wait.

    Raises:
        ObjectNotFound: there is no such pool.
    """
    found = load_work_pool(name)
    services().documents.delete(KIND, name)
    save_own_limit(f"{POOL}{name}", None)
    for queue in found.queues:
        save_own_limit(f"{QUEUE}{name}/{queue.name}", None)


def _sort_queues(queue: WorkQueue) -> tuple[int, str]:
    return queue.priority, queue.name


def _check_found(name: str, found: WorkPool | None) -> WorkPool:
    if found is None:
        known = [each.name for each in find_work_pools()]
        remedy = None if known else f"Create it: `flowstone pool create {name}`."
        raise ObjectNotFound("work pool", name, known, remedy)
    return found


def _change(name: str, change: Callable[[WorkPool | None], WorkPool]) -> WorkPool:
    """Update a pool by a function of its content, even with concurrent updates."""
    documents = services().documents
    while True:
        found = documents.find(KIND, names=[name])
        old = read_work_pool(found[0]) if found else None
        made = change(old)
        if made != old:
            version = found[0].version if found else 0
            try:
                documents.put(KIND, name, encode_work_pool(made), expected=version)
            except (StaleDocument, ObjectAlreadyExists):
                continue
        save_own_limit(f"{POOL}{name}", made.concurrency_limit)
        for queue in made.queues:
            save_own_limit(f"{QUEUE}{name}/{queue.name}", queue.concurrency_limit)
        return made
