"""The command `flowstone`: its commands, each imported when it is called."""

from __future__ import annotations

import sys

import click

from flowstone.cli.commands import Commands
from flowstone.cli.output import import_option
from flowstone.cli.version import show_version

COMMANDS = {
    "apply": (
        "flowstone.cli.manifest:apply",
        "Create and update blocks, variables and limits from files.",
    ),
    "artifact": ("flowstone.cli.artifact:artifact", "List and show the artifacts of runs."),
    "block": ("flowstone.cli.block:block", "Create, show, edit, check and delete blocks."),
    "catalog": (
        "flowstone.cli.catalog:catalog",
        "List the block types, tasks and more of installed packages.",
    ),
    "completion": (
        "flowstone.cli.completion:print_completion",
        "Print a script for shell completion.",
    ),
    "deploy": (
        "flowstone.cli.deploy:deploy",
        "Deploy the deployments in flowstone.yaml to work pools.",
    ),
    "deployment": (
        "flowstone.cli.deployment:deployment",
        "Manage deployments: their runs, schedules and backfills.",
    ),
    "diff": ("flowstone.cli.manifest:diff", "Show what `apply` would change."),
    "doctor": (
        "flowstone.cli.doctor:examine",
        "Check the installation, and say how to fix problems.",
    ),
    "export": ("flowstone.cli.manifest:export", "Export blocks, variables and limits as YAML."),
    "flow": ("flowstone.cli.flow:flow", "List flows, with their deployments and last runs."),
    "limit": ("flowstone.cli.limit:limit", "Manage concurrency and rate limits."),
    "plugin": (
        "flowstone.cli.plugin:plugin",
        "List and show installed plugins.",
    ),
    "pool": (
        "flowstone.cli.pool:pool",
        "Manage work pools and their queues.",
    ),
    "prune": (
        "flowstone.cli.manifest:prune",
        "Delete blocks, variables and limits that are in no file.",
    ),
    "run": (
        "flowstone.cli.run:run",
        "Start, list, show, cancel, retry and resume runs.",
    ),
    "secret": ("flowstone.cli.secret:secret", "Check references to secrets, and rotate the key."),
    "settings": (
        "flowstone.cli.settings:show_settings",
        "Show each setting, and where its value comes from.",
    ),
    "store": (
        "flowstone.cli.store:store",
        "Measure, vacuum, back up and check the store.",
    ),
    "variable": ("flowstone.cli.variable:variable", "List, show, set and delete variables."),
    "worker": ("flowstone.cli.worker:worker", "Start and list the workers of work pools."),
}


@click.group(
    cls=Commands,
    lazy=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Run `flowstone COMMAND --help` for more on a command.",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=show_version,
    help="Show the versions, the home directory and the store, and exit.",
)
@import_option
def flowstone() -> None:
    """Run and inspect flows, and manage the blocks and limits that they use."""


def main() -> None:
    """Run the command, and exit with 0 for success, 1 for an error, or 2 for wrong usage."""
    for stream in (sys.stdout, sys.stderr):
        # A name or message may have characters that the terminal's encoding lacks.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    flowstone(prog_name="flowstone")
