"""Golden documents: saved documents of each released version of a block type, for tests."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, get_args, get_origin

from pydantic import BaseModel

from flowstone.blocks import Block
from flowstone.secrets.vault import GOLDEN_KEY as KEY

__all__ = ["KEY", "Golden", "describe_shape", "locate", "read"]

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Golden:
    """One released version of a block type.

    Attributes:
        shape: its fields, as `describe_shape` returns them.
        documents: bodies as the version saved them.
    """

    shape: Mapping[str, str]
    documents: Sequence[Mapping[str, Any]]

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {"fields": dict(self.shape), "documents": self.documents}
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")


def read(path: Path) -> Golden:
    """Return the version that a file describes."""
    content = json.loads(path.read_text("utf-8"))
    return Golden(content["fields"], content["documents"])


def locate(folder: Path, slug: str, version: int) -> Path:
    """Return the file of a version of a block type.

    Args:
        folder: the directory of the golden documents.
        slug: the slug of the type.
        version: its schema version.
    """
    return folder / f"{slug}.{version}.json"


def describe_shape(model: type[BaseModel]) -> dict[str, str]:
    """Return what saved documents depend on: each field, its type, and whether it is required.

    The result is the same for all versions of Python and pydantic.
    """
    return {
        field.alias or name: describe_hint(field.annotation)
        + ("" if field.is_required() else " = …")
        for name, field in sorted(model.model_fields.items())
    }


def describe_hint(annotation: Any) -> str:
    """Return a type hint as text: a model by its fields, a block by its slug."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if annotation is None or annotation is type(None):
        return "None"
    if isinstance(annotation, str):
        return annotation
    if hasattr(annotation, "__metadata__"):
        return describe_hint(annotation.__origin__)
    if str(origin) in {"typing.Union", "<class 'types.UnionType'>", "<class 'typing.Union'>"}:
        return " | ".join(sorted(describe_hint(part) for part in parts))
    if str(origin) == "typing.Literal":
        return " | ".join(sorted(repr(part) for part in parts))
    if origin is not None:
        name = getattr(origin, "__name__", str(origin))
        return f"{name}[{', '.join(describe_hint(part) for part in parts)}]"
    return _name(annotation)


def _name(annotation: object) -> str:
    if annotation is ...:
        return "…"
    if isinstance(annotation, type):
        if issubclass(annotation, Block):
            return f"block {annotation.block_type_slug()}"
        if issubclass(annotation, BaseModel):
            fields = ", ".join(
                f"{name}: {what}" for name, what in describe_shape(annotation).items()
            )
            return f"{annotation.__name__}({fields})"
        if issubclass(annotation, Enum):
            return " | ".join(sorted(repr(member.value) for member in annotation))
    return getattr(annotation, "__name__", str(annotation).rpartition(".")[2])
