"""`flowstone deployment`: manages deployments, which run on schedules and on request."""

from __future__ import annotations

import click

from flowstone.cli.commands import Commands

_HERE = "flowstone.cli.deployment"


@click.group(
    cls=Commands,
    lazy={
        "backfill": (
            f"{_HERE}.backfill:backfill",
            "Create the runs of schedules for a past window.",
        ),
        "check": (
            f"{_HERE}.check:check",
            "Check that the flow of a deployment can be imported, and its parameters.",
        ),
        "delete": (f"{_HERE}.control:delete", "Delete a deployment, and cancel its waiting runs."),
        "ls": (f"{_HERE}.list:list_deployments", "List deployments."),
        "pause": (f"{_HERE}.control:pause", "Pause the schedules of a deployment."),
        "resume": (f"{_HERE}.control:resume", "Resume the schedules of a deployment."),
        "run": (f"{_HERE}.control:run_now", "Start a run of a deployment."),
        "schedule": (
            f"{_HERE}.schedule:schedule_group",
            "List, create, pause, resume and delete schedules.",
        ),
        "show": (f"{_HERE}.list:show_deployment", "Show a deployment."),
    },
)
def deployment() -> None:
    """List, show, run, check, backfill, pause, resume and delete deployments.

    A deployment is a flow with its schedules, parameters and tags. A program that calls
    `flow.serve` creates one, and executes its runs. `flow.deploy` and `flowstone deploy` create one
    for a work pool, whose workers execute its runs. NAME is FLOW/NAME, or only the second part if
    it is unique.
    """
