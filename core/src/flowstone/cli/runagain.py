"""`flowstone run retry`: execute runs that have been executed before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from flowstone.cli.output import json_option
from flowstone.cli.runcontrol import finish, given, param_option, params_option, tree_option

if TYPE_CHECKING:
    from pathlib import Path

entrypoint_option = click.option(
    "--entrypoint", metavar="MODULE:FLOW", help="Where its flow stands now, if it has moved."
)


@click.command("retry")
@click.argument("run")
@param_option
@params_option
@entrypoint_option
@tree_option
@json_option
def retry_run(
    run: str,
    pairs: tuple[str, ...],
    file: Path | None,
    entrypoint: str | None,
    tree: bool,
    as_json: bool,
) -> None:
    """Execute a run again here, under the same id: one that failed, crashed or was cancelled.

    Tasks with kept results are not executed again: they are Cached. It has the parameters that it
    had; --param gives others. The exit code is as of `run start`.
    """
    # What a program of the user's imports is its own affair; the command itself starts fast.
    from flowstone.flow_runs import retry_flow_run  # noqa: PLC0415

    parameters = given(file, pairs)

    def execute() -> Any:
        return retry_flow_run(run, parameters, entrypoint=entrypoint)

    finish(run, execute, tree=tree, as_json=as_json)
