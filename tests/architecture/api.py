"""The public API as text: every name of every `__all__`, and its signature."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import re
import sys
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.architecture.house import HERE, ROOT, Member, integrations, members, sources

from flowstone.calls import option_types

SNAPSHOT = HERE / "public_api.txt"
KNOWN = ROOT / "core/src/flowstone/plugins/known_packages.json"
RATCHET = HERE / "ratchet.json"


@dataclass(frozen=True, slots=True)
class Name:
    """A public name, and the module whose `__all__` has it."""

    module: str
    name: str
    value: Any


def public_modules() -> list[str]:
    """Return every module that has an `__all__`, and no leading underscore in its name."""
    found = []
    for member in members():
        for source in sources():
            if member.source in source.path.parents and declares_all(source.tree):
                parts = source.path.relative_to(member.source).with_suffix("").parts
                found.append(".".join(parts).removesuffix(".__init__"))
    return sorted(name for name in found if "._" not in name)


def declares_all(tree: ast.Module) -> bool:
    return any(
        isinstance(node, ast.Assign)
        and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets)
        for node in tree.body
    )


def names() -> list[Name]:
    return [
        Name(module, name, getattr(importlib.import_module(module), name))
        for module in public_modules()
        for name in importlib.import_module(module).__all__
    ]


def described(name: Name, known: dict[int, str]) -> list[str]:
    """Return the lines that a name has in the snapshot: itself, and a class's own members."""
    value, title = name.value, f"{name.module}.{name.name}"
    first = known.setdefault(id(value), title)
    if first != title:
        return [f"{title} = {first}"]
    if not inspect.isclass(value):
        if not callable(value):
            return [f"{title}: {type(value).__name__}"]
        return [title + signature(value), *options(value)]
    bases = ", ".join(base.__name__ for base in value.__bases__ if base is not object)
    lines = [f"class {title}({bases})" if bases else f"class {title}"]
    if issubclass(value, Enum):
        return [*lines, *(f"    {member}" for member in value.__members__)]
    return [*lines, *(f"    {line}" for line in class_members(value, known))]


def class_members(kind: type, known: dict[int, str]) -> list[str]:
    """Return a class's members, with those that it has from classes that are not public."""
    homes = [
        base
        for base in kind.__mro__
        if base is kind or (base.__module__.startswith("flowstone") and id(base) not in known)
    ]
    found: dict[str, str] = {}
    for home in homes:
        fields = set(vars(home).get("__annotations__", {}))
        for attribute in fields | set(vars(home)):
            if attribute == "__init__" or not attribute.startswith(("_", "model_")):
                found.setdefault(attribute, member(home, attribute))
    return [f"{attribute}{found[attribute]}" for attribute in sorted(found)]


def member(kind: type, name: str) -> str:
    value = vars(kind).get(name)
    if isinstance(value, classmethod | staticmethod):
        return f"{signature(value.__func__)}  # {type(value).__name__}"
    return signature(value) if inspect.isfunction(value) else ""


class _Text:
    """An annotation that is shown as it was written."""

    def __init__(self, text: Any) -> None:
        self.text = text if isinstance(text, str) else inspect.formatannotation(text)

    def __repr__(self) -> str:
        return self.text


def signature(value: Any) -> str:
    try:
        found = inspect.signature(value.fn if hasattr(value, "spec") else value)
    except (TypeError, ValueError):
        return "(...)"
    plain = [
        parameter
        if parameter.annotation is parameter.empty
        else parameter.replace(annotation=_Text(parameter.annotation))
        for parameter in found.parameters.values()
    ]
    returned = found.return_annotation
    if returned is not inspect.Signature.empty:
        returned = _Text(returned)
    text = str(found.replace(parameters=plain, return_annotation=returned))
    return re.sub(r"<(\w+) [^<>]*>", r"<\1>", text)  # a default without a literal form


def options(value: Any) -> list[str]:
    """Return the options of a function that takes them as `Unpack[...]`."""
    unpacked = re.findall(r"Unpack\[(\w+)\]", signature(value))
    tables = [_find_table(inspect.unwrap(value), name) for name in unpacked]
    return [
        f"    {option}: {_Text(hint.__forward_arg__)}"
        for table in tables
        for option, hint in sorted(table.__annotations__.items())
    ]


def _find_table(value: Any, name: str) -> Any:
    """Return the TypedDict; those of `@flow` and `@task` have a module of their own."""
    return getattr(option_types, name, None) or value.__globals__[name]


def snapshot() -> str:
    known: dict[int, str] = {}
    lines = [line for name in names() for line in described(name, known)]
    return "\n".join(lines) + "\n"


def known_packages() -> str:
    """Return what the core knows of the packages beside it, as JSON."""
    known = {}
    for member in integrations():
        if member.folder.parent.name == "integrations":
            plugin = importlib.import_module(f"{member.module}.plugin")
            tables = plugin.collection().tables()
            known[member.name] = {
                "summary": member.project["description"],
                "exports": list(importlib.import_module(member.module).__all__),
                "offers": {kind: sorted(table) for kind, table in tables.items() if table},
            }
    return json.dumps(known, indent=2) + "\n"


def weak_types() -> dict[str, dict[str, int]]:
    """Return how often each package says what weakens the type checker and the linter."""
    return {member.name: _weak(member) for member in members()}


def _weak(member: Member) -> dict[str, int]:
    own = [source for source in sources() if member.source in source.path.parents]
    names = [node for source in own for node in ast.walk(source.tree)]
    return {
        "Any": sum(isinstance(node, ast.Name) and node.id == "Any" for node in names),
        "type: ignore": sum(source.text.count("# type: ignore") for source in own),
        "noqa": sum(len(re.findall(r"# (?:ruff: )?noqa", source.text)) for source in own),
    }


def code_lines() -> int:
    """Return how many lines of all packages are neither blank nor a comment."""
    lines = (line.strip() for source in sources() for line in source.lines)
    return sum(bool(line) and not line.startswith("#") for line in lines)


def main() -> None:
    """Write the snapshot and what the core knows of packages; lower the ratchet, never raise it."""
    KNOWN.write_text(known_packages(), "utf-8")
    SNAPSHOT.write_text(snapshot(), "utf-8")
    old = json.loads(RATCHET.read_text("utf-8")) if RATCHET.exists() else {}
    new = {
        package: {
            what: min(count, old.get(package, {}).get(what, count))
            for what, count in counts.items()
        }
        for package, counts in weak_types().items()
    }
    RATCHET.write_text(json.dumps(new, indent=2) + "\n", "utf-8")
    sys.stdout.write(f"{SNAPSHOT.name}: {len(names())} names; {RATCHET.name}: {new}\n")


if __name__ == "__main__":
    main()
