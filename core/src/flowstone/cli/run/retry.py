"""`flowstone run retry` and `flowstone run resume`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flowstone.cli.candidates import complete_runs
from flowstone.cli.output import emit, json_option, say, warn
from flowstone.cli.run.execution import (
    execute,
    param_option,
    params_option,
    read_parameters,
    tree_option,
)
from flowstone.cli.run.records import describe_run
from flowstone.context.current import services

if TYPE_CHECKING:
    from flowstone.flow_runs.requests import Question
    from flowstone.records.runs import Run

entrypoint_option = click.option(
    "--entrypoint",
    metavar="MODULE:FLOW",
    help="The new location of the flow, if its code has moved.",
)


@click.command("retry")
@click.argument("run", shell_complete=complete_runs)
@param_option
@params_option
@entrypoint_option
@tree_option
@json_option
def retry_run(
    run: str,
    pairs: tuple[str, ...],
    file: Path | None,
    entrypoint: str | None,
    tree: bool,
    as_json: bool,
) -> None:
    """Retry a run that failed, crashed or was cancelled, in this process and under the same id.

    Tasks with persisted results are not executed again: they are Cached. The parameters are those
    of the first attempt, unless --param changes them. The exit codes are those of `run start`.
    """
    # Imported here, so that the command itself starts fast.
    from flowstone.flow_runs.pinned_code import enter_code, enter_environment
    from flowstone.flow_runs.restarts import retry_flow_run

    parameters = read_parameters(file, pairs)
    found = services().runs.run(run)

    if entrypoint is None and found.recipe is not None:
        enter_environment(found.recipe)
        enter_code(found.recipe)

    def retry() -> object:
        return retry_flow_run(found.id, parameters, entrypoint=entrypoint)

    execute(retry, found, tree=tree, as_json=as_json)


@click.command("resume")
@click.argument("run", shell_complete=complete_runs)
@click.option(
    "--input",
    "-i",
    "inputs",
    multiple=True,
    metavar="NAME=VALUE",
    help="A field of the input, in the syntax of `block create`. Can be repeated.",
)
@click.option(
    "--input-file", metavar="FILE", help="Read the input from a JSON file; - is standard input."
)
@param_option
@params_option
@entrypoint_option
@tree_option
@json_option
def resume_run(
    run: str,
    inputs: tuple[str, ...],
    input_file: str | None,
    pairs: tuple[str, ...],
    file: Path | None,
    entrypoint: str | None,
    tree: bool,
    as_json: bool,
) -> None:
    """Resume a paused or suspended run.

    A paused run continues in its own process. A suspended run is executed again in this process,
    as with `run retry`, with the same options. On a terminal, the command asks for missing input.
    """
    # Imported here, so that the command itself starts fast.
    from flowstone.flow_runs.pinned_code import enter_code, enter_environment
    from flowstone.flow_runs.restarts import find_waiting_run, resume_flow_run

    found, question = find_waiting_run(run)
    answer = _read_input(found, question, inputs, input_file)
    parameters = read_parameters(file, pairs)

    def resume() -> object:
        return resume_flow_run(found.id, answer, parameters=parameters, entrypoint=entrypoint)

    if found.is_root and found.lease is None:
        if entrypoint is None and found.recipe is not None:
            enter_environment(found.recipe)
            enter_code(found.recipe)
        execute(resume, found, tree=tree, as_json=as_json)
    resume()
    if as_json:
        emit(describe_run(services().runs.run(found.id), services().clock.time()))
    else:
        say(f"{found.name} is resumed.")


def _read_input(
    run: Run, question: Question | None, inputs: tuple[str, ...], file: str | None
) -> dict[str, object] | None:
    if question is None or question.schema is None:
        if inputs or file:
            raise click.UsageError(f"{run.name} asks for no input.")
        return None
    # Takes 40 ms, for pydantic, which only a run that asks for input needs.
    from flowstone.cli.block.fields import FieldReader
    from flowstone.errors import BlockInvalid, InputInvalid
    from flowstone.flow_runs.schemas import make_form
    from flowstone.records.redaction import register

    reader = FieldReader(make_form(question.schema))
    try:
        if file is not None:
            reader.read_file(file)
        reader.read_arguments(inputs)
    except BlockInvalid as error:
        raise InputInvalid(run.name, error.problems) from None
    if not inputs and file is None and sys.stdin.isatty():
        _ask(question, reader)
    for field in question.fields:
        value = reader.fields.get(field.name)
        if field.is_secret and isinstance(value, str):
            register(value)
    reader.warn_of_typed()
    return reader.fields


def _ask(question: Question, reader: Any) -> None:
    """Prompt for each field until its value is valid."""
    from flowstone.flow_runs.schemas import find_misfits  # see above

    assert question.schema is not None
    if question.description:
        warn(question.description)
    for field in question.fields:
        only = {**question.schema, "properties": {field.name: _find_property(question, field.name)}}
        told = f", {field.description}" if field.description else ""
        optional = "" if field.is_required else _describe_default(field)
        while True:
            text = click.prompt(
                f"{field.name} ({field.kind}{told}{optional})",
                hide_input=field.is_secret,
                default=None if field.is_required else "",
                show_default=False,
                err=True,
            )
            if not text and not field.is_required:
                break
            reader.read(field.name, text)
            wrong = find_misfits({**only, "required": []}, {field.name: reader.fields[field.name]})
            if not wrong:
                break
            del reader.fields[field.name]
            warn("; ".join(wrong.values()))


def _find_property(question: Question, name: str) -> object:
    assert question.schema is not None
    return question.schema["properties"][name]


def _describe_default(field: Any) -> str:
    if field.is_secret:
        return "; Enter for the default"
    return "; Enter for none" if field.default is None else f"; Enter for {field.default!r}"
