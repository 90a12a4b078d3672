"""`flowstone deploy`: deploys the deployments that a file declares."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flowstone.cli.manifest import DONE, STYLES, format_change
from flowstone.cli.output import emit, json_option, say, show
from flowstone.cli.views import Branch, Cell
from flowstone.cli.wording import format_count
from flowstone.deployments.files import FILE, carry_out, plan_deployments, read_deployments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flowstone.deployments.files import DeployStep
    from flowstone.records.deployments import Deployment


@click.command("deploy")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--file",
    "-f",
    default=FILE,
    show_default=True,
    metavar="FILE",
    help="The file that declares them.",
)
@click.option("--all", "every", is_flag=True, help="Deploy all deployments in the file.")
@click.option("--plan", is_flag=True, help="Show what would change, without changing it.")
@click.option("--prune", is_flag=True, help="Delete deployments that the file no longer declares.")
@json_option
def deploy(
    names: tuple[str, ...], file: str, every: bool, plan: bool, prune: bool, as_json: bool
) -> None:
    """Deploy the deployments that a file declares to work pools.

    NAME is FLOW/NAME, or only the second part. The flows are read as text, so their imports don't
    have to be installed here. Changes by an operator are kept: pauses and added schedules.
    """
    path = Path(file)
    declared = read_deployments(path)
    steps = plan_deployments(declared, _choose_names(declared, names, every), path, prune=prune)
    if not plan:
        for step in steps:
            carry_out(step)
    if as_json:
        emit([_describe(step) for step in steps])
        return
    for step in steps:
        _show(step, step.action if plan else DONE[step.action])
    counts = Counter[str](step.action for step in steps)
    words = {action: f"to {action}" if plan else done for action, done in DONE.items()}
    told = ", ".join(f"{counts[action]} {words[action]}" for action in DONE if counts[action])
    say(f"{told or '0 deployments'}.")


def _choose_names(
    declared: Sequence[Deployment], names: tuple[str, ...], every: bool
) -> tuple[str, ...]:
    if every and names:
        raise click.UsageError("Use either --all or names.")
    known = tuple(each.full_name for each in declared)
    if names or every or len(known) == 1:
        return names or known
    count = format_count(len(known), "deployment")
    raise click.UsageError(
        f"The file declares {count}: {', '.join(known)}. Name some, or use --all."
    )


def _show(step: DeployStep, word: str) -> None:
    branch = Branch((Cell(word, STYLES[step.action]), Cell(step.made.full_name, "bold")))
    branch.children = [
        Branch((Cell(format_change(key, was, now)),)) for key, (was, now) in step.changes.items()
    ]
    show(branch)


def _describe(step: DeployStep) -> dict[str, object]:
    return {
        "name": step.made.full_name,
        "action": step.action,
        "changes": [
            {"path": key, "was": was, "now": now} for key, (was, now) in step.changes.items()
        ],
    }
