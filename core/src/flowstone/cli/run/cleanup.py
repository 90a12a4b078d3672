"""`flowstone run cleanup`: cancels external work that a run left behind."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from flowstone.cli.candidates import complete_runs
from flowstone.cli.output import emit, json_option, say, warn

if TYPE_CHECKING:
    from flowstone.flow_runs.cleanup import CleanupResult


@click.command("cleanup")
@click.argument("run", shell_complete=complete_runs)
@json_option
def cleanup_run(run: str, as_json: bool) -> None:
    """Cancel external jobs, queries and uploads that a finished run left behind.

    Uses the saved block that started each of them. Exits with 1 if one could not be cancelled.
    """
    # Loads the packages of the blocks that started the work, which no other command needs.
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
    else:
        _show(cleanups)
    if any(cleanup.error for cleanup in cleanups):
        sys.exit(1)


def _show(cleanups: list[CleanupResult]) -> None:
    if not cleanups:
        say("Nothing to clean up.")
    for cleanup in cleanups:
        if cleanup.error is None:
            say(f"Cancelled {cleanup.work.handle}.")
        else:
            warn(f"Could not cancel {cleanup.work.handle}: {cleanup.error}")
