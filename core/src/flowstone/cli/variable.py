"""`flowstone variable`: manages variables, small values that flows read by name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from flowstone.blocks.variable import KIND, Variable
from flowstone.cli.candidates import complete_variables
from flowstone.cli.commands import Commands, make_hidden_alias
from flowstone.cli.output import emit, is_terminal, json_option, say, show
from flowstone.cli.views import Cell, Facts, Row, Table
from flowstone.cli.wording import format_ago, format_iso, format_time
from flowstone.context.current import services
from flowstone.errors import ObjectAlreadyExists, ObjectNotFound

if TYPE_CHECKING:
    from flowstone.records.documents import Document

#: Maximum characters of a value in a list on a terminal.
_LONGEST = 60


@click.group(cls=Commands)
def variable() -> None:
    """List, show, set and delete variables.

    A variable is a JSON value, for settings that change independently of the code and are not
    secret. Flows read it with `Variable.get(NAME)`.
    """


@variable.command("ls")
@click.option(
    "--tag",
    "tags",
    multiple=True,
    metavar="TAG",
    help="Only variables with this tag; can be repeated.",
)
@json_option
def list_variables(tags: tuple[str, ...], as_json: bool) -> None:
    """List variables."""
    saved = services().documents.find(KIND)
    found = [each for each in saved if set(tags) <= set(each.body["tags"])]
    if as_json:
        emit([_describe(each) for each in found])
        return
    now = services().clock.time()
    rows = [
        Row(
            (
                Cell(each.name, "bold"),
                Cell(_shorten(json.dumps(each.body["value"], ensure_ascii=False))),
                Cell(", ".join(each.body["tags"])),
                Cell(format_ago(each.updated, now) if is_terminal() else format_time(each.updated)),
            )
        )
        for each in found
    ]
    empty = "No variable matches." if tags else "There are no variables yet."
    show(Table(("name", "value", "tags", "updated"), rows, empty=empty))


@variable.command("show")
@click.argument("name", shell_complete=complete_variables)
@json_option
def show_variable(name: str, as_json: bool) -> None:
    """Show a variable: its value, its tags, and when it was set."""
    found = _load(name)
    if as_json:
        emit(_describe(found))
        return
    facts = [
        ("variable", Cell(name, "bold")),
        ("value", Cell(json.dumps(found.body["value"], ensure_ascii=False))),
        ("tags", Cell(", ".join(found.body["tags"]))),
        ("set", Cell(f"{format_time(found.updated)}, version {found.version}")),
    ]
    show(Facts([fact for fact in facts if fact[1].text]))


@variable.command("get")
@click.argument("name", shell_complete=complete_variables)
@json_option
def get_variable(name: str, as_json: bool) -> None:
    """Print only the value of a variable: a string as text, other values as JSON."""
    found = _load(name)
    value = found.body["value"]
    if as_json:
        emit(_describe(found))
    else:
        say(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


@variable.command("set", short_help="Set a variable.")
@click.argument("name", shell_complete=complete_variables)
@click.argument("value")
@click.option("--json-value", is_flag=True, help="Read VALUE as JSON: a number, a list, true.")
@click.option(
    "--tag", "tags", multiple=True, metavar="TAG", help="A tag to find it by; can be repeated."
)
@click.option("--overwrite", is_flag=True, help="Replace an existing variable.")
@json_option
def set_variable(
    name: str, value: str, json_value: bool, tags: tuple[str, ...], overwrite: bool, as_json: bool
) -> None:
    """Set a variable to VALUE, a string unless --json-value is used."""
    try:
        Variable.set(name, _parse(value) if json_value else value, tags, overwrite=overwrite)
    except ObjectAlreadyExists:
        remedy = "Use --overwrite to replace it."
        raise ObjectAlreadyExists(KIND, name, remedy) from None
    if as_json:
        emit(_describe(services().documents.get(KIND, name)))
    else:
        say(f"The variable {name!r} is set.")


@click.command("delete")
@click.argument("name", shell_complete=complete_variables)
@json_option
def delete_variable(name: str, as_json: bool) -> None:
    """Delete a variable."""
    if not Variable.unset(name):
        names = [each.name for each in services().documents.find(KIND)]
        raise ObjectNotFound(KIND, name, names)
    if as_json:
        emit({"name": name, "deleted": True})
    else:
        say(f"The variable {name!r} is deleted.")


variable.add_command(delete_variable)
variable.add_command(make_hidden_alias(delete_variable, "unset"))  # its former name


def _load(name: str) -> Document:
    Variable.load(name)  # checks the name, and suggests similar ones
    return services().documents.get(KIND, name)


def _parse(value: str) -> object:
    try:
        return json.loads(value)
    except ValueError as error:
        problem = f"{value!r} is not JSON: {error}. A string in JSON needs double quotes."
        raise click.BadParameter(problem, param_hint="VALUE") from None


def _describe(document: Document) -> dict[str, object]:
    return {
        "name": document.name,
        "value": document.body["value"],
        "tags": document.body["tags"],
        "version": document.version,
        "created": format_iso(document.created),
        "updated": format_iso(document.updated),
    }


def _shorten(text: str) -> str:
    return text if len(text) <= _LONGEST or not is_terminal() else f"{text[:_LONGEST]}…"
