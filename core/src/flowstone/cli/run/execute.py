"""`flowstone run execute`: execute a scheduled run in this process."""

from __future__ import annotations

import click

from flowstone.cli.candidates import complete_live_runs
from flowstone.cli.output import json_option
from flowstone.cli.run.execution import execute, tree_option
from flowstone.context.current import services


@click.command("execute")
@click.argument("run", shell_complete=complete_live_runs)
@click.option(
    "--stay", is_flag=True, help="Stay in the current directory, whatever the run's code says."
)
@tree_option
@json_option
def execute_run(run: str, stay: bool, tree: bool, as_json: bool) -> None:
    """Execute a scheduled run of a deployment in this process, whether it is due or not.

    This is what `serve` and workers do for each run. A run whose code came from a repository, a
    store or another directory starts in its own copy of that. Exit codes are those of `run start`.
    """
    # What a program of the user's imports is its own affair; the command itself starts fast.
    from flowstone.flow_runs.executions import execute_scheduled_run, prepare_process

    found = services().runs.run(run)

    prepare_process(found.id, stays=stay)
    execute(lambda: execute_scheduled_run(found.id), found, tree=tree, as_json=as_json)
