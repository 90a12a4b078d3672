"""Packages with lazy names say three times what they have: for imports, for types, in `__all__`."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from .house import Source, parsed, sources


def is_lazy(source: Source) -> bool:
    return source.path.name == "__init__.py" and bool(find_table(source))


def find_table(source: Source) -> dict[str, Sequence[str]]:
    """Return what is handed to `lazy_exports`: names by the whole name of their module."""
    for node in ast.walk(source.tree):
        match node:
            case ast.Call(func=ast.Name("lazy_exports"), args=[_, table]):
                found: dict[str, Sequence[str]] = ast.literal_eval(table)
                package = name_of(source)
                return {
                    f"{package}{module}" if module.startswith(".") else module: names
                    for module, names in found.items()
                }
    return {}


def find_imports(body: list[ast.stmt]) -> dict[str, str]:
    """Return the names that these statements import, with where from."""
    return {
        alias.asname or alias.name: f"{node.module}:{alias.name}"
        for node in body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def find_typed(source: Source) -> dict[str, str]:
    """Return what type checkers see: the imports under TYPE_CHECKING."""
    for node in source.tree.body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            return find_imports(node.body)
    return {}


def find_listed(source: Source) -> set[str]:
    for node in source.tree.body:
        match node:
            case ast.Assign(targets=[ast.Name("__all__")], value=value):
                return set(ast.literal_eval(value))
    return set()


def name_of(source: Source) -> str:
    parts = source.path.parent.parts
    return ".".join(parts[parts.index("src") + 1 :])


def find_differences(source: Source) -> list[str]:
    """Return in words where the table, the imports for type checkers and `__all__` differ."""
    lazy: dict[str, str] = {}
    for module, names in find_table(source).items():
        package, _, own = module.rpartition(".")
        lazy |= {name: f"{module}:{name}" for name in names} or {own: f"{package}:{own}"}
    typed, listed = find_typed(source), find_listed(source)
    eager = set(find_imports(source.tree.body))
    found = [
        f"{name}: the table says {lazy.get(name)}, type checkers {typed.get(name)}"
        for name in sorted({*lazy, *typed})
        if lazy.get(name) != typed.get(name)
    ]
    found += [f"{name}: not in __all__" for name in sorted({*lazy} - listed)]
    found += [f"{name}: only in __all__" for name in sorted(listed - {*lazy} - eager)]
    # Importing a module of the package puts it where its name is asked for.
    modules = {path.stem for path in source.path.parent.iterdir()}
    found += [
        f"{name}: a module of the package has that name, so import it at once"
        for name, where in sorted(lazy.items())
        if name in modules and where != f"{name_of(source)}:{name}"
    ]
    return found


LAZY = [source for source in sources() if is_lazy(source)]


def test_the_packages_with_lazy_names_are_seen() -> None:
    seen = {name_of(source) for source in LAZY}
    assert {"flowstone", "flowstone.blocks", "flowstone_aws", "flowstone_template"} <= seen


@pytest.mark.parametrize("source", LAZY, ids=name_of)
def test_table_imports_and_all_are_alike(source: Source) -> None:
    assert not find_differences(source)


@pytest.mark.parametrize("source", LAZY, ids=name_of)
def test_each_name_is_there(source: Source) -> None:
    package = import_module(name_of(source))
    assert set(dir(package)) == find_listed(source)
    for name in find_listed(source):
        value = getattr(package, name)
        own = f"{name_of(source)}.{name}"
        assert not isinstance(value, ModuleType) or value.__name__ == own


def test_each_difference_is_seen(tmp_path: Path) -> None:
    package = tmp_path / "src/garden"
    package.mkdir(parents=True)
    (package / "weed.py").touch()
    (package / "__init__.py").write_text(
        "from typing import TYPE_CHECKING\n"
        "from flowstone.plugins import lazy_exports\n"
        "if TYPE_CHECKING:\n"
        "    from garden.things import dig, rake\n"
        "    from garden.weed import weed\n"
        "__all__ = ['dig', 'hoe', 'weed']\n"
        "if not TYPE_CHECKING:\n"
        "    __getattr__, __dir__ = lazy_exports(__name__, {\n"
        "        '.other': ('dig',), '.things': ('rake',), '.weed': ('weed',)\n"
        "    })\n"
    )
    assert find_differences(parsed(package / "__init__.py")) == [
        "dig: the table says garden.other:dig, type checkers garden.things:dig",
        "rake: not in __all__",
        "hoe: only in __all__",
        "weed: a module of the package has that name, so import it at once",
    ]
