"""`flowstone deployment run`, `pause`, `resume` and `delete`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from flowstone.cli.candidates import complete_deployments
from flowstone.cli.deployment.parameters import read_values
from flowstone.cli.deployment.records import count_servers, describe_deployment, find_next
from flowstone.cli.output import emit, json_option, say, warn
from flowstone.cli.run.execution import EXITS, param_option, params_option, read_parameters
from flowstone.cli.run.records import describe_run
from flowstone.cli.wording import format_count, format_time, make_reason_cell, shorten_id
from flowstone.context.current import services
from flowstone.deployments.documents import (
    delete_deployment,
    load_deployment,
    pause_deployment,
    resume_deployment,
)
from flowstone.records.states import CANCELLED

if TYPE_CHECKING:
    from pathlib import Path

    from flowstone.records.runs import Run


@click.command("run")
@click.argument("name", shell_complete=complete_deployments)
@param_option
@params_option
@click.option("--name", "run_name", metavar="TEXT", help="A name for the run.")
@click.option(
    "--tag", "tags", multiple=True, metavar="TAG", help="A tag for the run; can be repeated."
)
@click.option(
    "--watch", is_flag=True, help="Wait for the run to end; exit with the codes of `run start`."
)
@json_option
def run_now(
    name: str,
    pairs: tuple[str, ...],
    file: Path | None,
    run_name: str | None,
    tags: tuple[str, ...],
    watch: bool,
    as_json: bool,
) -> None:
    """Start a run of a deployment.

    A process that serves the deployment, or a worker of its work pool, executes the run.
    """
    # Takes 40 ms, for pydantic, which only this command needs.
    from flowstone.deployments.requests import make_run
    from flowstone.deployments.waits import BLOCKED, find_wait_reasons
    from flowstone.flow_runs.waits import wait_for_end

    found = load_deployment(name)
    run = make_run(
        found.full_name,
        read_values(found, read_parameters(file, pairs)),
        {"flow_run_name": run_name, "tags": tags},
        "requested on the command line",
    )
    reason = find_wait_reasons([run], services().clock.time()).get(run.id)
    if reason is not None and reason.kind in BLOCKED:
        warn(f"{run.name} waits: {reason.message}.")
    if watch:
        try:
            run = wait_for_end(run)
        except KeyboardInterrupt:
            warn(f"{run.name} continues: `flowstone run cancel {shorten_id(run)}` cancels it.")
            sys.exit(EXITS[CANCELLED])
    if as_json:
        emit(describe_run(run, services().clock.time()))
    elif watch:
        _tell_end(run)
    else:
        say(f"{run.name} is scheduled: `flowstone run show {shorten_id(run)}`.")
    if watch:
        sys.exit(EXITS[run.state.type])


def _tell_end(run: Run) -> None:
    reason = make_reason_cell(run.state)
    if reason is None:
        say(f"{run.name} is {run.state.name}.")
    else:
        say(f"{run.name} is {run.state.name}: {reason.text}")
        say(f"`flowstone run show {shorten_id(run)}` shows what it did.")


@click.command("pause")
@click.argument("name", shell_complete=complete_deployments)
@json_option
def pause(name: str, as_json: bool) -> None:
    """Pause the schedules of a deployment, regardless of its code. You can still start runs."""
    found = pause_deployment(name)
    if as_json:
        emit(describe_deployment(found, services().clock.time(), count_servers([found])))
    else:
        say(f"{found.full_name} is paused. `flowstone deployment run` still starts runs.")


@click.command("resume")
@click.argument("name", shell_complete=complete_deployments)
@json_option
def resume(name: str, as_json: bool) -> None:
    """Resume the schedules of a deployment. Times that passed in the meantime are skipped."""
    found = resume_deployment(name)
    now = services().clock.time()
    if as_json:
        emit(describe_deployment(found, now, count_servers([found])))
        return
    soon = find_next(found, now)
    told = f"; its next run is due at {format_time(soon[0])}" if soon else ""
    say(f"{found.full_name} is resumed{told}.")


@click.command("delete")
@click.argument("name", shell_complete=complete_deployments)
@json_option
def delete(name: str, as_json: bool) -> None:
    """Delete a deployment, and cancel its runs that have not started.

    The next start of the program that serves it creates it again, and so do `flow.deploy` and
    `flowstone deploy`.
    """
    full_name = load_deployment(name).full_name
    cancelled = delete_deployment(full_name)
    if as_json:
        emit({"name": full_name, "deleted": True, "cancelled": cancelled})
        return
    told = f", and {format_count(len(cancelled), 'run')} cancelled" if cancelled else ""
    say(f"The deployment {full_name!r} is deleted{told}.")
