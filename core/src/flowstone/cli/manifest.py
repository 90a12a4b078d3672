"""`flowstone export`, `diff`, `apply` and `prune`: blocks, variables and limits as YAML files."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowstone import manifests
from flowstone.cli.output import emit, json_option, say, show, warn
from flowstone.cli.views import Branch, Cell
from flowstone.cli.wording import format_count
from flowstone.errors import ConfigurationError, FlowstoneError
from flowstone.records.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flowstone.manifests import ManifestFile, Plan, Step

_NAMES = [section.name for section in manifests.SECTIONS]
STYLES = {"create": "green", "change": "yellow", "delete": "red", "keep": "dim"}
DONE = {"create": "created", "change": "changed", "delete": "deleted", "keep": "unchanged"}

_files: Callable[..., Any] = click.argument("files", nargs=-1, required=True, metavar="FILE...")
_only: Callable[..., Any] = click.option(
    "--only", multiple=True, type=click.Choice(_NAMES), help="Only this section; can be repeated."
)


@click.command("export")
@click.option("--output", "-o", metavar="FILE", help="Write to a file instead of printing.")
@_only
def export(output: str | None, only: tuple[str, ...]) -> None:
    """Export blocks, variables and limits as YAML, for `flowstone apply`.

    A secret is written as its reference, or as {set: true}, which leaves the saved one unchanged.
    """
    text = manifests.export_sections(manifests.find_sections(only))
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        Path(output).write_text(text, "utf-8")
    except OSError as error:
        problem = f"it can't be written ({error.strerror})"
        raise ConfigurationError(output, problem, "Name another file.") from error
    say(f"Wrote {output}.")


@click.command("diff")
@_files
@json_option
@click.pass_context
def diff(ctx: click.Context, files: tuple[str, ...], as_json: bool) -> None:
    """Show what `flowstone apply` would change.

    Exits with 0 if nothing differs, 1 if something does, and 2 on an error. FILE may be a
    directory, for all .yaml and .yml files in it, or - for standard input.
    """
    try:
        plan = manifests.make_plan(_read_sources(files))
    except FlowstoneError as error:
        warn(f"Error: {error}")
        ctx.exit(2)
    if as_json:
        emit([_describe(step, None) for step in plan.steps])
    else:
        steps = [step for step in plan.steps if step.action != "keep"]
        _show(steps, {step.action: step.action for step in steps})
        say(f"{_summarize(plan)}.")
    ctx.exit(1 if plan.differs else 0)


@click.command("apply")
@_files
@json_option
@click.pass_context
def apply(ctx: click.Context, files: tuple[str, ...], as_json: bool) -> None:
    """Create and update the entries in the files. Entries in no file are not changed.

    All entries are checked before the first one is written. Applying twice has no further effect.
    """
    _carry_out(ctx, manifests.make_plan(_read_sources(files)), as_json=as_json)


@click.command("prune")
@_files
@_only
@click.option("--yes", "-y", is_flag=True, help="Don't ask.")
@json_option
@click.pass_context
def prune(
    ctx: click.Context, files: tuple[str, ...], only: tuple[str, ...], yes: bool, as_json: bool
) -> None:
    """Delete blocks, variables and limits that are in no file, after confirmation.

    A block is kept if a remaining block refers to it.
    """
    plan = manifests.plan_deletions(_read_sources(files), manifests.find_sections(only))
    for key, users in plan.held.items():
        warn(f"Kept: {key}, which is in no file, because {', '.join(users)} refers to it.")
    if not plan.steps:
        told = "There is nothing to delete." if plan.held else "All saved entries are in the files."
        emit([]) if as_json else say(told)
        return
    if not yes:
        _show(plan.steps, {"delete": "delete"}, err=True)
        question = f"Delete {format_count(len(plan.steps), 'entry').replace('entrys', 'entries')}?"
        click.confirm(question, abort=True, err=True)
    _carry_out(ctx, plan, as_json=as_json)


def _read_sources(files: tuple[str, ...]) -> list[ManifestFile]:
    return [manifests.read(name, text, _NAMES) for name, text in _read_texts(files)]


def _read_texts(files: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for file in files:
        path = Path(file)
        if file == "-":
            yield "standard input", sys.stdin.read()
        elif path.is_dir():
            found = sorted(each for each in path.rglob("*") if each.suffix in {".yaml", ".yml"})
            if not found:
                raise ConfigurationError(file, "there is no .yaml file in it", "Name another.")
            yield from ((str(each), _read_text(each)) for each in found)
        else:
            yield file, _read_text(path)


def _read_text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        problem = f"it can't be read ({error.strerror})"
    except UnicodeDecodeError:
        problem = "it is not UTF-8 text"
    raise ConfigurationError(str(path), problem, "Name another file.")


def _carry_out(ctx: click.Context, plan: Plan, *, as_json: bool) -> None:
    done: list[tuple[Step, FlowstoneError | None]] = []
    try:
        done.extend(plan.run())
    except FlowstoneError as error:
        left = plan.steps[len(done) :]
        error.add_note(f"Not done: {', '.join(f'{each.section}.{each.key}' for each in left)}.")
        error.add_note("Earlier entries are written. Run the command again for the rest.")
        raise
    if as_json:
        emit([_describe(step, error) for step, error in done])
    else:
        _show([step for step, error in done if error is None and step.action != "keep"], DONE)
        say(f"{_summarize(plan)}.")
    failed = [error for _, error in done if error is not None]
    for problem in failed:
        warn(f"Error: {problem}")
    if failed:
        ctx.exit(1)


def _show(steps: list[Step], words: dict[str, str], *, err: bool = False) -> None:
    for step in steps:
        name = f"{step.section}.{step.key}"
        style = STYLES[step.action]
        branch = Branch((Cell(words[step.action], style), Cell(name, "bold")))
        if step.action == "change":
            branch.children = [Branch((Cell(format_change(*change)),)) for change in step.changes]
        if err:
            warn(f"{words[step.action]}  {name}")
        else:
            show(branch)


def format_change(path: str, was: object, now: object) -> str:
    if was == now:
        return f"{path} differs"
    return f"{path}: {_format_value(was)} → {_format_value(now)}"


def _format_value(value: object) -> str:
    if isinstance(value, dict) and set(value) == {"set"}:
        return "set" if value["set"] else "not set"
    return "nothing" if value is None else redact(json.dumps(value, ensure_ascii=False))


def _summarize(plan: Plan) -> str:
    counts = {
        word: sum(step.action == action for step in plan.steps) for action, word in DONE.items()
    }
    return ", ".join(f"{count} {word}" for word, count in counts.items() if count) or "0 entries"


def _describe(step: Step, error: FlowstoneError | None) -> dict[str, object]:
    changes = [{"path": path, "was": was, "now": now} for path, was, now in step.changes]
    return {
        "section": step.section,
        "key": step.key,
        "action": step.action,
        "changes": changes,
        "error": None if error is None else str(error),
    }
