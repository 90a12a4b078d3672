"""`flowstone run execute`: executes a scheduled run in this process."""

from __future__ import annotations

import click

from flowstone.cli.candidates import complete_live_runs
from flowstone.cli.output import json_option
from flowstone.cli.run.execution import execute, tree_option
from flowstone.context.current import services


@click.command("execute")
@click.argument("run", shell_complete=complete_live_runs)
@click.option(
    "--stay", is_flag=True, help="Stay in the current directory, wherever the run's code is."
)
@tree_option
@json_option
def execute_run(run: str, stay: bool, tree: bool, as_json: bool) -> None:
    """Execute a scheduled run of a deployment in this process, even if it is not due yet.

    `serve` and workers use this command for each run. If the code came from a repository, a store
    or another directory, the run starts in its own copy. The exit codes are those of `run start`.
    """
    # Imported here, so that the command itself starts fast.
    from flowstone.flow_runs.executions import execute_scheduled_run, prepare_process

    found = services().runs.run(run)

    prepare_process(found.id, stays=stay)
    execute(lambda: execute_scheduled_run(found.id), found, tree=tree, as_json=as_json)
