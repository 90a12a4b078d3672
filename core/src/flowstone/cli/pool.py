"""`flowstone pool`: manages work pools and their queues."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from flowstone.cli.candidates import complete_work_pools
from flowstone.cli.commands import Commands
from flowstone.cli.output import emit, json_option, say, show
from flowstone.cli.pool_variables import read_variables, remove_variables
from flowstone.cli.views import Cell, Facts, Row, Table
from flowstone.cli.wording import format_count, format_iso, format_process, format_time
from flowstone.context.current import services
from flowstone.deployments.documents import find_deployments
from flowstone.deployments.presence import find_workers
from flowstone.errors import ObjectNotFound
from flowstone.infrastructure.work_pools import (
    change_work_pool,
    create_work_pool,
    delete_work_pool,
    delete_work_queue,
    find_work_pools,
    load_work_pool,
    set_work_queue,
)
from flowstone.ports.paging import iterate_runs
from flowstone.records.runs import RunQuery
from flowstone.records.work_pools import encode_work_pool

if TYPE_CHECKING:
    from flowstone.cli.output import Option
    from flowstone.deployments.presence import OnlineWorker
    from flowstone.records.work_pools import WorkPool, WorkQueue

_name: Option = click.argument("name", shell_complete=complete_work_pools)
_limit: Option = click.option(
    "--limit",
    type=click.IntRange(min=0),
    metavar="N",
    help="Maximum number of concurrent runs, over all workers; 0 for no limit.",
)
_description: Option = click.option(
    "--description", metavar="TEXT", help="A description for people."
)
_variables: Option = click.option(
    "--var",
    "pairs",
    multiple=True,
    metavar="NAME=VALUE",
    help="A default job variable, such as env.REGION=eu. Can be repeated.",
)


@click.group(cls=Commands)
def pool() -> None:
    """Create, list, change, pause and delete work pools and their queues.

    The workers of a pool execute the runs of its deployments: `flowstone worker start --pool NAME`.
    """


@pool.command("create")
@click.argument("name")
@click.option(
    "--type",
    "kind",
    default="process",
    show_default=True,
    metavar="NAME",
    help="The infrastructure that executes its runs.",
)
@_limit
@_description
@_variables
@json_option
def create(
    name: str,
    kind: str,
    limit: int | None,
    description: str | None,
    pairs: tuple[str, ...],
    as_json: bool,
) -> None:
    """Create a work pool."""
    made = create_work_pool(
        name,
        kind,
        description=description,
        concurrency_limit=limit or None,
        job_variables=read_variables(kind, pairs),
    )
    if as_json:
        emit(_describe(made))
    else:
        say(f"The work pool {name!r} is created: `flowstone worker start --pool {name}`.")


@pool.command("ls")
@json_option
def list_pools(as_json: bool) -> None:
    """List work pools, with their deployments, workers and limits."""
    pools = find_work_pools()
    if as_json:
        emit([_describe(each) for each in pools])
        return
    workers = find_workers()
    deployments = find_deployments()
    rows = [
        Row(
            (
                Cell(each.name, "bold"),
                Cell(each.type),
                Cell(str(sum(one.work_pool_name == each.name for one in deployments))),
                Cell(str(sum(one.pool == each.name for one in workers))),
                Cell(_format_limit(each.concurrency_limit)),
                Cell("paused", "yellow") if each.paused else Cell(""),
            )
        )
        for each in pools
    ]
    columns = ("name", "type", "deployments", "workers", "limit", "")
    empty = "There are no work pools yet: `flowstone pool create NAME`."
    right = frozenset({"deployments", "workers", "limit"})
    show(Table(columns, rows, empty=empty, right=right))


@pool.command("show")
@_name
@json_option
def show_pool(name: str, as_json: bool) -> None:
    """Show a work pool: its job variables, its queues, and its workers."""
    found = load_work_pool(name)
    if as_json:
        emit({**_describe(found), "variables_schema": _read_schema(found)})
        return
    facts = [
        ("pool", Cell(name, "bold")),
        ("type", Cell(found.type)),
        ("description", Cell(found.description or "")),
        ("limit", Cell(_format_limit(found.concurrency_limit))),
        ("running", Cell(str(_count_running(name)))),
        ("paused", Cell("yes" if found.paused else "", "yellow")),
    ]
    facts += [
        ("variables" if not number else "", Cell(f"{key} = {value!r}"))
        for number, (key, value) in enumerate(found.job_variables.items())
    ]
    workers = [each for each in find_workers() if each.pool == name]
    show(
        Facts([fact for fact in facts if fact[1].text]),
        _make_queue_table(found),
        make_worker_table(workers, name),
    )


@pool.command("set")
@_name
@_limit
@_description
@_variables
@click.option(
    "--unset",
    "removed",
    multiple=True,
    metavar="NAME",
    help="Remove a default job variable. Can be repeated.",
)
@json_option
def set_pool(
    name: str,
    limit: int | None,
    description: str | None,
    pairs: tuple[str, ...],
    removed: tuple[str, ...],
    as_json: bool,
) -> None:
    """Change a work pool. Variables are added to the existing ones."""
    found = load_work_pool(name)
    if limit is None and description is None and not (pairs or removed):
        problem = "nothing to change: use --limit, --description, --var or --unset"
        raise click.UsageError(problem)
    variables = {**remove_variables(found, removed), **read_variables(found.type, pairs)}
    made = change_work_pool(
        name,
        description=description,
        concurrency_limit=limit,
        job_variables=variables if pairs or removed else None,
    )
    if as_json:
        emit(_describe(made))
    else:
        say(f"The work pool {name!r} is changed.")


@pool.command("pause")
@_name
@json_option
def pause(name: str, as_json: bool) -> None:
    """Pause a work pool: workers stop claiming its runs. Active runs continue."""
    made = change_work_pool(name, paused=True)
    _tell(made, f"The work pool {name!r} is paused.", as_json=as_json)


@pool.command("resume")
@_name
@json_option
def resume(name: str, as_json: bool) -> None:
    """Resume a work pool. Runs that became due in the meantime are executed, too."""
    made = change_work_pool(name, paused=False)
    _tell(made, f"The work pool {name!r} is resumed.", as_json=as_json)


@pool.command("delete")
@_name
@json_option
def delete(name: str, as_json: bool) -> None:
    """Delete a work pool. Its deployments remain; their runs wait until it is created again."""
    delete_work_pool(name)
    if as_json:
        emit({"name": name, "deleted": True})
        return
    left = [each.name for each in find_deployments() if each.work_pool_name == name]
    told = f" Deployments that still name it: {len(left)}." if left else ""
    say(f"The work pool {name!r} is deleted.{told}")


@pool.group("queue", cls=Commands)
def queue_group() -> None:
    """Create, change, pause and delete the queues of a work pool; `pool show` lists them."""


@queue_group.command("set")
@_name
@click.argument("queue")
@click.option(
    "--priority",
    type=click.IntRange(min=1),
    metavar="N",
    help="Runs of queues with lower numbers are claimed first; 1 by default.",
)
@_limit
@json_option
def set_queue(
    name: str, queue: str, priority: int | None, limit: int | None, as_json: bool
) -> None:
    """Create or change a queue."""
    made = set_work_queue(name, queue, priority=priority, concurrency_limit=limit)
    limited = made.concurrency_limit
    more = "no limit" if limited is None else f"a limit of {format_count(limited, 'run')}"
    text = f"The queue {queue!r} of {name!r} has priority {made.priority} and {more}."
    _tell_queue(made, text, as_json=as_json)


@queue_group.command("pause")
@_name
@click.argument("queue")
@json_option
def pause_queue(name: str, queue: str, as_json: bool) -> None:
    """Pause a queue: workers stop claiming its runs."""
    _check_queue(name, queue)
    made = set_work_queue(name, queue, paused=True)
    _tell_queue(made, f"The queue {queue!r} of {name!r} is paused.", as_json=as_json)


@queue_group.command("resume")
@_name
@click.argument("queue")
@json_option
def resume_queue(name: str, queue: str, as_json: bool) -> None:
    """Resume a queue."""
    _check_queue(name, queue)
    made = set_work_queue(name, queue, paused=False)
    _tell_queue(made, f"The queue {queue!r} of {name!r} is resumed.", as_json=as_json)


@queue_group.command("delete")
@_name
@click.argument("queue")
@json_option
def delete_queue(name: str, queue: str, as_json: bool) -> None:
    """Delete a queue. Runs of deployments that use it wait until it is created again."""
    delete_work_queue(name, queue)
    if as_json:
        emit({"pool": name, "name": queue, "deleted": True})
    else:
        say(f"The queue {queue!r} of {name!r} is deleted.")


def make_worker_table(workers: list[OnlineWorker], pool_name: str | None = None) -> Table:
    """Return workers as a table.

    Args:
        workers: the workers that are online.
        pool_name: the pool that they belong to; None for workers of all pools.
    """
    rows = [
        Row(
            (
                Cell(each.name, "bold"),
                Cell(each.pool),
                Cell(format_time(each.slot.since)),
                Cell(format_process(each.slot.holder)),
            )
        )
        for each in workers
    ]
    empty = f"No worker is online: `flowstone worker start --pool {pool_name or 'NAME'}`."
    return Table(("worker", "pool", "since", "process"), rows, empty=empty)


def _make_queue_table(found: WorkPool) -> Table:
    rows = [
        Row(
            (
                Cell(each.name, "bold"),
                Cell(str(each.priority)),
                Cell(_format_limit(each.concurrency_limit)),
                Cell("paused", "yellow") if each.paused else Cell(""),
            )
        )
        for each in found.queues
    ]
    columns = ("queue", "priority", "limit", "")
    return Table(columns, rows, empty="", right=frozenset({"priority", "limit"}))


def _tell(made: WorkPool, text: str, *, as_json: bool) -> None:
    if as_json:
        emit(_describe(made))
    else:
        say(text)


def _tell_queue(made: WorkQueue, text: str, *, as_json: bool) -> None:
    if as_json:
        emit(made.__dict__)
    else:
        say(text)


def _check_queue(name: str, queue: str) -> None:
    found = load_work_pool(name)
    if found.find_queue(queue) is None:
        raise ObjectNotFound("work queue", queue, [each.name for each in found.queues])


def _describe(found: WorkPool) -> dict[str, object]:
    workers = [each for each in find_workers() if each.pool == found.name]
    return {**encode_work_pool(found), "workers": [describe_worker(each) for each in workers]}


def describe_worker(worker: OnlineWorker) -> dict[str, object]:
    """Return a worker as JSON values."""
    return {
        "name": worker.name,
        "pool": worker.pool,
        "since": format_iso(worker.slot.since),
        "process": worker.slot.holder,
    }


def _count_running(name: str) -> int:
    """Return the number of active runs of a pool, including those whose worker has died."""
    names = [each.full_name for each in find_deployments() if each.work_pool_name == name]
    if not names:
        return 0
    states = ("RUNNING", "CANCELLING")
    query = RunQuery(deployments=tuple(names), states=states, roots=True)
    return sum(1 for _ in iterate_runs(services().runs, query))


def _format_limit(limit: int | None) -> str:
    return "none" if limit is None else str(limit)


def _read_schema(found: WorkPool) -> dict[str, object]:
    # Takes 30 ms, for pydantic and plugins, which only the JSON output needs.
    from flowstone.infrastructure.variables import load_infrastructure

    return load_infrastructure(found.type).variables.model_json_schema()
