"""Sheets: descriptions of the objects that packages offer, as data."""

# ruff: noqa: SLF001 - block types have their descriptions in such attributes

from __future__ import annotations

import inspect
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from flowstone.blocks import Block
from flowstone.calls.task import Task
from flowstone.cli.hints import format_hint
from flowstone.plugins import catalog, docstrings
from flowstone.secrets.fields import hides
from flowstone.secrets.values import SecretDict

if TYPE_CHECKING:
    from flowstone.plugins.catalog import Offer


@dataclass(frozen=True, slots=True)
class Input:
    """A field of a block, or a parameter of a task.

    Attributes:
        type: its type hint, without the modules of its names.
        default: the default as code; None if it is required.
    """

    name: str
    type: str
    default: str | None
    secret: bool = False
    description: str = ""


@dataclass(frozen=True, slots=True)
class Sheet:
    """The description of an object that a package offers.

    Attributes:
        target: its location, as ``module:attribute``.
        install: the command that installs it.
        summary: its purpose, in a line or two.
        notes: the rest of its docstring, without the parameters.
        inputs: fields or parameters, in order.
        example: code that uses it; empty if there is none.
    """

    kind: str
    name: str
    package: str
    version: str
    target: str
    install: str
    summary: str = ""
    notes: str = ""
    inputs: list[Input] = field(default_factory=list)
    returns: str = ""
    example: str = ""


def make_sheet(offer: Offer) -> Sheet:
    """Import an object that a package offers, and return its description.

    Raises:
        PluginBroken: it, or its plugin, can't be loaded.
        MissingExtra: it needs an optional dependency that is not installed.
    """
    what = catalog.load(offer.kind, offer.name)
    known = (offer.kind, offer.name, offer.plugin.distribution, offer.plugin.version)
    plain = Sheet(*known, offer.target, format_install(offer))
    if isinstance(what, type) and issubclass(what, Block):
        return _describe_block(plain, what)
    return _describe_callable(plain, what.fn if isinstance(what, Task) else what)


def format_install(offer: Offer) -> str:
    """Return the command that installs the package of an offer."""
    wanted = offer.plugin.collection.extras.get(offer.name, offer.plugin.distribution)
    return f"pip install {wanted!r}" if "[" in wanted else f"pip install {wanted}"


def _describe_block(plain: Sheet, kind: type[Block]) -> Sheet:
    told = docstrings.parse(kind.__dict__.get("__doc__"))
    inputs = [
        Input(
            name,
            format_hint(found.annotation),
            None
            if found.is_required()
            else _format_default(found.get_default(), found.default_factory),
            hides(found.annotation),
            found.description or "",
        )
        for name, found in kind.model_fields.items()
    ]
    example = inspect.cleandoc(kind._code_example or "")
    what = kind._description or told.summary
    return replace(plain, summary=what, notes=told.notes, inputs=inputs, example=example)


def _describe_callable(plain: Sheet, what: Any) -> Sheet:
    told = docstrings.parse(inspect.getdoc(what))
    known = replace(plain, summary=told.summary, notes=told.notes, example=told.example)
    try:
        signature = inspect.signature(what)
    except (TypeError, ValueError):
        return known
    inputs = [
        Input(
            f"{_STARS.get(each.kind, '')}{name}",
            format_hint(each.annotation) if each.annotation is not each.empty else "",
            _find_default(each),
            hides(each.annotation),
            told.arguments.get(name, ""),
        )
        for name, each in signature.parameters.items()
    ]
    returns = signature.return_annotation
    # Calling a class returns an instance, whatever its signature says.
    given = "" if returns is signature.empty or isinstance(what, type) else format_hint(returns)
    return replace(known, inputs=inputs, returns=given)


_STARS: dict[object, str] = {
    inspect.Parameter.VAR_POSITIONAL: "*",
    inspect.Parameter.VAR_KEYWORD: "**",
}


def _find_default(parameter: inspect.Parameter) -> str | None:
    if parameter.kind in _STARS:
        return ""
    return (
        None if parameter.default is parameter.empty else _format_default(parameter.default, None)
    )


def _format_default(value: object, factory: object) -> str:
    if callable(factory):
        name = getattr(factory, "__name__", "")
        if name.isidentifier():
            return f"{name}()"
        value = factory()
        return repr(value.get_secret_value() if isinstance(value, SecretDict) else value)
    return f"{type(value).__name__}(…)" if isinstance(value, Block) else repr(value)
