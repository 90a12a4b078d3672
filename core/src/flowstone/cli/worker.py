"""`flowstone worker`: starts and lists the workers of work pools."""

from __future__ import annotations

import click

from flowstone.cli.candidates import complete_work_pools
from flowstone.cli.commands import Commands
from flowstone.cli.output import emit, json_option, show
from flowstone.cli.pool import describe_worker, make_worker_table
from flowstone.deployments.presence import find_workers


@click.group(cls=Commands)
def worker() -> None:
    """Start and list the workers of work pools."""


@worker.command("start")
@click.option(
    "--pool",
    "-p",
    required=True,
    metavar="NAME",
    shell_complete=complete_work_pools,
    help="The work pool; created if it does not exist and --type is used.",
)
@click.option(
    "--type",
    "-t",
    "kind",
    metavar="NAME",
    help="The infrastructure that the pool must have, such as process.",
)
@click.option(
    "--work-queue",
    "-q",
    "queues",
    multiple=True,
    metavar="NAME",
    help="Only execute runs of this queue. Can be repeated.",
)
@click.option(
    "--name", "-n", metavar="TEXT", help="The worker's name; the host and process by default."
)
@click.option(
    "--limit",
    "-l",
    type=click.IntRange(min=1),
    metavar="N",
    help="Maximum number of concurrent runs of this worker.",
)
@click.option("--run-once", is_flag=True, help="Execute the runs that are due, and exit.")
def start(
    pool: str,
    kind: str | None,
    queues: tuple[str, ...],
    name: str | None,
    limit: int | None,
    run_once: bool,
) -> None:
    """Execute the runs of a work pool until stopped.

    On the first SIGTERM or Ctrl-C, the worker drains: it claims no new runs, and exits when its
    active runs have ended. On the second one, it stops those, too.
    """
    # Takes 100 ms, for the engine and pydantic, which listing workers doesn't need.
    from flowstone.workers.worker import Worker

    made = Worker(pool, queues or None, name=name, limit=limit, infrastructure=kind)
    made.start(run_once=run_once)


@worker.command("ls")
@click.option(
    "--pool", metavar="NAME", shell_complete=complete_work_pools, help="Only workers of this pool."
)
@json_option
def list_workers(pool: str | None, as_json: bool) -> None:
    """List the workers that are online."""
    found = [each for each in find_workers() if pool in {None, each.pool}]
    if as_json:
        emit([describe_worker(each) for each in found])
    else:
        show(make_worker_table(found, pool))
