"""`flowstone run`: starts, lists, shows, cancels, retries, resumes and deletes runs."""

from __future__ import annotations

import click

from flowstone.cli.commands import Commands

_HERE = "flowstone.cli.run"


@click.group(
    cls=Commands,
    lazy={
        "cancel": (f"{_HERE}.control:cancel_run", "Cancel a run, and wait until it has ended."),
        "cleanup": (
            f"{_HERE}.cleanup:cleanup_run",
            "Cancel external jobs and queries that a run left behind.",
        ),
        "delete": (
            f"{_HERE}.delete:delete_runs",
            "Delete runs that have ended, with their logs, artifacts and results.",
        ),
        "execute": (f"{_HERE}.execute:execute_run", "Execute a scheduled run in this process."),
        "graph": (f"{_HERE}.graph:show_graph", "Print or draw the graph of a run."),
        "logs": (f"{_HERE}.log:show_logs", "Show the logs of a run and of everything it called."),
        "ls": (f"{_HERE}.list:list_runs", "List runs, most recent first."),
        "resume": (f"{_HERE}.retry:resume_run", "Resume a paused or suspended run."),
        "retry": (f"{_HERE}.retry:retry_run", "Retry a run, under the same id."),
        "show": (f"{_HERE}.show:show_run", "Show a run and everything it called."),
        "start": (f"{_HERE}.control:start_run", "Run a flow in this process."),
    },
)
def run() -> None:
    """Start, list, show, cancel, retry, resume and delete runs; read logs and draw graphs.

    A RUN is an id, or a name, for the newest run with that name. The first or last eight characters
    of an id are enough.
    """
