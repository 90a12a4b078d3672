"""Samples: blocks of an unknown type, created from its field definitions."""

# ruff: noqa: SLF001 - a block type describes itself by such names

from __future__ import annotations

import ast
import types
import typing
from base64 import b64encode
from contextlib import suppress
from enum import Enum
from importlib import import_module
from inspect import isabstract
from pathlib import Path
from secrets import token_bytes, token_hex
from typing import TYPE_CHECKING, Any, get_args, get_origin

from pydantic import BaseModel, SecretBytes, SecretStr

from flowstone.blocks import Block, LocalDirectory, SqliteDatabase
from flowstone.blocks.object_stores import EncryptionKey
from flowstone.errors import BlockInvalid
from flowstone.plugins import get_host
from flowstone.secrets.fields import hides

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Maximum depth of nested blocks; a type may contain itself.
DEEPEST = 4
#: Markers of pydantic by which a field of a customer's own key is recognized.
_OF_KEYS = get_args(EncryptionKey)[1:]


class NoSample(Exception):
    """No sample value exists for a field, or no sample block for a type."""


def make_samples(kind: type[Block]) -> list[Block]:
    """Return blocks of a type: one with few fields, and ones with every secret field set.

    Raises:
        NoSample: none can be created; it contains the reasons.
    """
    made: list[Block] = []
    reasons: list[str] = []
    ways: list[Callable[[], Block]] = [
        lambda: kind(**_make_fields(kind, secrets=False)),
        lambda: kind(**_make_fields(kind, secrets=True)),
    ]
    for way in ways:
        try:
            made.append(way())
        except (NoSample, BlockInvalid, ValueError, TypeError) as error:
            reasons.append(str(error))
    if len(made) == 1 and reasons:  # some secrets exclude each other
        made += _make_with_each_secret(kind)
    made += _run_example(kind) if not made else []
    if not made:
        why = "; ".join(dict.fromkeys(reasons))
        raise NoSample(f"no sample of {kind.__name__} can be created: {why}")
    return made


def _make_with_each_secret(kind: type[Block]) -> Iterator[Block]:
    """Yield a block for each optional secret field that can be set without the others."""
    for name, field in kind.model_fields.items():
        if hides(field.annotation) and not field.is_required():
            with suppress(NoSample, BlockInvalid, ValueError, TypeError):
                value = _make_fitting(name, field, secrets=True, depth=0)
                fields = _make_fields(kind, secrets=False) | {field.alias or name: value}
                yield kind(**fields)


def _make_fields(kind: type[BaseModel], *, secrets: bool, depth: int = 0) -> dict[str, object]:
    found: dict[str, Any] = {}
    for name, field in kind.model_fields.items():
        if field.is_required() or (secrets and hides(field.annotation)):
            found[field.alias or name] = _make_fitting(name, field, secrets=secrets, depth=depth)
    return found


def _make_fitting(name: str, field: Any, *, secrets: bool, depth: int) -> Any:
    """Return the first of a field's examples, or a value within its bounds."""
    if field.examples:
        return field.examples[0]
    if all(mark in field.metadata for mark in _OF_KEYS):
        return b64encode(token_bytes(32)).decode()
    value = _make_value(name, field.annotation, secrets=secrets, depth=depth)
    for rule in field.metadata:
        for bound, step in (("ge", 0), ("gt", 1), ("le", 0), ("lt", -1)):
            limit = getattr(rule, bound, None)
            if isinstance(value, int | float) and isinstance(limit, int | float):
                low = bound.startswith("g")
                beyond = value < limit + step if low else value > limit + step
                value = type(value)(limit + step) if beyond else value
        shortest = getattr(rule, "min_length", None)
        if isinstance(value, str) and isinstance(shortest, int):
            value = value.ljust(shortest, "x")
    return value


def _make_value(name: str, hint: object, *, secrets: bool, depth: int) -> object:
    if hint in _PLAIN:
        return _PLAIN[hint]()
    origin, parts = get_origin(hint), get_args(hint)
    if origin is typing.Literal:
        return parts[0]
    if origin in {typing.Union, types.UnionType, typing.Annotated}:
        return _make_first(name, hint, parts, secrets=secrets, depth=depth)
    if origin in {list, tuple, set, frozenset, dict}:
        return _make_several(name, origin, parts, secrets=secrets, depth=depth)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return next(iter(hint))
    if isinstance(hint, type) and issubclass(hint, BaseModel) and depth < DEEPEST:
        if hint is Block:
            return get_host().load("block", "secret")(value=_make_secret())
        if isabstract(hint):
            hint = _find_reference(hint)
        return hint(**_make_fields(hint, secrets=secrets, depth=depth + 1))
    if "SecretDict" in str(hint):
        return {"key": _make_secret()}
    if "Url" in str(hint) or "Dsn" in str(hint):
        return "https://example.org"
    raise NoSample(f"there is no value for {name!r}, a {hint}")


def _find_reference(kind: type[BaseModel]) -> type[BaseModel]:
    """Return a block type that can be instantiated, of an interface or a base class.

    Raises:
        NoSample: none is in core or loaded.
    """
    references: tuple[type[BaseModel], ...] = (SqliteDatabase, LocalDirectory)
    found = [each for each in references if issubclass(each, kind)]
    below = list(kind.__subclasses__())
    while below and not found:
        each = below.pop(0)
        found += [] if isabstract(each) else [each]
        below += each.__subclasses__()
    if not found:
        raise NoSample(f"no {kind.__name__} can be created")
    return found[0]


def _make_first(
    name: str, hint: object, parts: tuple[object, ...], *, secrets: bool, depth: int
) -> object:
    """Return a value of the first part that has one; secret parts are tried first."""
    for part in sorted(parts, key=lambda part: not hides(part)):
        try:
            return _make_value(name, part, secrets=secrets, depth=depth)
        except (NoSample, BlockInvalid, ValueError):
            continue
    raise NoSample(f"there is no value for {name!r}, a {hint}")


def _make_several(
    name: str, kind: Any, parts: tuple[Any, ...], *, secrets: bool, depth: int
) -> Any:
    inner = [part for part in parts if part is not ...]
    if kind is dict:
        wanted = len(inner) == 2 and hides(inner[1])
        return {"key": _make_value(name, inner[1], secrets=secrets, depth=depth)} if wanted else {}
    if kind is tuple and ... not in parts:
        return tuple(_make_value(name, part, secrets=secrets, depth=depth) for part in inner)
    return kind([_make_value(name, part, secrets=secrets, depth=depth) for part in inner])


def _run_example(kind: type[Block]) -> Iterator[Block]:
    """Yield the block of a type's own example, if that creates one by itself."""
    try:
        tree = ast.parse(kind._code_example or "")
        names = dict(vars(import_module(kind.__module__)))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == kind.__name__:
                code = compile(ast.Expression(node), "the example", "eval")
                yield eval(code, names)  # noqa: S307 - the package's own
                return
    except Exception:  # noqa: BLE001 - foreign code; the caller reports that there is none
        return


def _make_secret() -> str:
    return f"sample-{token_hex(12)}"


_PLAIN: dict[Any, Callable[[], Any]] = {
    str: lambda: "sample",
    bytes: lambda: b"sample",
    bool: lambda: True,
    int: lambda: 1,
    float: lambda: 1.0,
    Path: lambda: Path("sample"),
    Any: lambda: "sample",
    object: lambda: "sample",
    type(None): lambda: None,
    SecretStr: lambda: SecretStr(_make_secret()),
    SecretBytes: lambda: SecretBytes(_make_secret().encode()),
}
