"""`flowstone run cleanup`: end the work elsewhere that a run has left behind."""

from __future__ import annotations

import sys

import click

from flowstone.cli.output import emit, json_option, say, warn


@click.command("cleanup")
@click.argument("run")
@json_option
def cleanup_run(run: str, as_json: bool) -> None:
    """Cancel jobs and queries that an ended run began elsewhere and did not see end.

    Each is reached by the saved block that began it. The exit code is 1 where one may still run.
    """
    # The packages of the blocks that began the work are loaded: here, and in no other command.
    from flowstone.flow_runs.cleanup import cleanup_flow_run

    cleanups = cleanup_flow_run(run)
    if as_json:
        emit(
            [
                {
                    "kind": cleanup.work.handle.kind,
                    "block": cleanup.work.handle.block,
                    "id": cleanup.work.handle.id,
                    "run_id": cleanup.work.run_id,
                    "ended": cleanup.error is None,
                    "error": None if cleanup.error is None else str(cleanup.error),
                }
                for cleanup in cleanups
            ]
        )
    elif not cleanups:
        say("Nothing was left behind.")
    for cleanup in [] if as_json else cleanups:
        if cleanup.error is None:
            say(f"{cleanup.work.handle} has ended.")
        else:
            warn(f"{cleanup.work.handle} may still run: {cleanup.error}")
    if any(cleanup.error for cleanup in cleanups):
        sys.exit(1)
