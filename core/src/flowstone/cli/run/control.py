"""`flowstone run start` and `flowstone run cancel`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from flowstone.cli.candidates import complete_live_runs
from flowstone.cli.output import emit, json_option, say, warn
from flowstone.cli.run.execution import (
    execute,
    param_option,
    params_option,
    read_parameters,
    tree_option,
)
from flowstone.cli.run.records import describe_run
from flowstone.context.current import services
from flowstone.flow_runs.subruns import request_cancel

if TYPE_CHECKING:
    from pathlib import Path

    from flowstone.records.runs import Run

#: Seconds between polls for the end of the run.
_LOOK = 0.1


@click.command("cancel")
@click.argument("run", shell_complete=complete_live_runs)
@click.option(
    "--wait",
    "seconds",
    type=click.FloatRange(min=0),
    default=30.0,
    metavar="SECONDS",
    show_default=True,
    help="How long to wait until the run has ended; 0 does not wait.",
)
@json_option
def cancel_run(run: str, seconds: float, as_json: bool) -> None:
    """Cancel a run, and wait until it has ended.

    The run's process stops within about a second, and its unfinished runs end as Cancelled,
    including those that it has started with run_deployment. A run whose process has died ends as
    Crashed.
    """
    found = _request_cancel(run)
    found = _await_end(found, services().clock.monotonic() + seconds)
    if as_json:
        emit(describe_run(found, services().clock.time()))
    elif found.state.is_final():
        say(f"{found.name} is {found.state.name}.")
    else:
        warn(f"{found.name} is still {found.state.name}, {seconds:g} s after the cancel request.")
        warn("Its process may be in a call that can't be interrupted; `kill` ends the process.")
    if not found.state.is_final() and seconds:
        sys.exit(1)


def _request_cancel(ref: str) -> Run:
    store = services().runs
    found = store.run(ref)
    if not found.is_root:
        root = store.run(found.root_id)
        warn(f"{found.name} belongs to {root.name}, which is cancelled as a whole.")
        found = root
    return request_cancel(found, "requested on the command line")


def _await_end(run: Run, until: float) -> Run:
    store, clock = services().runs, services().clock
    while not run.state.is_final() and clock.monotonic() < until:
        clock.sleep(_LOOK)
        store.reap()
        run = store.run(run.id)
    return run


@click.command("start")
@click.argument("entrypoint", metavar="MODULE[:FLOW]")
@param_option
@params_option
@tree_option
@json_option
def start_run(
    entrypoint: str, pairs: tuple[str, ...], file: Path | None, tree: bool, as_json: bool
) -> None:
    """Run a flow in this process: `package.module:flow`, or `path/to/file.py:flow`.

    FLOW can be omitted if the module or file has only one flow.

    On a terminal, a live tree shows the tasks and flows that it calls. Exits with 0 if the run
    completed or was suspended, 1 if it failed, 3 if it crashed, and 130 if it was cancelled.
    """
    # Imported here, so that the command itself starts fast.
    from flowstone.calls.entrypoints import load_flow_from_entrypoint

    flow = load_flow_from_entrypoint(entrypoint)
    args, kwargs = flow.parameters.rebind(flow.parameters.read(read_parameters(file, pairs)))

    def call() -> Any:
        return flow(*args, **kwargs, return_state=True)

    execute(call, tree=tree, as_json=as_json)
