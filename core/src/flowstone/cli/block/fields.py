"""The fields of a model, read from the command line, a file, or a prompt."""

from __future__ import annotations

import json
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, Union

import click
from pydantic import BaseModel, SecretBytes, SecretStr

from flowstone.blocks import Block
from flowstone.cli.value_reader import ValueReader, warn_of_typed
from flowstone.errors import BlockInvalid, suggest_names
from flowstone.secrets.fields import hides
from flowstone.secrets.reference import refers
from flowstone.secrets.values import MASKED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic.fields import FieldInfo

_TEXTS = (str, bytes, Path, SecretStr, SecretBytes)
_FORM = "write field=value, field=@env:NAME, field=@file:PATH, field=@- or field:=JSON"


class FieldReader:
    """Collects the fields of one model, such as a block type, from all sources.

    Attributes:
        fields: the values so far, by the names of the fields.
        typed: the secret fields whose values were typed on the command line.
    """

    def __init__(self, kind: type[BaseModel]) -> None:
        self._kind = kind
        self._known: Mapping[str, FieldInfo] = kind.model_fields
        self._values = ValueReader()
        self.fields: dict[str, Any] = {}
        self.typed: list[str] = []

    def read_file(self, path: str) -> None:
        """Read a JSON object of fields; ``-`` is standard input."""
        text = self._values.read_file(path, "--json-file")
        found = _parse(text, "--json-file")
        if not isinstance(found, dict):
            raise click.BadParameter(
                "it is JSON, but not an object of fields", param_hint="--json-file"
            )
        for name, value in found.items():
            self._put(name, value)

    def read_shown(self, path: str) -> dict[str, Any]:
        """Read the output of `block show --json`; ``-`` is standard input."""
        text = self._values.read_file(path, "--json-file")
        found = _parse(text, "--json-file")
        if not isinstance(found, dict) or not isinstance(found.get("fields", {}), dict):
            problem = "it is JSON, but not what `block show --json` prints"
            raise click.BadParameter(problem, param_hint="--json-file")
        return found

    def warn_of_typed(self) -> None:
        """Warn of secrets that were typed on the command line."""
        for field in self.typed:
            warn_of_typed(field)

    def read_arguments(self, arguments: Iterable[str]) -> None:
        """Read ``field=value`` arguments. Errors never contain a value, which may be a secret."""
        for number, argument in enumerate(arguments, 1):
            name, equals, text = argument.partition("=")
            if not equals or not name:
                hint = f"the {_format_ordinal(number)} of FIELD=VALUE"
                raise click.BadParameter(f"it has no field name. {_FORM}", param_hint=hint)
            if name.endswith(":"):
                name, is_literal = name[:-1], True
                value = _parse(text, name)
            else:
                value, is_literal = self._values.read(name, text)
            field = self._put(name, value)
            is_secret = is_literal and hides(field.annotation) and not self._is_block(name)
            if is_secret and not refers(value):
                self.typed.append(name)

    def ask(self) -> None:
        """Ask for missing fields that are required or secret."""
        for name, field in self._known.items():
            given = name in self.fields or field.alias in self.fields
            is_secret = hides(field.annotation) and _takes_text(field.annotation)
            if given or not (field.is_required() or is_secret):
                continue
            optional = "" if field.is_required() else " (Enter for none)"
            text = click.prompt(
                f"{name}{optional}",
                hide_input=is_secret,
                default=None if field.is_required() else "",
                show_default=False,
                err=True,
            )
            if text:
                self._put(name, text)

    def read(self, name: str, text: str) -> None:
        """Read the text that was typed for a field."""
        self._put(name, text)

    def _put(self, name: str, value: object) -> FieldInfo:
        field = self._known.get(name) or next(
            (each for each in self._known.values() if each.alias == name), None
        )
        if field is None:
            names = [each.alias or key for key, each in self._known.items()]
            problem = f"there is no such field.{suggest_names(name, names)}"
            raise BlockInvalid(self._kind.__name__, {name: problem})
        self.fields[name] = _fit(field.annotation, value)
        return field

    def _is_block(self, name: str) -> bool:
        return isinstance(self.fields[name], Block)


def _fit(hint: object, value: object) -> object:
    """Convert a text to the type of a field: a saved block, or JSON if it can't be text."""
    if not isinstance(value, str):
        return value
    kinds = [
        kind for kind in _list_choices(hint) if isinstance(kind, type) and issubclass(kind, Block)
    ]
    if kinds:
        return Block.load(value) if "/" in value else kinds[0].load(value)
    if not _takes_text(hint):
        try:
            return json.loads(value)
        except ValueError:
            return value  # a date, or the name of an enum member: pydantic parses those
    return value


def _takes_text(hint: object) -> bool:
    """Return whether the type accepts text."""
    return any(
        choice is Any or isinstance(choice, str) or _is_text(choice)
        for choice in _list_choices(hint)
    )


def _is_text(choice: object) -> bool:
    return isinstance(choice, type) and issubclass(choice, _TEXTS)


def _list_choices(hint: Any) -> list[Any]:
    """Return the alternatives of a type; empty for containers, which are read as JSON."""
    if hasattr(hint, "__metadata__"):
        return _list_choices(hint.__origin__)
    origin = getattr(hint, "__origin__", None)
    is_open = origin is None or origin in {Union, UnionType, Literal} or origin in MASKED
    if not is_open:
        return []
    parts = getattr(hint, "__args__", ()) if not isinstance(hint, type) else ()
    return [choice for part in parts for choice in _list_choices(part)] if parts else [hint]


def _parse(text: str, name: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
    # Outside the `except`: the error contains the text, which may be a secret.
    raise click.BadParameter(f"that is not JSON ({where}). {_FORM}", param_hint=name)


def _format_ordinal(number: int) -> str:
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number, 'th') }"
