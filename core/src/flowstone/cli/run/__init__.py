"""`flowstone run`: list runs, show one, read its log; start, cancel, retry and resume them."""

from __future__ import annotations

import click

from flowstone.cli.commands import Commands

_HERE = "flowstone.cli.run"


@click.group(
    cls=Commands,
    lazy={
        "cancel": (f"{_HERE}.control:cancel_run", "Ask a run to end, and wait until it has."),
        "graph": (f"{_HERE}.graph:show_graph", "Print the graph of a run, or draw it."),
        "logs": (f"{_HERE}.log:show_logs", "Show what a run, and all that it called, has logged."),
        "ls": (f"{_HERE}.list:list_runs", "List the runs, the newest first."),
        "resume": (f"{_HERE}.retry:resume_run", "Let a run go on that waits."),
        "retry": (f"{_HERE}.retry:retry_run", "Execute a run again, under the same id."),
        "show": (f"{_HERE}.show:show_run", "Show a run, and all that it called."),
        "start": (f"{_HERE}.control:start_run", "Run a flow here: MODULE:FLOW, or FILE.py:FLOW."),
    },
)
def run() -> None:
    """List runs, show one, read its log, draw its graph; start, cancel, retry and resume them.

    A RUN is named by its id, by eight or more characters of the beginning or end of its id, or by
    its name; of several runs of one name it is the newest.
    """
