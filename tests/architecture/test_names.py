"""Functions are verbs, and a name means one thing: what participles and twins of names show."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING

import pytest

from .house import Function, Source, members, sources

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Participles that do not end in -ed.
IRREGULAR = re.compile(
    r"""
    begun|bent|born|borne|bought|bound|broken|brought|built|burnt|caught|chosen|done|drawn|driven|
    eaten|fallen|felt|forgotten|found|frozen|given|gone|grown|had|heard|held|hidden|kept|known|laid|
    led|left|lent|lost|made|meant|met|paid|said|seen|sent|shown|sold|sought|spent|spoken|stolen|
    stood|sunk|swept|sworn|taken|taught|thought|thrown|told|torn|understood|withdrawn|won|worn|
    woven|wound|written
    """,
    re.VERBOSE,
)
#: Participles that do.
REGULAR = re.compile(r"[a-z]{2,}(ed|ing)")
#: Verbs and nouns that end like one.
VERBS = {
    "bring", "embed", "exceed", "feed", "heed", "need", "ping", "proceed", "reseed", "ring", "seed",
    "sling", "speed", "spring", "string",
}  # fmt: skip
#: Adjectives, of which a name consists; before a noun they are a part of it, as in `local_path`.
ADJECTIVE = re.compile(
    r"""
    absent|alive|alone|bad|bare|busy|careless|dead|exact|finite|flat|fresh|full|good|heavy|honest|
    hungry|inner|large|late|lone|long|lower|lowest|newest|odd|oldest|outer|patient|plain|private|
    public|quiet|ready|safe|short|small|surplus|unique|valid|whole|wrong|
    (?!disable|enable|table|variable)[a-z]+[ai]ble
    """,
    re.VERBOSE,
)

#: Names by which all know what is like theirs, and whose they are.
BORROWED = {
    "done": "concurrent.futures.Future",
    "modified": "fsspec.AbstractFileSystem",
    "presigned_url": "the SDKs of all object stores",
    "readable": "io.IOBase",
    "seekable": "io.IOBase",
    "writable": "io.IOBase",
}
#: Names that stay, and why.
STAY = {
    "flowstone.blocks.jobs.job:Job.triggered_in": "public and documented: a question of users'",
    "flowstone.observers.audience:observing": "public and documented: `with observing(…):`",
    "flowstone_testing.desks:Desk.received": "public and documented: packages write desks",
    "flowstone_testing.desks:Script.received": "a desk's",
}

#: Decorators whose functions are values to those who use them.
VALUES = {"property", "cached_property", "fixture"}


@cache
def homes() -> list[Path]:
    return [member.source for member in members()]


def module_of(source: Source) -> str:
    [home] = [each for each in homes() if each in source.path.parents]
    parts = source.path.relative_to(home).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def definitions(
    node: ast.AST, prefix: str = ""
) -> Iterator[tuple[str, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Yield classes and functions with their qualified names, but for what tests have inside."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | Function):
            yield prefix + child.name, child
            if not child.name.startswith("test_"):
                yield from definitions(child, f"{prefix}{child.name}.")
        else:
            yield from definitions(child, prefix)


def is_value(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    decorators = " ".join(map(ast.unparse, function.decorator_list))
    return not VALUES.isdisjoint(re.findall(r"\w+", decorators)) or ".setter" in decorators


def is_named_elsewhere(name: str) -> bool:
    """Return whether others decide about a name: Python, pytest, or the object that it replaces."""
    return name.startswith(("__", "test_", "pytest_")) or name in BORROWED or name[:1].isupper()


def is_no_verb(name: str) -> bool:
    """Return whether a name begins with a participle, or is an adjective; an async one, too."""
    whole = name.strip("_")
    word = re.split("_+", whole)[0]
    twin = word.removeprefix("a")
    return any(
        IRREGULAR.fullmatch(each) or (REGULAR.fullmatch(each) and each not in VERBS)
        for each in (word, twin)
    ) or bool(ADJECTIVE.fullmatch(whole))


def misnamed() -> list[str]:
    return [
        f"{module_of(source)}:{qualified}"
        for source in sources()
        for qualified, node in definitions(source.tree)
        if isinstance(node, Function)
        and not is_value(node)
        and not is_named_elsewhere(node.name)
        and is_no_verb(node.name)
    ]


def test_no_function_is_named_by_a_participle() -> None:
    """Name what the function does: a participle or an adjective names a value."""
    wrong = sorted(set(misnamed()) - STAY.keys())
    assert not wrong, "\n".join(wrong)


def test_what_stays_is_there() -> None:
    """Take out what has been renamed."""
    assert set(misnamed()) >= STAY.keys()


def test_no_two_public_classes_share_a_name() -> None:
    """Rename one: a name means one thing; a port and what fills it have different names."""
    found = defaultdict(set)
    for source in sources():
        for qualified, node in definitions(source.tree):
            if isinstance(node, ast.ClassDef) and not re.search(r"(^|\.)_|\.", qualified):
                found[qualified].add(module_of(source))
    twice = {name: sorted(modules) for name, modules in found.items() if len(modules) > 1}
    assert not twice, "\n".join(f"{name}: {', '.join(at)}" for name, at in sorted(twice.items()))


@pytest.mark.parametrize(
    "name",
    ["kept", "told_of", "_masked", "collecting", "afinished", "_sendable", "newest", "plain"],
)
def test_values_names_are_seen(name: str) -> None:
    assert is_no_verb(name)


@pytest.mark.parametrize(
    "name",
    ["find_children", "feed", "ring", "aread", "add", "is_kept", "enable_logging", "await_end"],
)
def test_verbs_are_let_pass(name: str) -> None:
    assert not is_no_verb(name)
