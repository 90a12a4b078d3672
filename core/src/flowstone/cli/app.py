"""The command `flowstone`: its commands, each imported when it is called."""

from __future__ import annotations

import sys

import click

from flowstone.cli.commands import Commands
from flowstone.cli.version import show_version

COMMANDS = {
    "apply": ("flowstone.cli.manifest:apply", "Save blocks, variables and limits from files."),
    "artifact": ("flowstone.cli.artifact:artifact", "List and show what runs have saved to show."),
    "block": ("flowstone.cli.block:block", "Save, show, check and delete blocks."),
    "catalog": ("flowstone.cli.catalog:catalog", "Show what the installed packages offer."),
    "diff": ("flowstone.cli.manifest:diff", "Show what `apply` would change."),
    "export": ("flowstone.cli.manifest:export", "Print blocks, variables and limits as YAML."),
    "limit": ("flowstone.cli.limit:limit", "Set how many may do a thing at a time, and see who."),
    "plugin": (
        "flowstone.cli.plugin:plugin",
        "Show and check the installed plugins; make new ones.",
    ),
    "prune": ("flowstone.cli.manifest:prune", "Delete what stands in no file."),
    "run": (
        "flowstone.cli.run:run",
        "Start, show, cancel, retry and resume runs; read their logs.",
    ),
    "secret": ("flowstone.cli.secret:secret", "Try references to secrets, and change the key."),
    "variable": ("flowstone.cli.variable:variable", "List, show, set and forget variables."),
}


@click.group(
    cls=Commands,
    lazy=COMMANDS,
    epilog="`flowstone COMMAND --help` says more.",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=show_version,
    help="Show the versions, the home and the store.",
)
def flowstone() -> None:
    """Look at the runs of your flows, and keep the blocks that they use."""


def main() -> None:
    """Run the command, and exit: 0 for done, 1 for an error, 2 for a wrong command line."""
    for stream in (sys.stdout, sys.stderr):
        # A name or message may have characters that the terminal's encoding lacks.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    flowstone(prog_name="flowstone")
