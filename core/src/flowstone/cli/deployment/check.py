"""`flowstone deployment check`: check whether the runs of a deployment can be executed."""

from __future__ import annotations

import sys

import click

from flowstone.cli.candidates import complete_deployments
from flowstone.cli.output import emit, json_option, say, show_traceback, warn
from flowstone.cli.wording import format_count
from flowstone.deployments.documents import load_deployment


@click.command("check")
@click.argument("name", shell_complete=complete_deployments)
@json_option
def check(name: str, as_json: bool) -> None:
    """Import the flow of a deployment as a run does, and check all parameters.

    The flow is imported in a new process, started from the current directory. The default
    parameters, and those of each schedule, are checked against the current flow. Exits with 1 if
    there is a problem.
    """
    full_name = load_deployment(name).full_name
    # Takes 40 ms, for pydantic, which only this command needs.
    from flowstone.deployments.checks import check_deployment

    report = check_deployment(full_name)
    if as_json:
        problems = [each._asdict() for each in report.problems]
        emit({"name": full_name, "ok": not problems, **report._asdict(), "problems": problems})
    elif not report.problems:
        say(f"{full_name} can be executed by {report.python} in {report.directory}.")
    for problem in () if as_json else report.problems:
        if problem.traceback:
            show_traceback(problem.traceback)
        is_said = problem.message.startswith(problem.subject)  # as errors of entrypoints do
        warn(problem.message if is_said else f"{problem.subject}: {problem.message}")
        if problem.subject == "entrypoint":
            warn(f"  python     {report.python}\n  directory  {report.directory}")
            for number, folder in enumerate(report.path):
                warn(f"  {'' if number else 'path':10} {folder}")
    if report.problems:
        if not as_json:
            warn(f"\n{full_name}: {format_count(len(report.problems), 'problem')}.")
        sys.exit(1)
