"""`flowstone plugin new`: create a package from the template."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click

from flowstone import blocks
from flowstone.cli.output import say
from flowstone.errors import ConfigurationError
from flowstone.plugins import catalog
from flowstone_testing.cli.template import Names, copy

#: Each interface that a package can implement → the suffix of its class name.
INTERFACES = {
    "store": "Store",
    "database": "Database",
    "notifier": "Notifier",
    "job": "Job",
    "secrets": "Secrets",
    "none": "",
}
LICENCES = (
    "Apache-2.0",
    "MIT",
    "BSD-3-Clause",
    "MPL-2.0",
    "GPL-3.0-or-later",
    "LicenseRef-Proprietary",
)
#: Next steps inside the directory of a new package.
NEXT = ("uv run pytest", "uv run flowstone plugin ls", "uv build")
#: The same without uv; the first line creates an environment whose pip supports groups.
NEXT_BY_PIP = (
    "python -m venv --upgrade-deps .venv && . .venv/bin/activate",
    "pip install --group dev --editable . build",
    "pytest",
    "flowstone plugin ls",
    "python -m build",
)


@click.command("new")
@click.argument("name")
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    metavar="DIR",
    help="Parent directory of the package; the current one by default.",
)
@click.option("--interface", type=click.Choice(list(INTERFACES)), help="Interface to implement.")
@click.option("--title", help="Display name of the service.")
@click.option("--author", help="Author of the package.")
@click.option("--licence", type=click.Choice(LICENCES), help="Its licence.")
@click.option("--defaults", is_flag=True, help="Ask nothing.")
def new(name: str, into: Path, defaults: bool, **given: str | None) -> None:
    """Create a package from the template. NAME is flowstone-SERVICE.

    The package has blocks and tasks for a service and tests that pass, and is ready to publish. On
    a terminal, the command prompts for missing answers.
    """
    names = Names.of(name)
    _refuse_existing(names)
    answers = {each: answer.strip() for each, answer in given.items() if answer is not None}
    copy(names, into / name, answers, ask=not defaults and sys.stdin.isatty())
    enter = shlex.join(["cd", str(into / name)])
    say(f"The package {name} is in {into / name}. Next:\n")
    for command in (enter, *NEXT):
        say(f"  {command}")
    say("\nOr, with pip:\n")
    for command in (enter, *NEXT_BY_PIP):
        say(f"  {command}")


def _refuse_existing(names: Names) -> None:
    for each in catalog.plugins():
        if names.name == each.distribution or names.snake == each.name:
            problem = f"the installed {each.distribution} has that name"
            raise ConfigurationError(repr(names.name), problem, "Choose another.")
    if names.name in catalog.list_absent():
        problem = "Flowstone has a package of that name, which is not installed"
        raise ConfigurationError(repr(names.name), problem, f"Try `pip install {names.name}`.")
    ends = ("Credentials", *INTERFACES.values())
    ours = {f"{names.camel}{end}" for end in ends} & set(blocks.__all__)
    if ours:
        problem = f"Flowstone itself has a {min(ours)!r}"
        raise ConfigurationError(repr(names.name), problem, "Choose another.")
